"""Answers of the native API: their fields, pages, hosts, secrets that are told once and are nowhere else, the OpenAPI document."""

import http.client
import json
from urllib.parse import quote

import pytest
import transport
from api_client import PASSWORD, Api

from entrepot.dialects.native.endpoints import PREFIX
from entrepot.dialects.native.table import TABLE
from entrepot.metadata import audit
from issuing import Authority

pytestmark = pytest.mark.broad

USERS = "/tenants/-/users"


def pages(api, path, limit):
    """All rows, page by page."""
    found, after = [], ""
    join = "&" if "?" in path else "?"
    while True:
        page = api.ok("GET", f"{path}{join}limit={limit}&after={quote(after)}")
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next"] is None:
            return found
        assert len(page["items"]) == limit
        after = page["next"]


def test_answers_are_json_that_nobody_keeps(firm):
    answer = firm.owner.call("GET", USERS)

    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"]
    assert "set-cookie" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers


def test_head_says_what_get_says_without_a_body(firm):
    got, told = firm.owner.call("GET", USERS), firm.owner.call("HEAD", USERS)

    assert (told.status, told.body) == (200, b"")
    assert told.headers["content-length"] == got.headers["content-length"] == str(len(got.body))
    assert firm.owner.call("HEAD", f"{USERS}/nobody").status == 404


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 1000])
def test_every_row_is_in_one_page(found_firm, limit):
    owner = found_firm().owner
    name = f"paged{limit}"
    for number in range(3):
        owner.ok("POST", "/tenants/-/groups", {"name": f"g{number}"})
        owner.ok("POST", "/tenants/-/instances/-/tokens", {"description": str(number)})
        owner.ok("POST", USERS, {"name": f"{name}-{number}"})
        owner.ok("PUT", f"/tenants/-/groups/g0/members/{name}-{number}")

    for path in (USERS, "/tenants/-/groups", "/tenants/-/policies", "/tenants/-/groups/g0/members"):
        names = [row["name"] for row in pages(owner, path, limit)]
        whole = owner.ok("GET", f"{path}?limit=1000")
        assert names == [row["name"] for row in whole["items"]] == sorted(set(names))
    tokens = [row["id"] for row in pages(owner, "/tenants/-/instances/-/tokens", limit)]
    assert tokens == sorted(set(tokens))
    assert len(tokens) == 3


def test_the_trail_is_paged_newest_first_and_each_entry_comes_once(found_firm, root, operator):
    firm = found_firm()
    for number in range(4):
        firm.owner.ok("POST", "/tenants/-/groups", {"name": f"g{number}"})
    tenant = firm.owner.ok("GET", "/tenants/-")["name"]
    made = operator.read(lambda conn: audit.find(conn, audit.Search(action="group.create")))[0]
    yesterday = made.entry.happened_at - 86_400_000_000
    # An entry of a batch is written after later ones.
    late = audit.AuditEntry(
        "late", "pull", "x", audit.Outcome.DONE, made.entry.tenant, happened_at=yesterday
    )
    operator.do(operator.ctx.db.write(lambda conn: audit.record(conn, late)))

    found = pages(root, f"/audit?about={tenant}&action=", 2)

    assert len({row["id"] for row in found}) == len(found)
    assert [row["at"] for row in found] == sorted((row["at"] for row in found), reverse=True)
    assert [r["resource"] for r in found if r["action"] == "group.create"] == [
        "g3",
        "g2",
        "g1",
        "g0",
    ]
    assert found[-1]["actor"] == "late"
    assert {row["tenant"] for row in found} == {tenant}


def test_the_trail_can_be_narrowed(root, firm):
    firm.owner.ok("POST", "/tenants/-/groups", {"name": "narrowed"})
    query = f"/audit?about={firm.name}&action=group.*&since=2020-01-01T00:00:00Z&outcome=done"

    assert root.ok("GET", query)["items"][0]["resource"] == "narrowed"
    assert root.ok("GET", f"{query}&until=2020-01-02T00:00:00%2B02:00")["items"] == []
    assert root.code("GET", "/audit?about=nobody-there") == (404, "tenant-unknown")


