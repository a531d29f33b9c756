"""Service accounts of the built-in instance: each tenant's own, whatever others call theirs."""

import pytest
from account import open_account


@pytest.fixture
def other(tcr, tcr_operator):
    return open_account(tcr, tcr_operator)


def test_names_of_other_tenants_robots_are_free_and_each_logs_in_as_its_own(account, other):
    passwords = []
    for one in (account, other):
        space = one.namespace(one.shared)
        given = [{"Resource": space, "Actions": ["tcr:PullRepository"]}]
        robot = {"RegistryId": one.shared, "Name": "same-name", "Permissions": given}
        passwords.append(one.send("CreateServiceAccount", robot)["Password"])
        assert one.code("CreateServiceAccount", robot) == "ResourceInUse"
    assert len(set(passwords)) == 2
    for one in (account, other):
        listed = one.send("DescribeServiceAccounts", {"RegistryId": one.shared})
        assert listed["TotalCount"] == 1


def test_a_password_is_chosen_in_dedicated_instances_only(account):
    space = account.namespace(account.shared)
    robot = {"RegistryId": account.shared, "Name": "chooser"}
    given = [{"Resource": space, "Actions": ["tcr:PullRepository"]}]
    account.send("CreateServiceAccount", {**robot, "Permissions": given})
    chosen = {**robot, "Random": False, "Password": "Abcdefg123"}
    assert account.code("ModifyServiceAccountPassword", chosen) == "OperationDenied"
    assert account.code("ModifyServiceAccountPassword", {**robot, "Random": True}) == ""
