"""The permission table: every action that is served, asked by everybody there is. An action without a row fails."""

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
from account import Account, open_account
from permission_rows import (
    ALLOWED,
    EMPTY,
    HIDDEN,
    REFUSED,
    ROWS,
    TAG_ROWS,
    Row,
    Stage,
    make_stage,
)
from started import Operator, Started

from entrepot.capabilities.access.identities.keys import store_key
from entrepot.capabilities.access.secrets import new_access_key
from entrepot.dialects.tcr.table import SERVICES, TABLE
from entrepot.metadata import access_keys, attached, identities, policies
from entrepot.metadata.attached import Principal
from entrepot.metadata.database import Connection
from entrepot.model.access import Role

pytestmark = pytest.mark.broad

UNAUTHORIZED = "AuthFailure.UnauthorizedOperation"
TAG_VERSION = "2018-08-13"


def test_every_action_has_a_row() -> None:
    by_service = {service.name: set(service.table) for service in SERVICES}

    assert by_service == {"tcr": set(ROWS), "tag": set(TAG_ROWS)}


@dataclass(frozen=True)
class Asker:
    """Sends one action in the name of anybody."""

    action: str
    row: Row
    service: str

    def ask(self, who: Account, parameters: dict[str, Any]) -> dict[str, Any]:
        if self.service == "tcr":
            return who.send(self.action, parameters)
        return who.send(self.action, parameters, version=TAG_VERSION, service="tag")

    @property
    def actions(self) -> list[str]:
        return list(self.row.actions) or [f"tcr:{self.action}"]

    def policy(self, effect: str, resource: str) -> str:
        """Denials come with a full allowance beside them, so that they are what decides."""
        rules = [{"effect": effect, "action": self.actions, "resource": resource}]
        if effect == "deny":
            rules.append({"effect": "allow", "action": ["tcr:*"], "resource": "*"})
        return json.dumps({"version": "2.0", "statement": rules})

    def exact(self, stage: Stage) -> str:
        return f"qcs::tcr::uin/{stage.account.tenant.uin}:{self.row.on(stage)}"


def people(account: Account, documents: dict[str, tuple[Role, str]]) -> dict[str, Account]:
    """Users with a key each and, where it is not empty, a policy; in one transaction."""
    ctx, tenant = account.operator.ctx, account.tenant.id

    def write(conn: Connection) -> dict[str, Account]:
        made = {}
        for name, (role, document) in documents.items():
            user = identities.insert_user(conn, tenant, name, role=role, password_hash=None)
            pair = new_access_key()
            key = store_key(conn, ctx.access.sealer, user.id, pair)
            if document:
                policy = policies.insert_policy(
                    conn, tenant, name, dialect="tcr", document=document, description=""
                )
                attached.attach(conn, policy.id, Principal(user=user.id))
            if name == "disabled":
                access_keys.set_enabled(conn, key.id, enabled=False)
            made[name] = replace(account, user=name, key_id=pair.id, secret=pair.secret)
        return made

    return ctx.db.write_sync(write)


@pytest.fixture(scope="module")
def stranger(tcr: Started, tcr_operator: Operator) -> Account:
    return open_account(tcr, tcr_operator)


TCR_CASES = [(name, row, "tcr") for name, row in ROWS.items()]
CASES = [*TCR_CASES, *((name, row, "tag") for name, row in TAG_ROWS.items())]


@pytest.mark.parametrize(("action", "row", "service"), CASES, ids=[case[0] for case in CASES])
def test_who_may(action: str, row: Row, service: str, account: Account, stranger: Account) -> None:
    asker = Asker(action, row, service)
    stage = make_stage(account)
    member, administrator = Role.MEMBER, Role.ADMINISTRATOR
    who = people(
        account,
        {
            "nobody": (member, ""),
            "star": (member, asker.policy("allow", "*")),
            "exact": (member, asker.policy("allow", asker.exact(stage))),
            "denied": (member, asker.policy("deny", "*")),
            "denied-exactly": (member, asker.policy("deny", asker.exact(stage))),
            "admin": (administrator, ""),
            "denied-admin": (administrator, asker.policy("deny", "*")),
            "disabled": (administrator, ""),
        },
    )

    before = stage.rows()
    check(asker, who["nobody"], stage, row.member)
    check(asker, who["denied"], stage, row.denied)
    check(asker, who["denied-admin"], stage, row.denied)
    check(asker, stranger, stage, row.stranger)
    assert asker.ask(who["disabled"], row.asks(stage))["Error"]["Code"] == (
        "AuthFailure.SecretIdNotFound"
    )
    if row.shows is None:
        check(asker, who["denied-exactly"], stage, row.denied)
    if row.member != ALLOWED:
        assert stage.rows() == before
    for name in ("exact", "star", "admin"):
        check_allowed(asker, who[name], stage, row.one(stage) if name == "exact" else None)
        if action in TABLE and TABLE[action].changes:
            stage = make_stage(account)  # the last one was changed
    check_allowed(asker, account, stage, None)


def check(asker: Asker, who: Account, stage: Stage, expected: str) -> None:
    answer = asker.ask(who, asker.row.asks(stage))
    code = answer.get("Error", {}).get("Code", "")
    match expected:
        case str() if expected == REFUSED:
            assert code == UNAUTHORIZED, (who.user, answer)
        case str() if expected == HIDDEN:
            assert code.startswith("ResourceNotFound"), (who.user, answer)
        case str() if expected == EMPTY:
            assert code == "", (who.user, answer)
            assert asker.row.shows is not None
            assert asker.row.shows(answer) == [], who.user
            assert answer.get("TotalCount", 0) == 0
        case _:
            assert code == "", (who.user, answer)


