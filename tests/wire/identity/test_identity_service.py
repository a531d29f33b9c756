"""Tokens, projects, tenants and users over the wire, to requests with a token and to signed ones, and how they are refused."""

import inspect
import json
import re
import time
from datetime import UTC, datetime

import pytest
import transport
from huaweicloudsdkcore.auth.credentials import BasicCredentials, GlobalCredentials
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkswr.v2 import ListNamespacesRequest, SwrClient
from identity_client import PASSWORD, Key

from entrepot.capabilities.access.identities.keys import (
    CreateTemporaryKey,
    create_temporary_key,
)
from entrepot.capabilities.access.identities.users import SetPassword, set_password
from entrepot.dialects.identity.errors import CODES, UNEXPECTED, code_of
from entrepot.dialects.identity.operations import ROWS
from entrepot.model import certificates, errors, identities, instances, network_access
from entrepot.model.errors import RegistryError

MICROS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
ID = re.compile(r"[0-9a-f]{32}")


def moment(text: str) -> datetime:
    assert MICROS.fullmatch(text)
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


# -- tokens -----------------------------------------------------------------------------------------------------------


def test_a_password_gives_a_token_of_a_project_for_a_day(firm):
    answer = firm.ask_token(scope={"project": {"name": firm.project.name}})
    assert answer.status == 201
    assert answer.headers["x-iam-trace-id"] == answer.headers["x-request-id"]
    assert answer.headers["cache-control"] == "no-store"
    token = answer.json["token"]
    issued, expires = moment(token["issued_at"]), moment(token["expires_at"])
    assert (expires - issued).total_seconds() == 86_400
    assert abs(time.time() - issued.timestamp()) < 60
    domain = {"id": firm.tenant.public_id, "name": firm.tenant.name}
    assert token["methods"] == ["password"]
    assert token["user"] == {"id": firm.owner.public_id, "name": "owner", "domain": domain, "password_expires_at": ""}  # fmt: skip
    assert token["project"] == {
        "id": firm.project.public_id,
        "name": firm.project.name,
        "domain": domain,
    }
    assert "domain" not in token
    assert token["roles"] == [{"id": "0", "name": "te_admin"}]
    assert [service["type"] for service in token["catalog"]] == ["swr", "iam"]
    (endpoint,) = token["catalog"][0]["endpoints"]
    assert ID.fullmatch(endpoint.pop("id"))
    assert endpoint == {
        "region": firm.project.region,
        "region_id": firm.project.region,
        "interface": "public",
        "url": firm.registry.url,
    }


def test_a_token_of_a_tenant_says_so(firm):
    for scope in (None, {"domain": {"name": firm.tenant.name}}, {"domain": {"id": firm.tenant.public_id}}):  # fmt: skip
        token = firm.ask_token(scope=scope).json["token"]
        assert token["domain"] == {"id": firm.tenant.public_id, "name": firm.tenant.name}
        assert "project" not in token


def test_members_have_no_role_of_administrators(firm):
    named = {"id": firm.member.public_id, "password": PASSWORD}
    answer = firm.ask_token(named, {"project": {"id": firm.project.public_id}})
    assert answer.status == 201
    assert answer.json["token"]["roles"] == []


def test_a_token_opens_the_service_and_shows_itself(firm):
    token = firm.token(project={"name": firm.project.name})
    shown = firm.send("GET", "/v3/auth/tokens", X_Auth_Token=token, X_Subject_Token=token)
    assert shown.status == 200
    assert shown.headers["x-subject-token"] == token
    made = firm.ask_token(scope={"project": {"name": firm.project.name}}).json["token"]
    for changing in ("issued_at", "expires_at"):
        moment(made.pop(changing))
        moment(shown.json["token"][changing])
    assert {**shown.json["token"], "issued_at": 0, "expires_at": 0} == {
        **made,
        "issued_at": 0,
        "expires_at": 0,
    }
    assert firm.send("HEAD", "/v3/projects", X_Auth_Token=token).status == 200
    assert firm.send("GET", "/v3/projects/", X_Auth_Token=token).status == 200


def test_tokens_of_others_are_not_shown(firm):
    own, others = firm.token("member"), firm.token("owner")
    answer = firm.send("GET", "/v3/auth/tokens", X_Auth_Token=own, X_Subject_Token=others)
    assert (answer.status, answer.code) == (403, "IAM.0002")
    answer = firm.send("GET", "/v3/auth/tokens", X_Auth_Token=own, X_Subject_Token="none")
    assert (answer.status, answer.code) == (401, "IAM.0063")
    answer = firm.send("GET", "/v3/auth/tokens", X_Auth_Token=own)
    assert (answer.status, answer.code) == (400, "IAM.0007")


