"""Who may do what: every endpoint by everybody, with Basic and with a token, as one table; and what ends a right."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import httpx
import pytest
from registry_client import MANIFEST, Client, basic, code_of, descriptor, digest_of, image
from transport import SCHEME
from world import PASSWORD, World

from entrepot.capabilities.access.accounts import (
    CreateToken,
    DeleteToken,
    ModifyToken,
    create_token,
    delete_token,
    modify_token,
)
from entrepot.capabilities.access.bearer import Access, Lifetime, sign
from entrepot.capabilities.access.callers import Credential, CredentialKind, LoggedIn
from entrepot.capabilities.access.identities.grants import RemoveGrant, remove_grant
from entrepot.capabilities.access.identities.keys import (
    EnableKey,
    KeysOf,
    NamedKey,
    create_key,
    delete_key,
    enable_key,
)
from entrepot.capabilities.access.identities.tenants import list_projects
from entrepot.capabilities.access.identities.users import (
    EnableUser,
    NamedUser,
    SetPassword,
    delete_user,
    enable_user,
    set_password,
)
from entrepot.capabilities.access.secrets import derived_password
from entrepot.capabilities.access.service_accounts import (
    ModifyServiceAccount,
    modify_service_account,
)
from entrepot.capabilities.content.deleting import delete_repository
from entrepot.capabilities.content.place import Place
from entrepot.capabilities.instances.creating import CreateInstance, create_instance
from entrepot.metadata import identities
from entrepot.model.access import AccountKind, Level, Permission
from entrepot.model.ids import Micros
from entrepot.model.network_access import EntryStatus
from entrepot.oci.reference import RepositoryName

SCOPE = "pull,push,delete"
REVOKED_WITHIN_SECONDS = 2.0

# -- the table --------------------------------------------------------------------------------------------------------

Y, N, A = "allowed", "forbidden", "anonymous"
CALLERS = (
    "anonymous", "stranger", "reader", "writer", "manager", "denied", "revoked", "expired",
    "puller", "pusher", "owner",
)  # fmt: skip
#               anonymous stranger reader writer manager denied revoked expired puller pusher owner
PULLING = dict(zip(CALLERS, (A, N, Y, Y, Y, N, N, A, Y, Y, Y), strict=True))
PUSHING = dict(zip(CALLERS, (A, N, N, Y, Y, N, N, A, N, Y, Y), strict=True))
DELETING = dict(zip(CALLERS, (A, N, N, Y, Y, N, N, A, N, N, Y), strict=True))
LOGIN = dict(zip(CALLERS, (A, Y, Y, Y, Y, Y, Y, A, Y, Y, Y), strict=True))


@dataclass(frozen=True)
class Scene:
    """An image of its own, in a repository where nothing else happens."""

    name: str
    digest: str
    layer: str
    loose: str  # a blob that no manifest names
    session: str  # the caller's own where it may have one


@dataclass(frozen=True)
class Endpoint:
    """`allowed`: the status for those who may."""

    name: str
    allowed: int
    expected: dict[str, str]
    ask: Callable[[Client, Scene], httpx.Response]
    changes: bool = False


def manifest_put(client: Client, scene: Scene) -> httpx.Response:
    return client.push_manifest(scene.name, "again", image([b"layer"]))


ENDPOINTS = [
    Endpoint("base", 200, LOGIN, lambda c, _: c.get("/v2/")),
    Endpoint("tags", 200, PULLING, lambda c, s: c.get(f"/v2/{s.name}/tags/list")),
    Endpoint("manifest by tag", 200, PULLING, lambda c, s: c.get(f"/v2/{s.name}/manifests/latest")),
    Endpoint("manifest by digest", 200, PULLING, lambda c, s: c.get(f"/v2/{s.name}/manifests/{s.digest}")),
    Endpoint("manifest head", 200, PULLING, lambda c, s: c.head(f"/v2/{s.name}/manifests/{s.digest}")),
    Endpoint("absent manifest", 404, PULLING, lambda c, s: c.get(f"/v2/{s.name}/manifests/absent")),
    Endpoint("blob", 200, PULLING, lambda c, s: c.get(f"/v2/{s.name}/blobs/{s.layer}")),
    Endpoint("blob head", 200, PULLING, lambda c, s: c.head(f"/v2/{s.name}/blobs/{s.layer}")),
    Endpoint("referrers", 200, PULLING, lambda c, s: c.get(f"/v2/{s.name}/referrers/{s.digest}")),
    Endpoint("manifest put", 201, PUSHING, manifest_put, changes=True),
    Endpoint("upload start", 202, PUSHING, lambda c, s: c.post(f"/v2/{s.name}/blobs/uploads/"), changes=True),
    Endpoint("whole blob", 201, PUSHING, lambda c, s: c.post(f"/v2/{s.name}/blobs/uploads/", params={"digest": digest_of(b"n")}, content=b"n"), changes=True),
    Endpoint("mount", 201, PUSHING, lambda c, s: c.post(f"/v2/{s.name}/blobs/uploads/", params={"mount": s.layer, "from": s.name}), changes=True),
    Endpoint("upload status", 204, PUSHING, lambda c, s: c.get(s.session)),
    Endpoint("upload chunk", 202, PUSHING, lambda c, s: c.patch(s.session, content=b"n"), changes=True),
    Endpoint("upload commit", 201, PUSHING, lambda c, s: c.put(s.session, params={"digest": digest_of(b"")}), changes=True),
    Endpoint("upload cancel", 204, PUSHING, lambda c, s: c.delete(s.session), changes=True),
    Endpoint("tag delete", 202, DELETING, lambda c, s: c.delete(f"/v2/{s.name}/manifests/latest"), changes=True),
    Endpoint("manifest delete", 202, DELETING, lambda c, s: c.delete(f"/v2/{s.name}/manifests/{s.digest}"), changes=True),
    Endpoint("blob delete", 202, DELETING, lambda c, s: c.delete(f"/v2/{s.name}/blobs/{s.loose}"), changes=True),
]  # fmt: skip


@pytest.fixture(scope="module")
def logins(world: World) -> dict[str, Client]:
    """Everybody's Basic login. `revoked` had a grant, and lost it before the test's first request."""
    name, revoked = world.new_member(Level.MANAGE)
    assert revoked.get("/v2/").status_code == 200
    world.operator.run(remove_grant, RemoveGrant(world.target("acme"), name))
    return {
        **world.accounts,
        "owner": world.owner,
        "stranger": world.stranger,
        "anonymous": world.client,
        "revoked": revoked,
    }


@pytest.fixture(scope="module")
def shared_scene(world: World) -> Scene:
    return make_scene(world)


def make_scene(world: World) -> Scene:
    name = world.repository()
    payload = world.owner.push_image(name, b"layer")
    loose = world.owner.push_blob(name, b"loose")
    return Scene(name, digest_of(payload), digest_of(b"layer"), loose, "")


def with_session(world: World, scene: Scene, client: Client, endpoint: Endpoint) -> Scene:
    """With an upload session of this client, where the endpoint is about one."""
    if not endpoint.name.startswith("upload "):
        return scene
    return replace(scene, session=client.start_upload(scene.name))


def status(endpoint: Endpoint, who: str, *, by_token: bool) -> int:
    """A token without the scope asks for a better one; Basic says that there is no more to have."""
    verdict = endpoint.expected[who]
    if verdict == Y:
        return endpoint.allowed
    return 401 if verdict == A or by_token else 403


@pytest.mark.parametrize("by_token", [False, True], ids=["basic", "token"])
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_everybody_may_do_what_they_may_and_no_more(
    world, logins, shared_scene, endpoint, by_token
):
    asked = [who for who in CALLERS if who != "expired"]  # only tokens expire: below
    wrong = {}

    def try_it(who: str, scene: Scene) -> None:
        client = logins[who]
        if by_token:
            client = client.bearer(f"repository:{scene.name}:{SCOPE}")
        answer = endpoint.ask(client, scene)
        expected = status(endpoint, who, by_token=by_token)
        if answer.status_code != expected:
            wrong[who] = (answer.status_code, expected, answer.text)

    for who in (who for who in asked if endpoint.expected[who] == Y):
        scene = make_scene(world) if endpoint.changes else shared_scene
        try_it(who, with_session(world, scene, logins[who], endpoint))
    scene = with_session(world, shared_scene, world.owner, endpoint)
    before = world.state()
    for who in (who for who in asked if endpoint.expected[who] != Y):
        try_it(who, scene)
    assert wrong == {}
    assert world.state() == before


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_an_expired_token_is_no_login(world, shared_scene, endpoint):
    client = world.client.with_bearer(minted(world, shared_scene.name, issued_seconds_ago=400))
    scene = with_session(world, shared_scene, world.owner, endpoint)
    answer = endpoint.ask(client, scene)
    assert answer.status_code == 401
    fresh = world.client.with_bearer(minted(world, shared_scene.name, issued_seconds_ago=1))
    assert fresh.get(f"/v2/{shared_scene.name}/tags/list").status_code == 200


def minted(world: World, name: str, *, issued_seconds_ago: float, **changes: object) -> str:
    """A token of acme's owner as the service would have made it then."""
    access = world.operator.ctx.access
    tenant, where = world.acme.id, world.shared.id
    user = world.operator.read(lambda conn: identities.find_user(conn, tenant, "owner"))
    version = world.operator.read(lambda conn: identities.password_of(conn, user.id))[1]
    caller = LoggedIn(
        subject=f"user:{user.id}",
        name="owner",
        tenant=tenant,
        user=user.id,
        credential=Credential(CredentialKind.USER, user.id, version),
    )
    issued = Micros(int((time.time() - issued_seconds_ago) * 1e6))
    scopes = [Access("repository", name, ["pull", "push", "delete"])]
    return sign(
        access.ring,
        caller,
        instance=changes.get("instance", where),
        access=scopes,
        lifetime=Lifetime(issued, 300),
    )


