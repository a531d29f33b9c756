"""What an instance that does not run answers: its content cannot be reached, itself can be looked at and deleted."""

import pytest
import sqlalchemy as sa
from contract_shapes import ACTIONS
from firm import Firm
from test_refused_parameters import base, inputs

from entrepot.dialects.tcr.book import BOOK
from entrepot.dialects.tcr.table import TABLE

pytestmark = pytest.mark.broad

NOT_RUNNING = (
    "ResourceInsufficient.ErrorInstanceNotRunning",
    "OperationDenied",
    "UnsupportedOperation",
)
ABOUT_ITSELF = {
    "CheckInstance",
    "DeleteInstance",
    "DescribeExternalEndpointStatus",
    "DescribeInstanceCustomizedDomain",
    "DescribeInternalEndpoints",
    "DescribeReplicationInstances",
    "DescribeSecurityPolicies",
    "ModifyInstance",
    "RenewInstance",
}
NAMING_ONE = sorted(
    action for action in TABLE if {"RegistryId", "InstanceId"} & set(inputs(action))
)


@pytest.fixture(scope="module")
def isolated(firm: Firm) -> str:
    """The id of an instance whose time is over."""
    registry = firm.instance(edition="basic")
    query = sa.text("UPDATE instances SET status = 'isolated' WHERE public_id = :registry")
    firm.account.operator.ctx.db.write_sync(
        lambda conn: conn.execute(query, {"registry": registry})
    )
    assert firm.registries(registry)[0]["Status"] == "Isolate"
    return registry


def test_what_needs_a_running_instance_is_what_is_about_more_than_itself():
    assert {
        name for name in NAMING_ONE if name == "CheckInstance" or not TABLE[name].needs_running
    } == ABOUT_ITSELF


@pytest.mark.parametrize("action", sorted(set(NAMING_ONE) - ABOUT_ITSELF))
def test_the_content_of_an_instance_that_does_not_run_is_out_of_reach(
    firm: Firm, isolated: str, action: str
):
    named = "InstanceId" if "InstanceId" in inputs(action) else "RegistryId"
    page = set(BOOK[action].codes) if action in ACTIONS else set()
    expected = next(code for code in NOT_RUNNING if code in page or code == NOT_RUNNING[-1])
    assert firm.code(action, {**base(action, firm), named: isolated}) == expected


@pytest.mark.parametrize("action", sorted(name for name in ABOUT_ITSELF if not TABLE[name].changes))
def test_an_instance_that_does_not_run_can_be_looked_at(firm: Firm, isolated: str, action: str):
    assert firm.code(action, {"RegistryId": isolated}) == ""