def test_a_new_password_ends_tokens_at_once(new_firm):
    firm = new_firm()
    token = firm.token("member")
    assert firm.send("GET", "/v3/projects", X_Auth_Token=token).status == 200
    firm.operator.run(set_password, SetPassword(firm.tenant.id, "member", "another-Passw0rd"))
    answer = firm.send("GET", "/v3/projects", X_Auth_Token=token)
    assert (answer.status, answer.code) == (401, "IAM.0063")


def test_guesses_are_throttled(new_firm):
    firm = new_firm()
    codes = []
    for _ in range(12):
        guess = {"name": "member", "password": "a guess", "domain": {"name": firm.tenant.name}}
        answer = firm.ask_token(guess)
        codes.append((answer.status, answer.code))
    assert codes[0] == (401, "IAM.0062")
    assert codes[-1] == (429, "IAM.0012")
    assert int(answer.headers["retry-after"]) > 0
    assert sorted(set(codes)) == [(401, "IAM.0062"), (429, "IAM.0012")]
    assert codes == sorted(codes)
    assert firm.token("owner")


WRONG = [
    ({"name": "owner", "password": "no", "domain": {"name": "{tenant}"}}, None, 401, "IAM.0062"),
    ({"name": "nobody", "password": "no", "domain": {"name": "{tenant}"}}, None, 401, "IAM.0062"),
    ({"name": "owner", "password": PASSWORD, "domain": {"name": "none"}}, None, 401, "IAM.0062"),
    ({"name": "owner", "password": PASSWORD}, None, 400, "IAM.0007"),
    ({"password": PASSWORD}, None, 400, "IAM.0007"),
    ({"name": "owner", "domain": {"name": "{tenant}"}}, None, 400, "IAM.0011"),
    ({"name": 7, "password": PASSWORD}, None, 400, "IAM.0011"),
    ({"name": "o" * 600, "password": PASSWORD}, None, 400, "IAM.0011"),
    (None, {"project": {"name": "nowhere"}}, 404, "IAM.0004"),
    (None, {"project": {"id": "0" * 32}}, 404, "IAM.0004"),
    (None, {"project": {}}, 400, "IAM.0007"),
    (None, {"domain": {"name": "root"}}, 404, "IAM.0004"),
    (None, {"project": []}, 400, "IAM.0011"),
]


@pytest.mark.parametrize(("user", "scope", "status", "code"), WRONG)
def test_wrong_requests_for_a_token(new_firm, firm, user, scope, status, code):
    if user is not None:
        user = json.loads(json.dumps(user).replace("{tenant}", firm.tenant.name))
    answer = firm.ask_token(user, scope)
    assert (answer.status, answer.code) == (status, code)
    assert PASSWORD.encode() not in answer.body


def test_only_the_method_password_is_served(firm):
    for changes in (
        {"methods": ["token"], "token": {"id": "x"}},
        {"methods": ["password", "totp"]},
        {"methods": []},
        {"password": None},
    ):
        answer = firm.ask_token(**changes)
        assert (answer.status, answer.code) == (400, "IAM.0007"), changes


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 400), (b"{", 400), (b"[]", 400), (b"\xff", 400), (b"[" * 50_000, 400), (b" " * 70_000, 413)]
)  # fmt: skip
def test_bodies_that_are_no_request(firm, body, status):
    answer = firm.send("POST", "/v3/auth/tokens", body)
    assert (answer.status, answer.code) == (status, "IAM.0011")


# -- what there is ----------------------------------------------------------------------------------------------------


def test_projects_are_told_to_tokens_and_to_signatures(firm):
    by_token = firm.send("GET", "/v3/projects", X_Auth_Token=firm.token())
    signed = firm.signed("GET", "/v3/projects")
    assert by_token.json == signed.json
    (project,) = signed.json["projects"]
    assert project == {
        "id": firm.project.public_id,
        "name": firm.project.name,
        "domain_id": firm.tenant.public_id,
        "parent_id": firm.tenant.public_id,
        "is_domain": False,
        "enabled": True,
        "description": "",
        "links": {
            "self": f"{firm.registry.url}/v3/projects/{firm.project.public_id}",
            "previous": None,
            "next": None,
        },
    }
    one = firm.signed("GET", f"/v3/projects/{firm.project.public_id}", key=firm.member_key)
    assert one.json == {"project": project}
    assert firm.signed("GET", "/v3/auth/projects").json["projects"] == [project]


