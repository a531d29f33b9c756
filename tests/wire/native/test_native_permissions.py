"""Who may do which operation: every row of the table, asked by people of every standing, about one tenant's things.

Requests name what is not there, or what is taken: whoever may gets another refusal than 403, and nothing changes.
"""

import base64
import time

import pytest
from api_client import PASSWORD, Api, Firm

from entrepot.capabilities.access.secrets import derived_password
from entrepot.dialects.native.table import TABLE
from issuing import Authority

pytestmark = pytest.mark.broad

DOCUMENT = '{"statements": [{"effect": "allow", "actions": ["*"], "resources": ["*"]}]}'
PAIR = Authority.new().issue("permissions.example.test")
BODIES = {
    "CreateTenant": {"name": "root"},
    "CreateUser": {"name": "owner"},
    "EnableUser": {"enabled": True},
    "SetRole": {"role": "member"},
    "SetPassword": {},
    "CreateGroup": {"name": "taken"},
    "CreateTemporaryKey": {"lifetime_seconds": 900},
    "EnableKey": {"enabled": True},
    "CreatePolicy": {"name": "QcloudTCRReadOnlyAccess", "document": DOCUMENT},
    "UpdatePolicy": {"document": DOCUMENT},
    "CreateInstance": {"name": "localhost"},
    "ModifyInstance": {"protected": True},
    "CreateNamespace": {"name": "No-Name"},
    "ModifyNamespace": {"public": True},
    "SetGrant": {"level": "manage"},
    "CreateToken": {"temporary": True},
    "ModifyToken": {"enabled": False},
    "CreateServiceAccount": {"name": "robot", "permissions": {"absent": ["pull"]}},
    "ModifyServiceAccount": {"enabled": False},
    "RenewServiceAccount": {},
    "AddCertificate": {"name": "one", "chain": PAIR[0], "key": PAIR[1]},
    "CreateCluster": {
        "name": "one", "registry": "r.example", "kubeconfig": "none", "namespaces": ["web"],
    },
    "CreatePeer": {"name": "second-site", "url": "https://registry.example"},
    "ModifyPeer": {"secret": "another"},
    "CreateNetwork": {"name": "vpc-absent", "cidrs": ["10.0.0.0/8"], "owner": "absent"},
    "CreateRegion": {"name": "region-1", "id": 1},
    "SetTenantQuota": {"limit": 1},
    "SetInstanceQuota": {"limit": 1},
    "SetNamespaceQuota": {"limit": 1},
}  # fmt: skip
NAMES = {"resource": "repositories", "instance": "-", "name": "absent"}
# What is different from "the tenant's owner and administrators may".
DEPLOYMENT = {
    "ListTenants", "CreateTenant", "DeleteTenant", "ListEveryInstance", "ListEveryNetwork", "CreateNetwork",
    "DeleteNetwork", "CreateRegion", "ListAudit", "GetTenantQuota", "GetInstanceQuota", "GetNamespaceQuota",
    "SetTenantQuota", "SetInstanceQuota", "SetNamespaceQuota", "CapTenant", "UncapTenant",
}  # fmt: skip
ROOT_TOO = {
    "GetTenant", "ListProjects", "ListInstances", "CreateInstance", "ListNetworks",
    "ListNamespaces",  # shows what the caller may see: nothing
    "ListRegions", "ListCaps",
}  # fmt: skip
MEMBER_TOO = {
    "GetTenant", "ListProjects", "ListInstances", "ListNamespaces",
    "ListTokens", "CreateToken", "ModifyToken", "DeleteToken",  # their own
}  # fmt: skip
OTHERS_TOO = {"ListRegions"}


def request_of(endpoint, firm):
    """The path, and the body."""
    name = endpoint.operation.name
    tenant = "absent-tenant" if name == "DeleteTenant" else firm.name
    known = {**NAMES, "tenant": tenant, "namespace": f"{firm.name}-asked"}
    values = {n: known.get(n, "absent") for n in endpoint.names}
    return endpoint.path.format_map(values), BODIES.get(name)


def answers(api, firm):
    """Status by operation. The namespace that is asked about is there, until somebody may delete it."""
    firm.owner.call("POST", "/tenants/-/instances/-/namespaces", {"name": f"{firm.name}-asked"})
    return {
        one.operation.name: api.call(one.method, *request_of(one, firm)).status for one in TABLE
    }


@pytest.fixture(scope="module")
def place(found_firm) -> Firm:
    firm = found_firm()
    firm.owner.ok("POST", "/tenants/-/groups", {"name": "taken"})
    return firm


def may(role):
    tenants_own = {one.operation.name for one in TABLE} - DEPLOYMENT
    match role:
        case "root":
            return DEPLOYMENT | ROOT_TOO
        case "owner" | "administrator":
            return tenants_own
        case "member":
            return MEMBER_TOO
        case _:
            return OTHERS_TOO


@pytest.mark.parametrize("role", ["root", "owner", "administrator", "member", "other"])
def test_everybody_may_what_the_table_says_and_no_more(role, place, found_firm, root):
    api = {"root": lambda: root, "other": lambda: found_firm().owner}.get(
        role, lambda: getattr(place, role)
    )()

    found = answers(api, place)

    refused = {name for name, status in found.items() if status == 403}
    assert refused == set(found) - may(role)
    assert not {name for name, status in found.items() if status == 401 or status >= 500}


