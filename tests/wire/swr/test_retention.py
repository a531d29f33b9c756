"""Retention by the vendor's SDK, and what it does to a repository that is pushed to."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from huaweicloudsdkswr.v2 import (
    CreateRetentionRequest,
    CreateRetentionRequestBody,
    DeleteRetentionRequest,
    ListRetentionHistoriesRequest,
    ListRetentionsRequest,
    Rule,
    ShowRetentionRequest,
    TagSelector,
    UpdateRetentionRequest,
    UpdateRetentionRequestBody,
)
from office import Office

from entrepot.metadata import namespaces, retention
from entrepot.metadata.database import Connection
from entrepot.metadata.schema import tasks
from entrepot.model.ids import RepositoryId
from entrepot.model.retention import Keep, RetentionId, TaggedImage
from entrepot.model.retention import Rule as OurRule

MONTH = {
    "template": "date_rule",
    "params": {"days": "30"},
    "tag_selectors": [
        {"kind": "label", "pattern": "v5"},
        {"kind": "regexp", "pattern": "^123$"},
    ],
}
SEVEN = {"template": "tag_rule", "params": {"num": "7"}, "tag_selectors": []}


@pytest.fixture
def at(office: Office) -> str:
    """The address of a new repository's rules."""
    organization, repository = office.repository()
    return address(organization, repository)


def address(organization: str, repository: str) -> str:
    told = repository.replace("/", "$")
    return f"/v2/manage/namespaces/{organization}/repos/{told}/retentions"


def body(*rules: dict[str, Any], algorithm: Any = "or") -> dict[str, Any]:
    return {"algorithm": algorithm, "rules": list(rules)}


def make(office: Office, at: str, *rules: dict[str, Any]) -> int:
    return int(office.owner.ask("POST", at, body(*rules))["id"])


def found_in(office: Office, at: str) -> RepositoryId:
    _, _, _, _, organization, _, repository, *_ = at.split("/")
    name = f"{organization}/{repository.replace('$', '/')}"
    shared = office.instance
    found = office.operator.read(lambda conn: namespaces.find_repository(conn, shared, name))
    assert found is not None
    return found.id


def write(office: Office, fn: Callable[[Connection], Any]) -> None:
    """Beside the servers, in their database."""
    office.operator.do(office.operator.ctx.db.write(fn))


# -- the vendor's client ----------------------------------------------------------------------------------------------


def test_the_sdk_makes_shows_replaces_lists_and_deletes_rules(office: Office):
    organization, repository = office.repository()
    where = {"namespace": organization, "repository": repository}
    sdk = office.owner.sdk()
    rule = Rule(
        template="date_rule",
        params={"days": "30"},
        tag_selectors=[TagSelector(kind="regexp", pattern="^123$")],
    )
    asked = CreateRetentionRequestBody(algorithm="or", rules=[rule])

    made = sdk.create_retention(CreateRetentionRequest(**where, body=asked))
    assert made.status_code == 201

    one = {**where, "retention_id": made.id}
    shown = sdk.show_retention(ShowRetentionRequest(**one))
    assert (shown.id, shown.algorithm, shown.scope, shown.rules) == (made.id, "or", "", [rule])

    other = Rule(template="tag_rule", params={"num": "7"}, tag_selectors=[])
    asked = UpdateRetentionRequestBody(algorithm="or", rules=[other])
    assert sdk.update_retention(UpdateRetentionRequest(**one, body=asked)).status_code == 201
    (listed,) = sdk.list_retentions(ListRetentionsRequest(**where)).body
    assert (listed.id, listed.rules) == (made.id, [other])

    log = sdk.list_retention_histories(
        ListRetentionHistoriesRequest(**where, limit="10", offset="0")
    )
    assert (log.total, log.retention_log, log.content_range) == (0, [], "0-0/0")

    assert sdk.delete_retention(DeleteRetentionRequest(**one)).status_code == 200
    assert office.owner.refused("show_retention", ShowRetentionRequest(**one)) == (404, "4040201")


# -- oddities ---------------------------------------------------------------------------------------------------------