def test_projects_are_asked_for_by_name(firm):
    def named(name, **more):
        query = (("name", name), *more.items())
        found = firm.signed("GET", "/v3/projects", query=query).json["projects"]
        return [project["name"] for project in found]

    here = firm.project.name
    assert named(here) == [here]
    assert named("nowhere") == []
    assert named("cn-north-4") == [here]  # `api.vendor_regions`
    assert named(here, domain_id=firm.tenant.public_id) == [here]
    assert named(here, domain_id="0" * 32) == []


def test_projects_of_others_are_not_there(new_firm, firm):
    theirs = new_firm().project.public_id
    for path in (f"/v3/projects/{theirs}", "/v3/projects/%00", "/v3/projects/%FF"):
        answer = firm.send("GET", path, X_Auth_Token=firm.token())
        assert (answer.status, answer.code) == (404, "IAM.0004")
    answer = firm.signed("GET", "/v3/projects", X_Project_Id=theirs)
    assert (answer.status, answer.code) == (404, "IAM.0004")
    assert firm.signed("GET", "/v3/projects", X_Project_Id=firm.project.public_id).status == 200


def test_the_tenant_and_the_catalog_are_told(firm):
    (domain,) = firm.signed("GET", "/v3/auth/domains").json["domains"]
    assert (domain["id"], domain["name"]) == (firm.tenant.public_id, firm.tenant.name)
    catalog = firm.signed("GET", "/v3/auth/catalog").json["catalog"]
    token = firm.ask_token().json["token"]
    assert catalog == token["catalog"]


def test_users_are_shown_to_themselves_and_to_administrators(new_firm, firm):
    def shown(who, user, answering=firm):
        path = f"/v3.0/OS-USER/users/{user.public_id}"
        return answering.send("GET", path, X_Auth_Token=firm.token(who))

    own = shown("member", firm.member)
    assert own.status == 200
    user = own.json["user"]
    assert user["id"] == firm.member.public_id
    assert (user["name"], user["domain_id"]) == ("member", firm.tenant.public_id)
    assert (user["enabled"], user["pwd_status"], user["is_domain_owner"]) == (True, True, False)
    datetime.strptime(user["create_time"], "%Y-%m-%d %H:%M:%S.%f")
    assert shown("owner", firm.member).json == own.json
    assert shown("owner", firm.owner).json["user"]["is_domain_owner"] is True
    denied = shown("member", firm.owner)
    assert (denied.status, denied.code) == (403, "IAM.0002")
    theirs = shown("owner", new_firm().owner)
    assert (theirs.status, theirs.code) == (404, "IAM.0004")


def sdk_client(firm, region: str) -> SwrClient:
    """The vendor's, without a project: it asks for the region's when it is made."""
    how = HttpConfig.get_default_config()
    how.ssl_ca_cert = transport._pair()[0] if transport.TLS else None
    who = BasicCredentials(firm.key.id, firm.key.secret).with_iam_endpoint(firm.registry.url)
    builder = SwrClient.new_builder().with_http_config(how).with_credentials(who)
    return builder.with_region(Region(region, firm.registry.url)).build()


@pytest.mark.parametrize("is_clouds", [False, True])
def test_the_vendors_sdk_finds_its_project(new_firm, is_clouds):
    firm = new_firm()  # without namespaces of other tests
    client = sdk_client(firm, "cn-north-4" if is_clouds else firm.project.region)
    assert client._credentials.project_id == firm.project.public_id
    assert client.list_namespaces(ListNamespacesRequest()).namespaces == []


def test_the_vendors_sdk_finds_its_tenant(firm):
    client = sdk_client(firm, firm.project.region)
    whose = GlobalCredentials(firm.key.id, firm.key.secret).with_iam_endpoint(firm.registry.url)
    whose.process_auth_params(client._http_client, firm.project.region)
    assert whose.domain_id == firm.tenant.public_id


# -- who asks ---------------------------------------------------------------------------------------------------------