def test_the_catalog_is_for_those_who_log_in(world, logins):
    assert world.client.get("/v2/_catalog").status_code == 401
    narrow = world.owner.bearer(f"repository:{world.repository()}:pull")
    answer = narrow.get("/v2/_catalog")
    assert answer.status_code == 401
    assert 'scope="registry:catalog:*"' in answer.headers["www-authenticate"]
    for who in ("owner", "reader", "stranger", "root"):
        login = world.root if who == "root" else logins[who]
        assert login.get("/v2/_catalog").status_code == 200, who
        assert login.bearer("registry:catalog:*").get("/v2/_catalog").status_code == 200, who


# -- public -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "who", ["anonymous", "anonymous token", "stranger", "stranger token", "denied"]
)
def test_anybody_pulls_what_is_public_and_nothing_more(world, logins, who):
    name = world.repository("open")
    payload = world.owner.push_image(name, b"layer")
    login = logins[who.partition(" ")[0]]
    client = login.bearer(f"repository:{name}:{SCOPE}") if who.endswith("token") else login
    assert client.get(f"/v2/{name}/manifests/latest").content == payload
    assert client.head(f"/v2/{name}/blobs/{digest_of(b'layer')}").status_code == 200
    assert client.get(f"/v2/{name}/tags/list").status_code == 200
    refused = 403 if who in ("stranger", "denied") else 401
    for answer in (
        client.push_manifest(name, "x", payload),
        client.post(f"/v2/{name}/blobs/uploads/"),
        client.delete(f"/v2/{name}/manifests/latest"),
        client.post("/v2/open/made-by-nobody/blobs/uploads/"),
    ):
        assert answer.status_code == refused