def test_rules_come_back_as_they_were_sent(office: Office, at: str):
    number = make(office, at, MONTH, SEVEN)

    shown = office.owner.ask("GET", f"{at}/{number}")
    assert shown == {"algorithm": "or", "id": number, "rules": [MONTH, SEVEN], "scope": ""}
    answer = office.owner.send("GET", at)
    assert answer.json == [shown]
    assert "content-range" not in answer.headers


def test_numbers_are_texts_however_they_were_sent(office: Office, at: str):
    asked = {"template": "tag_rule", "params": {"num": 7, "days": "1"}, "tag_selectors": []}

    number = make(office, at, asked)

    (rule,) = office.owner.ask("GET", f"{at}/{number}")["rules"]
    assert rule == SEVEN


def test_a_repository_may_have_slashes_and_several_rule_sets(office: Office):
    organization, repository = office.repository(name="a/b/c")
    at = address(organization, repository)

    first, second = make(office, at, MONTH), make(office, at, SEVEN)

    assert [one["id"] for one in office.owner.ask("GET", at)] == [first, second]
    assert second > first


def test_success_has_the_documented_status(office: Office, at: str):
    send = office.owner.send
    made = send("POST", at, body(MONTH))
    one = f"{at}/{made.json['id']}"

    statuses = [
        made.status,
        send("PATCH", one, body(SEVEN)).status,
        send("GET", one).status,
        send("GET", at).status,
        send("GET", f"{at}/histories").status,
        send("DELETE", one).status,
    ]
    assert statuses == [201, 201, 200, 200, 200, 200]


# -- refusals ---------------------------------------------------------------------------------------------------------

SELECTOR = {"kind": "label", "pattern": "v1"}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"rules": [SEVEN]}, "4001014"),
        ({"algorithm": "or"}, "4001014"),
        (body(SEVEN, algorithm="and"), "4000014"),
        (body(), "4000014"),
        (body(*[SEVEN] * 21), "4000014"),
        (body({**SEVEN, "template": "any_rule"}), "4000014"),
        (body({**SEVEN, "params": {"days": "7"}}), "4001014"),
        (body({**SEVEN, "params": {"num": "0"}}), "4000014"),
        (body({**SEVEN, "params": {"num": "-1"}}), "4000014"),
        (body({**SEVEN, "params": {"num": "many"}}), "4000014"),
        (body({**SEVEN, "params": {"num": 9_999_999}}), "4000014"),
        (body({**SEVEN, "params": {"num": True}}), "4001018"),
        (body({**SEVEN, "params": []}), "4001018"),
        (body({"template": "tag_rule", "params": {"num": "1"}}), "4001014"),
        (body({**SEVEN, "tag_selectors": [{**SELECTOR, "kind": "glob"}]}), "4000014"),
        (body({**SEVEN, "tag_selectors": [{"kind": "label"}]}), "4001014"),
        (body({**SEVEN, "tag_selectors": [{"kind": "regexp", "pattern": "["}]}), "4000014"),
        (body({**SEVEN, "tag_selectors": [{"kind": "regexp", "pattern": "(?=a)"}]}), "4000014"),
        (body({**SEVEN, "tag_selectors": [{"kind": "label", "pattern": ""}]}), "4000014"),
        (body({**SEVEN, "tag_selectors": [SELECTOR] * 51}), "4000014"),
        ([SEVEN], "4001018"),
    ],
)
def test_wrong_rules_are_refused_by_post_and_patch(office: Office, at: str, asked: Any, code: str):
    assert office.owner.send("POST", at, asked).code == code
    number = make(office, at, SEVEN)
    assert office.owner.send("PATCH", f"{at}/{number}", asked).code == code
    assert office.owner.ask("GET", f"{at}/{number}")["rules"] == [SEVEN]