def test_nobody_learns_anything_without_credentials(firm):
    for row in ROWS:
        if row.needs_login:
            answer = firm.send(row.method, row.path.replace("{}", "x"))
            assert (answer.status, answer.code) == (401, "IAM.0001"), row.name
            answer = firm.send(row.method, row.path.replace("{}", "x"), X_Auth_Token="none")
            assert (answer.status, answer.code) == (401, "IAM.0063"), row.name


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Basic bm9ib2R5Og=="},
        {"Authorization": "SDK-HMAC-SM3 Access=a"},
        {"Authorization": "SDK-HMAC-SHA256 Access=a"},
        {"X-Auth-Token": ""},
        {"X-Auth-Token": "x" * 9000},
    ],
)
def test_credentials_that_are_none_of_ours(firm, headers):
    answer = firm.send("GET", "/v3/projects", **headers)
    assert answer.status == 401
    assert answer.code in ("IAM.0001", "IAM.0063")


def test_temporary_keys_sign_with_their_token(firm):
    command = CreateTemporaryKey(firm.tenant.id, "member", 3600)
    made = firm.operator.run(create_temporary_key, command)
    key = Key(made.key.access_key_id, made.secret, made.session_token)
    assert firm.signed("GET", "/v3/projects", key=key).status == 200
    for wrong in ("", "another"):
        answer = firm.signed("GET", "/v3/projects", key=Key(key.id, key.secret, wrong))
        assert (answer.status, answer.code) == (401, "IAM.0001")


def test_keys_that_are_no_good(firm):
    for key in (
        Key("AKIDNOBODY", firm.key.secret),
        Key(firm.key.id, "another secret"),
        Key(firm.key.id, firm.key.secret, "a token"),
        Key("a@b", "c"),
    ):
        answer = firm.signed("GET", "/v3/projects", key=key)
        assert (answer.status, answer.code) == (401, "IAM.0001")
    old = firm.signed("GET", "/v3/projects", X_Sdk_Date="20240102T030405Z")
    assert (old.status, old.code) == (401, "IAM.0001")


def test_what_is_not_served(firm):
    token = firm.token()
    for method, path in (
        ("GET", "/v3/"),
        ("GET", "/v3/nothing"),
        ("DELETE", "/v3/projects"),
        ("GET", "/v3.0/OS-USER/users/"),
        ("GET", "/v3/projects/a/b"),
        ("PUT", "/v3/auth/tokens"),
        ("GET", "/v3%2Fprojects"),
    ):
        answer = firm.send(method, path, X_Auth_Token=token)
        assert answer.status in (400, 404), (method, path)
        if path.startswith(("/v3/", "/v3.0/")):
            assert answer.code == "IAM.0004", (method, path)


def test_it_is_at_its_own_host_and_says_where_registries_are(firm):
    suffix = str(firm.operator.settings.http.suffix)
    token = firm.token(project={"name": firm.project.name})
    host = f"iam.{suffix}:{firm.registry.port}"
    answer = firm.send("GET", "/v3/auth/catalog", X_Auth_Token=token, Host=host)
    swr, iam = answer.json["catalog"]
    scheme = firm.registry.url.partition(":")[0]
    region = firm.project.region
    assert [one["url"] for one in swr["endpoints"]] == [
        f"{scheme}://swr-api.{region}.{suffix}:{firm.registry.port}"
    ]
    assert [one["url"] for one in iam["endpoints"]] == [f"{scheme}://{host}/v3"]
    swr_host = f"swr-api.{region}.{suffix}"
    assert firm.send("GET", "/v3/projects", X_Auth_Token=token, Host=swr_host).status == 200
    for other in (f"swr.{region}.{suffix}", f"tcr.{suffix}", f"nothing.{suffix}"):
        assert firm.send("GET", "/v3/projects", X_Auth_Token=token, Host=other).status == 404


# -- tables -----------------------------------------------------------------------------------------------------------


def kinds():
    for module in (errors, identities, instances, certificates, network_access):
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, RegistryError) and not kind.__subclasses__():
                yield kind


@pytest.mark.parametrize("kind", sorted(set(kinds()), key=lambda k: k.__name__))
def test_every_error_has_a_code_of_its_status(kind):
    code = code_of(kind)
    assert 400 <= code.status < 600
    assert code is not UNEXPECTED or kind is errors.ObjectMissing
    assert re.fullmatch(r"IAM\.\d{4}", code.code)


def test_no_row_of_the_error_table_is_in_vain():
    used = {next(a for a in kind.__mro__ if a in CODES) for kind in kinds()}
    assert set(CODES) - used <= {RegistryError, errors.Denied}