# -- what ends a right ------------------------------------------------------------------------------------------------


def ends(client: Client, path: str, wanted: int = 401) -> float:
    """How many seconds the client could still read, after which it was refused."""
    began = time.monotonic()
    while (found := client.get(path).status_code) == 200:
        assert time.monotonic() - began < REVOKED_WITHIN_SECONDS, "still lets in"
        time.sleep(0.02)
    assert found == wanted
    return time.monotonic() - began


@pytest.fixture
def held(world: World) -> tuple[str, Client, Client, str]:
    """A member with a grant: name, login, a token in use, and a path it reads."""
    scene = make_scene(world)
    name, login = world.new_member(Level.MANAGE)
    path = f"/v2/{scene.name}/manifests/latest"
    token = login.bearer(f"repository:{scene.name}:{SCOPE}")
    assert token.get(path).status_code == login.get(path).status_code == 200
    return name, login, token, path


def test_a_grant_taken_back_ends_tokens_and_logins(world, held):
    name, login, token, path = held
    world.operator.run(remove_grant, RemoveGrant(world.target("acme"), name))
    began = time.monotonic()
    while token.get(path).status_code == 200:
        assert time.monotonic() - began < REVOKED_WITHIN_SECONDS
    assert token.get(path).status_code in (401, 403)
    ends(login, path, 403)