def test_secrets_are_told_once_and_are_in_no_log_and_no_trail(
    found_firm, registry, operator, login
):
    firm = found_firm()
    owner, where = firm.owner, "/tenants/-/instances/-"
    key = Authority.new().issue("secret.example.test")
    made = owner.ok("POST", USERS, {"name": "sec", "generate_password": True})
    pair = owner.ok("POST", f"{USERS}/sec/keys")
    brief = owner.ok("POST", f"{USERS}/sec/temporary-keys", {"lifetime_seconds": 900})
    robot = owner.ok("POST", f"{where}/service-accounts", {"name": "secrobot"})
    secrets = [
        made["generated_password"],
        owner.ok("PUT", f"{USERS}/sec/password")["generated_password"],
        pair["secret_access_key"],
        brief["secret_access_key"],
        brief["session_token"],
        owner.ok("POST", f"{where}/tokens")["password"],
        robot["password"],
        owner.ok("POST", f"{where}/service-accounts/secrobot/renewal")["password"],
        key[1].splitlines()[1],
        "chosen-S3cret-password",
        "guessed-S3cret-password",
        PASSWORD,
    ]
    owner.ok("PUT", f"{USERS}/sec/password", {"password": "chosen-S3cret-password"})
    owner.ok("POST", "/tenants/-/certificates", {"name": "s", "chain": key[0], "key": key[1]})
    login(f"{firm.name}/owner", "guessed-S3cret-password").code("GET", USERS)
    bad = {"name": "x1", "password": "guessed-S3cret-password", "role": "none"}
    assert owner.code("POST", USERS, bad) == (400, "malformed-request")
    last = owner.call("GET", f"{USERS}/nobody").headers["x-request-id"]

    shown = [
        owner.call("GET", path).body.decode()
        for path in (
            USERS,
            f"{USERS}/sec",
            f"{USERS}/sec/keys",
            f"{where}/tokens",
            f"{where}/service-accounts",
            "/tenants/-/certificates",
        )
    ]
    registry.served_by(last)  # it is in the log, and so is all before it
    rows = operator.read(lambda conn: audit.find(conn, audit.Search(limit=100_000)))
    places = {"log": registry.log.read_text(), "trail": repr(rows), "lists": "".join(shown)}
    expected = {"log": "/sec/keys", "trail": "entrepot:CreateUser", "lists": "tcr$secrobot"}
    assert len({*secrets}) == len(secrets)
    for place, text in places.items():
        assert expected[place] in text  # it is the right text to look in
        assert [secret for secret in secrets if secret in text] == [], place


def test_the_document_describes_every_row_and_is_for_everybody(registry):
    api = Api(registry.port)
    answer = api.send("GET", f"{PREFIX}/openapi.json")
    api._connection.close()
    document = answer.json

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert document["openapi"] == "3.1.0"
    described = {
        (method.upper(), path.removeprefix(PREFIX), said["operationId"])
        for path, methods in document["paths"].items()
        for method, said in methods.items()
    }
    assert described == {(one.method, one.path, one.operation.name) for one in TABLE}


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1", 200), ("localhost", 200), ("[::1]", 200)]
    + [(name, 404) for name in ("tcr.{s}", "tag.{s}", "swr.region-1.{s}", "no.{s}", "else.test")],
)
def test_only_the_address_itself_serves_it(registry, operator, root, host, status):
    suffix = str(operator.settings.http.suffix)
    connection = transport.connect(registry.port)
    try:
        host = f"{host.format(s=suffix)}:{registry.port}"
        connection.request("GET", f"{PREFIX}/openapi.json", headers={"Host": host})
        answer: http.client.HTTPResponse = connection.getresponse()
        assert answer.status == status
        answer.read()
    finally:
        connection.close()


def test_an_instance_s_own_host_does_not_serve_it(registry, operator, root):
    made = root.ok("POST", "/tenants/-/instances", {"name": "own-host-native"})["instance"]
    name = f"{made['name']}.{operator.settings.http.suffix}:{registry.port}"
    paths = ("/v2/", f"{PREFIX}/openapi.json")

    assert [root.send("GET", path, host=name).status for path in paths] == [200, 404]

    root.ok("DELETE", f"/tenants/-/instances/{made['id']}")


def test_what_was_changed_counts_at_once_in_the_next_request(found_firm, login):
    firm = found_firm()
    policy = {
        "statements": [{"effect": "allow", "actions": ["identity:manage"], "resources": ["*"]}]
    }
    assert firm.member.code("GET", USERS) == (403, "forbidden")

    said = {"name": "people", "document": json.dumps(policy)}
    firm.owner.ok("POST", "/tenants/-/policies", said)
    firm.owner.ok("PUT", "/tenants/-/policies/people/users/member")
    assert firm.member.ok("GET", USERS)["items"]
    assert firm.member.code("PUT", f"{USERS}/admin/password") == (403, "forbidden")
    firm.owner.ok("PATCH", f"{USERS}/member", {"enabled": False})
    assert firm.member.code("GET", USERS) == (401, "unauthenticated")
