"""What clients of SWR log in to the registry with: the pair for a day and the lasting pair, on every way in, and until they end."""

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from identity_client import Firm, Key

from entrepot.capabilities.access.identities.keys import EnableKey, enable_key
from entrepot.capabilities.access.identities.users import SetPassword, set_password
from entrepot.capabilities.instances.namespaces import CreateNamespace, create_namespace
from entrepot.metadata import instances

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
FORM = "application/x-www-form-urlencoded"


def basic(pair: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(":".join(pair).encode()).decode()


def lasting(firm: Firm, key: Key) -> tuple[str, str]:
    """The long-term pair of a key, by the vendor's rule."""
    secret = hmac.new(key.secret.encode(), key.id.encode(), hashlib.sha256).hexdigest()
    return f"{firm.project.name}@{key.id}", secret


def for_a_day(firm: Firm, key: Key | None = None) -> tuple[str, str]:
    """A temporary pair, out of the command that the API answers."""
    answer = firm.signed("POST", "/v2/manage/utils/secret", key=key)
    assert answer.status == 200, answer
    return pair_of(firm, answer)


def pair_of(firm: Firm, answer) -> tuple[str, str]:
    host = f"127.0.0.1:{firm.registry.port}"
    docker, login, u, username, p, secret, at = answer.headers["x-swr-dockerlogin"].split(" ")
    assert (docker, login, u, p, at) == ("docker", "login", "-u", "-p", host)
    auth = base64.b64encode(f"{username}:{secret}".encode()).decode()
    assert answer.json == {"auths": {host: {"auth": auth}}}
    ends = datetime.fromisoformat(answer.headers["x-swr-expireat"])
    assert timedelta(hours=23) < ends - datetime.now(UTC) <= timedelta(hours=24)
    return username, secret


def status(firm: Firm, pair: tuple[str, str]) -> int:
    return firm.send("GET", "/v2/", Authorization=basic(pair)).status


@pytest.fixture(params=[lasting, for_a_day], ids=["lasting", "for-a-day"])
def pair(request, firm) -> tuple[str, str]:
    return request.param(firm, firm.key)


@pytest.fixture(scope="session")
def organization(firm) -> str:
    shared = firm.operator.read(instances.default_instance).id
    name = f"{firm.tenant.name}-logins"
    firm.operator.run(create_namespace, CreateNamespace(shared, firm.tenant.id, name))
    return name


def bearer(firm: Firm, pair: tuple[str, str], scope: str) -> str:
    query = urlencode({"service": "entrepot", "scope": scope})
    answer = firm.send("GET", f"/service/token?{query}", Authorization=basic(pair))
    assert answer.status == 200, answer
    return f"Bearer {answer.json['token']}"


def push(firm: Firm, name: str, authorization: str) -> None:
    """An image of its configuration alone."""
    config = b'{"architecture":"any"}'
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    target = f"/v2/{name}/blobs/uploads/?digest={digest}"
    kind = {"Content_Type": "application/octet-stream"}
    answer = firm.send("POST", target, config, Authorization=authorization, **kind)
    assert answer.status == 201, answer
    described = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {**described, "size": len(config)},
        "layers": [],
    }
    target = f"/v2/{name}/manifests/latest"
    body = json.dumps(manifest).encode()
    answer = firm.send("PUT", target, body, Authorization=authorization, Content_Type=MANIFEST)
    assert answer.status == 201, answer


def pull(firm: Firm, name: str, authorization: str) -> int:
    target = f"/v2/{name}/manifests/latest"
    return firm.send("GET", target, Authorization=authorization, Accept=MANIFEST).status


def test_both_pairs_push_and_pull_by_basic_and_by_token(firm, organization, pair):
    for number, authorization in enumerate(
        (basic(pair), bearer(firm, pair, f"repository:{organization}/app:pull,push"))
    ):
        name = f"{organization}/app" if number else f"{organization}/basic"
        push(firm, name, authorization)
        assert pull(firm, name, authorization) == 200
    assert status(firm, pair) == 200
    assert status(firm, (pair[0], pair[1][:-1] + "g")) == 401