def test_a_policy_that_denies_ends_tokens(world, held):
    name, login, token, path = held
    world.deny(name, "acme/*")
    began = time.monotonic()
    while token.get(path).status_code == 200:
        assert time.monotonic() - began < REVOKED_WITHIN_SECONDS
    ends(login, path, 403)


def test_a_disabled_user_is_out(world, held):
    name, login, token, path = held
    world.operator.run(enable_user, EnableUser(world.acme.id, name, enabled=False))
    ends(token, path)
    ends(login, path)


def test_a_deleted_user_is_out(world, held):
    name, login, token, path = held
    world.operator.run(delete_user, NamedUser(world.acme.id, name))
    ends(token, path)
    ends(login, path)


def test_a_new_password_ends_what_the_old_one_made(world, held):
    name, login, token, path = held
    world.operator.run(set_password, SetPassword(world.acme.id, name, password="another-Passw0rd"))
    ends(token, path)
    ends(login, path)
    assert world.client.with_basic(f"acme/{name}", "another-Passw0rd").get(path).status_code == 200


def test_a_disabled_service_account_is_out(world):
    scene = make_scene(world)
    name = f"s{secrets.token_hex(4)}"
    login = world.service_account(name, Permission.PULL)
    path = f"/v2/{scene.name}/manifests/latest"
    token = login.bearer(f"repository:{scene.name}:pull")
    assert token.get(path).status_code == login.get(path).status_code == 200
    command = ModifyServiceAccount(world.shared, name, enabled=False, tenant=world.acme.id)
    world.operator.run(modify_service_account, command)
    ends(token, path)
    ends(login, path)


@pytest.mark.parametrize("kind", [AccountKind.TEMPORARY, AccountKind.LONGTERM])
@pytest.mark.parametrize("how", ["disabled", "deleted", "its user disabled"])
def test_a_users_token_ends_with_it_and_with_the_user(world, kind, how):
    scene = make_scene(world)
    name, _ = world.new_member(Level.READ)
    user = world.operator.read(lambda conn: identities.find_user(conn, world.acme.id, name))
    made = world.operator.run(create_token, CreateToken(world.shared, kind, user=user.id))
    login = world.client.with_basic(made.account.username, made.secret)
    path = f"/v2/{scene.name}/manifests/latest"
    token = login.bearer(f"repository:{scene.name}:pull")
    assert token.get(path).status_code == login.get(path).status_code == 200
    assert login.post(f"/v2/{scene.name}/blobs/uploads/").status_code == 403
    if how == "disabled":
        command = ModifyToken(world.shared, made.account.public_id, enabled=False)
        world.operator.run(modify_token, command)
    elif how == "deleted":
        world.operator.run(delete_token, DeleteToken(world.shared, made.account.public_id))
    else:
        world.operator.run(enable_user, EnableUser(world.acme.id, name, enabled=False))
    ends(token, path)
    ends(login, path)