@pytest.mark.parametrize("number", ["abc", "-1", "1.5", "12345678901234567890"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_what_is_no_number_is_said_to_be_none(office: Office, at: str, method: str, number: str):
    asked = body(SEVEN) if method == "PATCH" else None

    assert office.owner.send(method, f"{at}/{number}", asked).code == "4009013"


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_what_is_not_there_is_not_there(office: Office, at: str, method: str):
    asked = body(SEVEN) if method == "PATCH" else None
    other = make(office, address(*office.repository()), SEVEN)

    assert office.owner.send(method, f"{at}/999999999", asked).code == "4040201"
    assert office.owner.send(method, f"{at}/{other}", asked).code == "4040201"
    nowhere = at.replace("/repos/", "/repos/none-")
    assert office.owner.send(method, f"{nowhere}/{other}", asked).code == "4040010"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"limit": "0"}, "4000056"),
        ({"limit": "x", "offset": "0"}, "4000056"),
        ({"limit": "1", "offset": "-1"}, "4000056"),
        ({"filter": "tag::v1"}, "4001035"),
        ({"filter": "limit"}, "4001035"),
    ],
)
def test_wrong_pages_of_the_log_are_refused(
    office: Office, at: str, query: dict[str, str], code: str
):
    assert office.owner.send("GET", f"{at}/histories", query=query).code == code


def test_who_has_no_right_is_refused(office: Office, at: str):
    number = make(office, at, SEVEN)

    for method, path, asked in (
        ("GET", at, None),
        ("GET", f"{at}/histories", None),
        ("GET", f"{at}/{number}", None),
        ("POST", at, body(SEVEN)),
        ("PATCH", f"{at}/{number}", body(SEVEN)),
        ("DELETE", f"{at}/{number}", None),
    ):
        assert office.member.send(method, path, asked).code == "4037020", (method, path)
    assert office.owner.ask("GET", f"{at}/{number}")["id"] == number


# -- what it does -----------------------------------------------------------------------------------------------------


def test_the_log_is_told_in_pages_the_last_first(office: Office, at: str):
    number, repository = make(office, at, SEVEN), found_in(office, at)
    rule = OurRule(Keep.NEWEST, 7)
    gone = [(TaggedImage(f"v{n}", f"sha256:{n}", 0), rule) for n in range(5)]

    def removed(conn: Connection) -> None:
        policy = retention.find_policy(conn, RetentionId(number))
        assert policy is not None
        retention.record(conn, policy, repository, gone, at=1_500_000)

    write(office, removed)

    first = office.owner.send("GET", f"{at}/histories", query={"limit": "2", "offset": "0"})
    assert first.headers["content-range"] == "0-2/5"
    assert first.json["total"] == 5
    row = first.json["retention_log"][0]
    _, _, _, _, organization, _, name, _ = at.split("/")
    assert row == {
        "created_at": "1970-01-01T00:00:01.500000Z",
        "id": row["id"],
        "namespace": organization,
        "repo": name,
        "retention_id": number,
        "rule_type": '{"template":"tag_rule","params":{"num":"7"},"tag_selectors":[]}',
        "tag": "v4",
    }
    assert json.loads(row["rule_type"]) == SEVEN

    query = {"filter": "limit::2|offset::4", "limit": "100"}
    last = office.owner.send("GET", f"{at}/histories", query=query)
    assert last.headers["content-range"] == "4-1/5"
    assert [one["tag"] for one in last.json["retention_log"]] == ["v0"]


def test_a_push_removes_what_is_too_much(office: Office):
    organization, repository = office.repository()
    at = address(organization, repository)
    keep_one = {**SEVEN, "params": {"num": "1"}, "tag_selectors": [SELECTOR]}
    number = make(office, at, keep_one)
    for tag in ("v1", "v2", "v3"):
        office.push(f"{organization}/{repository}", tag)

    log: list[dict[str, Any]] = []
    until = time.monotonic() + 30
    while not log and time.monotonic() < until:
        hurry(office)
        log = office.owner.ask("GET", f"{at}/histories")["retention_log"]

    assert [(one["tag"], one["retention_id"]) for one in log] == [("v2", number)]
    assert json.loads(log[0]["rule_type"]) == keep_one
    path = f"/v2/manage/namespaces/{organization}/repos/{repository}/tags"
    assert [one["Tag"] for one in office.owner.ask("GET", path)] == ["v3", "v1"]


def hurry(office: Office) -> None:
    """Runs that wait for pushes to settle wait no longer."""
    waiting = sa.update(tasks).where(tasks.c.kind == "retention.run", tasks.c.status == "pending")
    write(office, lambda conn: conn.execute(waiting.values(run_after=0)).rowcount)
    time.sleep(0.2)