def test_both_pairs_give_tokens_by_form_and_refresh(firm, organization, pair):
    form = {
        "grant_type": "password",
        "service": "entrepot",
        "client_id": "tests",
        "scope": f"repository:{organization}/app:push",
        "username": pair[0],
        "password": pair[1],
        "access_type": "offline",
    }
    body = urlencode(form).encode()
    answer = firm.send("POST", "/service/token", body, Content_Type=FORM)
    assert answer.status == 200
    push(firm, f"{organization}/app", f"Bearer {answer.json['access_token']}")
    form = {
        "grant_type": "refresh_token",
        "service": "entrepot",
        "client_id": "tests",
        "scope": f"repository:{organization}/app:pull",
        "refresh_token": answer.json["refresh_token"],
    }
    answer = firm.send("POST", "/service/token", urlencode(form).encode(), Content_Type=FORM)
    assert pull(firm, f"{organization}/app", f"Bearer {answer.json['access_token']}") == 200


def test_members_pairs_have_no_more_rights_than_members(firm, organization):
    push(firm, f"{organization}/app", basic(lasting(firm, firm.key)))
    for pair in (lasting(firm, firm.member_key), for_a_day(firm, firm.member_key)):
        assert status(firm, pair) == 200
        assert pull(firm, f"{organization}/app", basic(pair)) in (403, 404)
        token = bearer(firm, pair, f"repository:{organization}/app:pull")
        assert pull(firm, f"{organization}/app", token) == 401


def test_pairs_open_no_management_api(firm, pair):
    for path in ("/v3/projects", "/v2/manage/namespaces"):
        assert firm.send("GET", path, Authorization=basic(pair)).status == 401
    assert firm.send("GET", "/api/v1/tenants/-", Authorization=basic(pair)).status in (401, 403)
    token = bearer(firm, pair, "registry:catalog:*").removeprefix("Bearer ")
    assert firm.send("GET", "/v3/projects", X_Auth_Token=token).status == 401


def test_identity_tokens_open_no_registry(firm, organization):
    token = firm.token()
    assert firm.send("GET", "/v2/", Authorization=f"Bearer {token}").status == 401
    assert status(firm, ("owner", token)) == 401


def test_a_token_gets_a_pair_that_is_named_after_the_users_key(firm):
    token = firm.token(project={"name": firm.project.name})
    answer = firm.send("POST", "/v2/manage/utils/secret", b"", X_Auth_Token=token)
    assert answer.status == 200, answer
    pair = pair_of(firm, answer)
    assert pair[0] == f"{firm.project.name}@{firm.key.id}"
    assert status(firm, pair) == 200


def soon(firm: Firm, pairs: list[tuple[str, str]]) -> list[int]:
    """What the pairs are answered once the server knows what the operator changed: it remembers logins until then."""
    deadline = time.monotonic() + 5
    while status(firm, pairs[-1]) == 200 and time.monotonic() < deadline:
        time.sleep(0.05)
    return [status(firm, pair) for pair in pairs]


def test_pairs_end_with_their_key(new_firm):
    firm = new_firm()
    pairs = [lasting(firm, firm.key), for_a_day(firm)]
    assert [status(firm, pair) for pair in pairs] == [200, 200]
    firm.operator.run(enable_key, EnableKey(firm.tenant.id, firm.key.id, False))
    assert soon(firm, pairs) == [401, 401]


def test_a_pair_for_a_day_ends_with_the_password(new_firm):
    firm = new_firm()
    pairs = [lasting(firm, firm.key), for_a_day(firm)]
    assert [status(firm, pair) for pair in pairs] == [200, 200]
    firm.operator.run(set_password, SetPassword(firm.tenant.id, "owner", "another-Passw0rd"))
    assert soon(firm, pairs) == [200, 401]


def test_the_clouds_names_of_regions_are_taken_for_the_default_one(firm):
    username, secret = lasting(firm, firm.key)
    assert status(firm, (username.replace(firm.project.name, "cn-north-4"), secret)) == 200
    query = (("projectname", "cn-north-4"),)
    answer = firm.signed("POST", "/v2/manage/utils/secret", query=query)
    assert pair_of(firm, answer)[0] == username


def test_a_project_that_is_not_the_tenants_gives_no_pair(firm):
    answer = firm.signed("POST", "/v2/manage/utils/secret", query=(("projectname", "nowhere"),))
    assert answer.status == 403
    assert b"SVCSTG.SWR.4039001" in answer.body
    username, secret = lasting(firm, firm.key)
    assert status(firm, (username.replace(firm.project.name, "nowhere"), secret)) == 401