@pytest.mark.parametrize("how", ["disabled", "deleted"])
def test_an_access_keys_login_ends_with_the_key(world, how):
    scene = make_scene(world)
    name, _ = world.new_member(Level.READ)
    key = world.operator.run(create_key, KeysOf(world.acme.id, name))
    project = world.operator.run(list_projects, world.acme.id)[0].name
    identifier = key.key.access_key_id
    login = world.client.with_basic(
        f"{project}@{identifier}", derived_password(identifier, key.secret)
    )
    path = f"/v2/{scene.name}/manifests/latest"
    token = login.bearer(f"repository:{scene.name}:pull")
    assert token.get(path).status_code == login.get(path).status_code == 200
    if how == "disabled":
        command = EnableKey(world.acme.id, identifier, enabled=False)
        world.operator.run(enable_key, command)
    else:
        world.operator.run(delete_key, NamedKey(world.acme.id, identifier))
    ends(token, path)
    ends(login, path)


# -- scopes -----------------------------------------------------------------------------------------------------------


def test_a_token_does_what_it_was_asked_for_only(world):
    one, other = make_scene(world), make_scene(world)
    pushes = world.owner.bearer(f"repository:{one.name}:push")
    assert pushes.post(f"/v2/{one.name}/blobs/uploads/").status_code == 202
    pulls = world.owner.bearer(f"repository:{one.name}:pull")
    assert pulls.get(f"/v2/{one.name}/manifests/latest").status_code == 200
    for client, answer in (
        ("push", pushes.get(f"/v2/{one.name}/manifests/latest")),
        ("push", pushes.get(f"/v2/{one.name}/blobs/{one.layer}")),
        ("push", pushes.delete(f"/v2/{one.name}/manifests/latest")),
        ("pull", pulls.post(f"/v2/{one.name}/blobs/uploads/")),
        ("pull", pulls.delete(f"/v2/{one.name}/manifests/{one.digest}")),
        ("pull", pulls.get(f"/v2/{other.name}/manifests/latest")),
        ("pull", pulls.head(f"/v2/{other.name}/blobs/{other.layer}")),
        ("push", pushes.post(f"/v2/{other.name}/blobs/uploads/")),
        ("push", pushes.post("/v2/acme/never-made/blobs/uploads/")),
    ):
        assert answer.status_code == 401, (client, answer.request.url)
        assert "Bearer realm=" in answer.headers["www-authenticate"]


def test_a_token_does_not_outlive_its_repository(world):
    """Deleted and made again under the same name it is another one, and an old token opens nothing of it."""
    scene = make_scene(world)
    old = world.accounts["writer"].bearer(f"repository:{scene.name}:{SCOPE}")
    path = f"/v2/{scene.name}/manifests/latest"
    assert old.get(path).status_code == 200
    place = Place(world.shared, RepositoryName.parse(scene.name))
    world.operator.run(delete_repository, place)
    assert old.get(path).status_code == 401
    assert world.owner.get(path).status_code == 404
    payload = world.owner.push_image(scene.name, b"new and secret")
    assert old.get(path).status_code == 401
    assert old.get(f"/v2/{scene.name}/blobs/{digest_of(b'new and secret')}").status_code == 401
    assert old.post(f"/v2/{scene.name}/blobs/uploads/").status_code == 401
    assert world.owner.get(f"/v2/{scene.name}/blobs/{scene.loose}").status_code == 404
    assert world.owner.get(path).content == payload