def test_nobody_may_anything_without_a_login(place, login):
    anonymous = login()

    for one in TABLE:
        answer = anonymous.call(one.method, *request_of(one, place))
        assert (answer.status, answer.code) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"] == 'Basic realm="entrepot"'


def test_a_wrong_password_is_refused_everywhere(place, login):
    path, body = "/tenants/-/users", None
    assert login(f"{place.name}/owner", "not-the-password").code("GET", path) == (
        401,
        "unauthenticated",
    )
    for number, one in enumerate(TABLE):
        api = login(f"{place.name}/nobody{number}", "not-the-password")  # each a throttle's count
        path, body = request_of(one, place)
        assert api.code(one.method, path, body) == (401, "unauthenticated")
        api._connection.close()


def test_guesses_are_throttled(place, login):
    api = login(f"{place.name}/guessed", "guess")

    found = [api.call("GET", "/regions") for _ in range(30)]

    assert {answer.status for answer in found} == {401, 429}
    assert found[-1].code == "rate-limited"
    assert int(found[-1].headers["retry-after"]) > 0


def test_robots_and_tokens_push_and_pull_and_manage_nothing(place, login):
    where = "/tenants/-/instances/-"
    place.owner.ok("POST", f"{where}/namespaces", {"name": f"{place.name}-space"})
    said = {"name": "rob", "permissions": {f"{place.name}-space": ["pull", "push", "create"]}}
    robot = place.owner.ok("POST", f"{where}/service-accounts", said)
    token = place.owner.ok("POST", f"{where}/tokens")
    uin = place.owner.ok("GET", "/tenants/-")["uin"]

    key = place.owner.ok("POST", "/tenants/-/users/owner/keys")
    (project,) = place.owner.ok("GET", "/tenants/-/projects")["items"][:1]
    key_id = key["key"]["access_key_id"]
    derived = derived_password(key_id, key["secret_access_key"])
    logins = {
        "tcr$rob": robot["password"],
        uin: token["password"],
        f"{project['name']}@{key_id}": derived,
    }

    for api in (login(name, secret) for name, secret in logins.items()):
        assert api.send("GET", "/v2/").status == 200  # it is a good login
        found = answers(api, place)
        assert set(found.values()) == {403}


def test_a_bearer_token_of_the_registry_is_no_login(place, root, registry):
    bearer = root.send("GET", "/service/token?service=entrepot").json["token"]

    answer = Api(registry.port).send("GET", "/api/v1/tenants", authorization=f"Bearer {bearer}")

    assert (answer.status, answer.code) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == 'Basic realm="entrepot"'


@pytest.mark.parametrize(
    "value", ["Basic", "Basic !!!", "Basic " + base64.b64encode(b"nocolon").decode(), "x" * 13_000]
)
def test_what_is_no_credential_is_refused(value, registry):
    answer = Api(registry.port).send("GET", "/api/v1/tenants", authorization=value)

    assert (answer.status, answer.code) == (401, "unauthenticated")


def test_people_log_in_by_account_number_too(place, login):
    owner = place.owner.ok("GET", "/tenants/-/users/owner")

    shown = login(owner["uin"]).ok("GET", "/tenants/-")

    assert shown["name"] == place.name


def test_members_see_themselves_and_change_their_password_by_saying_it(found_firm, login):
    firm = found_firm()
    own = "/tenants/-/users/member"

    assert firm.member.ok("GET", own)["role"] == "member"
    assert firm.member.code("PUT", f"{own}/password", {"password": "new-Passw0rd"}) == (
        403,
        "forbidden",
    )
    said = {"password": "new-Passw0rd", "current": PASSWORD}
    firm.member.ok("PUT", f"{own}/password", said)
    assert firm.member.code("GET", own) == (401, "unauthenticated")
    assert login(f"{firm.name}/member", "new-Passw0rd").ok("GET", own)


def test_owners_do_not_end_their_tenant_and_root_does_not_enter_it(place, root):
    assert place.owner.code("DELETE", "/tenants/-") == (403, "forbidden")
    assert root.code("GET", f"/tenants/{place.name}/users") == (403, "forbidden")


def test_a_foreign_tenant_and_none_answer_alike(place, found_firm):
    other = found_firm().owner

    foreign = other.call("GET", f"/tenants/{place.name}/users")
    absent = other.call("GET", "/tenants/no-such-tenant/users")

    assert foreign.status == absent.status == 403
    assert foreign.json["detail"] == absent.json["detail"]


def test_refusals_are_in_the_trail_with_operation_and_address(found_firm, root):
    place = found_firm()  # equal refusals of others would be in the same rows
    answer = place.member.call("POST", "/tenants/-/users", {"name": "eve"})
    assert answer.status == 403
    reading = place.member.call("GET", "/tenants/-/users")
    assert reading.status == 403

    wanted = {answer.headers["x-request-id"], reading.headers["x-request-id"]}
    found = {}
    deadline = time.monotonic() + 20
    while len(found) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
        rows = root.ok("GET", f"/audit?about={place.name}&outcome=denied&limit=1000")["items"]
        found = {one["request_id"]: one for one in rows if one["request_id"] in wanted}
    assert set(found) == wanted
    for one in found.values():
        assert (one["actor"], one["source"], one["tenant"]) == ("member", "127.0.0.1", place.name)
        assert "CreateUser" in str(one) or "ListUsers" in str(one)