def check_allowed(asker: Asker, who: Account, stage: Stage, only: list[str] | None) -> None:
    row = asker.row
    answer = asker.ask(who, row.asks(stage))
    assert "Error" not in answer, (who.user, answer)
    if row.shows is None or not row.every(stage):
        return
    shown = row.shows(answer)
    assert shown == (only if only is not None else row.every(stage)), who.user
    assert answer.get("TotalCount", len(shown)) == len(shown)


# -- what is not there for somebody ---------------------------------------------------------------------------------------


def test_foreign_and_unknown_ids_get_the_same_answer(account: Account, stranger: Account) -> None:
    stage = make_stage(account)
    for action, row, service in CASES:
        asker = Asker(action, row, service)
        asked = json.dumps(row.asks(stage))
        if stage.registry not in asked:
            continue
        foreign, unknown = (
            asker.ask(stranger, json.loads(asked.replace(stage.registry, registry)))
            for registry in (stage.registry, "tcr-zzzzzzzz")
        )
        text = json.dumps({**foreign, "RequestId": ""}).replace(stage.registry, "tcr-zzzzzzzz")
        assert text == json.dumps({**unknown, "RequestId": ""}), action


def test_tags_of_others_in_the_shared_instance_are_not_shown(
    account: Account, stranger: Account
) -> None:
    registry = account.shared
    name = f"{account.tenant.name}-tagged"
    account.call(
        "CreateNamespace",
        RegistryId=registry,
        NamespaceName=name,
        IsPublic=False,
        TagSpecification={"ResourceType": "namespace", "Tags": [{"Key": "k", "Value": "v"}]},
    )
    asker = Asker(
        "DescribeResourceTagsByResourceIds", TAG_ROWS["DescribeResourceTagsByResourceIds"], "tag"
    )
    asked = {
        "ServiceType": "tcr",
        "ResourcePrefix": "repository",
        "ResourceIds": [f"{registry}#{name}"],
    }

    assert [tag["TagKey"] for tag in asker.ask(account, asked)["Tags"]] == ["k"]
    assert asker.ask(stranger, asked)["Tags"] == []


def test_ids_of_things_in_an_instance_are_those_of_that_instance(account: Account) -> None:
    """A token's, a domain's or an account's id is of no use with another instance of the same owner."""
    stage = make_stage(account)
    before = stage.rows()
    for action in (
        "ModifyInstanceToken",
        "DeleteInstanceToken",
        "ModifyServiceAccount",
        "ModifyServiceAccountPassword",
        "DeleteServiceAccount",
        "DeleteInstanceCustomizedDomain",
        "DeleteNamespace",
    ):
        parameters = ROWS[action].asks(stage) | {"RegistryId": stage.neighbour}
        code = account.code(action, parameters)
        assert code.startswith("ResourceNotFound"), (action, code)
    assert stage.rows() == before


MAY = ["tcr:CreateServiceAccount", "tcr:ModifyServiceAccount", "tcr:ModifyServiceAccountPassword"]


def test_nobody_gives_a_robot_what_they_are_denied_whatever_they_may_call(account: Account) -> None:
    instance, space = account.shared, account.namespace(account.shared)
    call = {"effect": "allow", "action": MAY, "resource": "*"}
    pull = {"effect": "allow", "action": ["tcr:PullRepository"], "resource": "*"}
    anything = {"effect": "allow", "action": ["tcr:*"], "resource": "*"}
    no_push = {"effect": "deny", "action": ["tcr:PushRepository"], "resource": "*"}
    who = people(
        account,
        {
            name: (Role.MEMBER, json.dumps({"version": "2.0", "statement": rules}))
            for name, rules in (
                ("caller", [call]),
                ("puller", [call, pull]),
                ("denied", [anything, no_push]),
            )
        },
    )

    def gives(name: str, *actions: str) -> str:
        given = [{"Resource": space, "Actions": [f"tcr:{action}" for action in actions]}]
        robot = f"{name}-{len(actions)}-{actions[0].lower()}"
        asked = {"RegistryId": instance, "Name": robot, "Permissions": given}
        return who[name].code("CreateServiceAccount", asked)

    refused = "AuthFailure.UnauthorizedOperation"
    assert gives("caller", "PullRepository") == refused
    assert gives("puller", "PullRepository") == ""
    assert gives("puller", "PullRepository", "PushRepository") == refused
    assert gives("denied", "PullRepository") == ""
    assert gives("denied", "PushRepository") == refused
    pusher = {
        "RegistryId": instance,
        "Name": "pusher",
        "Permissions": [{"Resource": space, "Actions": ["tcr:PushRepository"]}],
    }
    assert account.code("CreateServiceAccount", pusher) == ""
    renew = {"RegistryId": instance, "Name": "pusher", "Random": True}
    assert who["denied"].code("ModifyServiceAccountPassword", renew) == refused
    assert account.code("ModifyServiceAccountPassword", renew) == ""


def test_who_manages_accounts_does_not_let_a_higher_ones_token_work_again(account: Account) -> None:
    instance = account.shared
    token = account.send("CreateInstanceToken", {"RegistryId": instance, "TokenType": "longterm"})
    one = {"RegistryId": instance, "TokenId": token["TokenId"]}
    anything = [{"effect": "allow", "action": ["tcr:*"], "resource": "*"}]
    document = json.dumps({"version": "2.0", "statement": anything})
    member = people(account, {"manager": (Role.MEMBER, document)})["manager"]
    assert member.code("ModifyInstanceToken", {**one, "Enable": False}) == ""
    refused = "AuthFailure.UnauthorizedOperation"
    assert member.code("ModifyInstanceToken", {**one, "Enable": True}) == refused
    assert account.code("ModifyInstanceToken", {**one, "Enable": True}) == ""