def test_a_token_made_before_the_repository_pushes_into_it(world):
    name = world.repository()
    token = world.accounts["writer"].bearer(f"repository:{name}:pull,push")
    payload = token.push_image(name, b"layer")
    assert token.get(f"/v2/{name}/manifests/latest").content == payload


def test_a_grant_on_one_repository_is_for_that_one(world):
    one, other = make_scene(world), make_scene(world)
    name, login = world.new_member()
    world.grant(one.name, name, Level.EDIT)
    assert login.get(f"/v2/{one.name}/manifests/latest").status_code == 200
    assert login.post(f"/v2/{one.name}/blobs/uploads/").status_code == 202
    assert login.get(f"/v2/{other.name}/manifests/latest").status_code == 403
    assert login.post("/v2/acme/not-made-yet/blobs/uploads/").status_code == 403
    assert login.get("/v2/_catalog").json()["repositories"] == [one.name]


def test_a_member_without_anything_has_nothing(world, shared_scene):
    _, login = world.new_member()
    assert login.get("/v2/").status_code == 200
    assert login.get(f"/v2/{shared_scene.name}/tags/list").status_code == 403
    assert login.get("/v2/_catalog").json()["repositories"] == []


# -- instances by host name -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dedicated(world: World) -> tuple[str, str]:
    """An instance of acme's own with the same names in it: host, and a repository that both have."""
    command = CreateInstance(world.acme.id, "second", entry=EntryStatus.OPENED, at_once=True)
    second = world.operator.run(create_instance, command)
    world.namespace("acme", world.acme, instance=second)
    host = "second.entrepot.localhost"
    name = world.repository()
    deadline = time.monotonic() + 5
    there = world.owner.at(host)
    while there.get("/v2/").status_code == 404 and time.monotonic() < deadline:
        time.sleep(0.05)
    world.owner.push_image(name, b"of the shared one")
    there.push_image(name, b"of the dedicated one")
    return host, name


def test_a_token_of_another_instance_opens_nothing(world, dedicated):
    host, name = dedicated
    here, there = world.owner, world.owner.at(host)
    scope = f"repository:{name}:{SCOPE}"
    ours, theirs = here.token(scope), there.token(scope)
    path = f"/v2/{name}/manifests/latest"
    assert world.client.with_bearer(ours).get(path).status_code == 200
    assert world.client.at(host).with_bearer(theirs).get(path).status_code == 200
    for client in (world.client.with_bearer(theirs), world.client.at(host).with_bearer(ours)):
        assert client.get(path).status_code == 401
        assert client.get("/v2/").status_code == 401
        assert client.post(f"/v2/{name}/blobs/uploads/").status_code == 401


def test_instances_share_no_content(world, dedicated):
    host, name = dedicated
    here, there = world.owner, world.owner.at(host)
    shared, own = digest_of(b"of the shared one"), digest_of(b"of the dedicated one")
    assert here.head(f"/v2/{name}/blobs/{shared}").status_code == 200
    assert there.head(f"/v2/{name}/blobs/{own}").status_code == 200
    assert here.head(f"/v2/{name}/blobs/{own}").status_code == 404
    assert there.head(f"/v2/{name}/blobs/{shared}").status_code == 404
    for params in ({"mount": own}, {"mount": own, "from": name}):
        assert here.post(f"/v2/{name}/blobs/uploads/", params=params).status_code == 202
    session = here.start_upload(name)
    assert there.get(session).status_code == 404


def test_the_challenge_names_the_host_that_was_asked(world, dedicated):
    host, _ = dedicated
    answer = world.client.at(f"{host}:{world.registry.port}").get("/v2/")
    realm = f'realm="{SCHEME}://{host}:{world.registry.port}/service/token"'
    assert realm in answer.headers["www-authenticate"]


@pytest.mark.parametrize("host", ["absent.entrepot.localhost", "entrepot.localhost", "example.org"])
def test_a_host_that_names_no_instance_serves_nothing(world, host):
    for path in ("/v2/", "/service/token", "/v2/acme/app/tags/list"):
        assert world.owner.at(host).get(path).status_code == 404


def test_the_default_instance_answers_at_addresses_and_localhost(world):
    for host in ("127.0.0.1", "localhost", "localhost:5000", "[::1]:5000", "10.1.2.3"):
        assert world.owner.at(host).get("/v2/").status_code == 200


# -- logins -----------------------------------------------------------------------------------------------------------


def test_the_token_service_refuses_wrong_passwords(world):
    name, _ = world.new_member()
    wrong = world.client.with_basic(f"acme/{name}", "wrong")
    for path in ("/service/token", "/v2/"):
        answer = wrong.get(path)
        assert (answer.status_code, code_of(answer)) == (401, "UNAUTHORIZED")


def test_guessing_is_slowed_for_that_account_only(world):
    name, _ = world.new_member()
    wrong = world.client.with_basic(f"acme/{name}", "wrong")
    answers = [wrong.get("/v2/") for _ in range(12)]
    assert {answer.status_code for answer in answers} == {401, 429}
    assert int(answers[-1].headers["retry-after"]) > 0
    assert world.owner.get("/v2/").status_code == 200


def test_the_form_gives_tokens_and_refresh_tokens(world, shared_scene):
    scope = f"repository:{shared_scene.name}:pull"
    form = {
        "grant_type": "password",
        "username": "acme/owner",
        "password": PASSWORD,
        "service": "entrepot",
        "scope": scope,
        "access_type": "offline",
        "client_id": "test",
    }
    made = world.client.post("/service/token", data=form).json()
    again = {**form, "grant_type": "refresh_token", "refresh_token": made["refresh_token"]}
    renewed = world.client.post("/service/token", data=again).json()
    for token in (made["access_token"], renewed["access_token"]):
        answer = world.client.with_bearer(token).get(f"/v2/{shared_scene.name}/manifests/latest")
        assert answer.status_code == 200


def test_a_basic_login_is_not_taken_for_a_token(world):
    headers = {"authorization": basic("acme/owner", PASSWORD).replace("Basic", "Bearer")}
    assert world.client.get("/v2/", headers=headers).status_code == 401


def test_a_mount_does_not_carry_over_what_the_caller_may_not_pull(world):
    """The right on the target alone is not enough, whichever way the login is shown."""
    hidden = world.repository("acme")
    content = hidden.encode()
    digest = world.owner.push_blob(hidden, content)
    target = world.repository("acme")
    world.owner.push_blob(target, b"x")
    name, login = world.new_member()
    world.grant(target, name, Level.EDIT)
    token = login.bearer(f"repository:{target}:pull,push", f"repository:{hidden}:pull")
    for client in (login, token):
        for params in ({"mount": digest}, {"mount": digest, "from": hidden}):
            assert client.post(f"/v2/{target}/blobs/uploads/", params=params).status_code == 202
    assert world.owner.head(f"/v2/{target}/blobs/{digest}").status_code == 404
    manifest = image([content], config=b"x")
    assert login.push_manifest(target, "steal", manifest).status_code == 404


def test_a_referrer_of_a_foreign_subject_says_nothing_about_it(world):
    foreign = world.repository("others")
    subject = world.stranger.push_image(foreign, b"theirs")
    name = world.repository()
    world.owner.push_blob(name, b"layer")
    world.owner.push_blob(name, b"{}")
    artifact = image([b"layer"], subject=descriptor(MANIFEST, subject))
    assert world.owner.push_manifest(name, "ref", artifact).status_code == 201
    path = f"/v2/{foreign}/referrers/{digest_of(subject)}"
    assert world.stranger.get(path).json()["manifests"] == []
    assert world.owner.get(path).status_code == 403
    assert world.owner.get(f"/v2/{name}/manifests/{digest_of(subject)}").status_code == 404
