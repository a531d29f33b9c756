"""Who may reach a dedicated instance: by the client's address, before anything else is asked."""

import secrets
import time

import httpx
import pytest
import sqlalchemy as sa
from in_process import deployed
from registry_client import Client, basic, code_of
from started import ROOT_PASSWORD
from transport import TLS, trust

from entrepot.capabilities.instances.allow_list import (
    AddAllowed,
    NewAllowed,
    RemoveAllowed,
    Which,
    add_allowed,
    remove_allowed,
)
from entrepot.capabilities.instances.entries import SetEntry, get_entry, set_entry
from entrepot.capabilities.instances.links import OneLink, create_link, delete_link, list_links
from entrepot.capabilities.instances.managed import OfInstance
from entrepot.capabilities.instances.networks import CreateNetwork, create_network
from entrepot.metadata import epochs, instances, namespaces, schema, tenants
from entrepot.model.network_access import EntryStatus
from entrepot.model.tenancy import InstanceKind

pytestmark = pytest.mark.broad

SUFFIX = "entrepot.localhost"


def make_instance(operator, tenant, name, entry=EntryStatus.CLOSED):
    def write(conn):
        region = tenants.list_regions(conn)[0]
        made = instances.insert_instance(
            conn,
            InstanceKind.DEDICATED,
            name,
            tenant=tenant.id,
            region=region.id,
            edition="basic",
            entry=entry,
        )
        namespaces.insert_namespace(
            conn, made.id, tenant.id, name="acme", is_public=True, created_by=None
        )
        epochs.raise_epoch(conn, epochs.ROUTING)
        return made

    return operator.do(operator.ctx.access.change(write))


def soon(question, seconds=10.0):
    """Wait for something another process does."""
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


class Reached:
    """An instance of acme in the started registry, its clients by their source addresses, and its operator."""

    def __init__(self, world, entry=EntryStatus.CLOSED):
        self.world = world
        self.name = f"i{secrets.token_hex(4)}"
        self.host = f"{self.name}.{SUFFIX}"
        self.instance = make_instance(world.operator, world.acme, self.name, entry)
        self.clients = []
        soon(lambda: self.from_("127.0.0.1").get("/v2/").status_code != 404)

    def from_(self, address):
        transport = httpx.HTTPTransport(
            verify=trust() if TLS else False, local_address=address, retries=1
        )
        http = httpx.Client(
            base_url=self.world.registry.url, transport=transport, timeout=20, trust_env=False
        )
        self.clients.append(http)
        owner = self.world.owner.authorization
        return Client(self.world.registry.url, owner, self.host, http)

    def close(self):
        for http in self.clients:
            http.close()

    def run(self, use_case, *arguments):
        return self.world.operator.run(use_case, *arguments)

    def open(self):
        self.run(set_entry, SetEntry(self.instance.id, opened=True))
        soon(lambda: self.run(get_entry, OfInstance(self.instance.id)) == "opened")

    def allow(self, *cidrs):
        self.run(add_allowed, AddAllowed(self.instance.id, [NewAllowed(c) for c in cidrs]))

    def disallow(self, cidr):
        self.run(remove_allowed, RemoveAllowed(self.instance.id, [Which(cidr=cidr)]))


@pytest.fixture
def reached(world):
    made = Reached(world)
    yield made
    made.close()


def refused(answer):
    """The sentence of a refusal by address."""
    assert answer.status_code == 403, (answer.status_code, answer.text)
    assert code_of(answer) == "DENIED"
    return answer.json()["errors"][0]["message"]


def ask(client, token=None):
    """One request to every path of the data plane, by its method and path."""
    by = client if token is None else client.with_bearer(token)
    asked = (
        ("GET", "/v2/"),
        ("GET", "/v2"),
        ("GET", "/v2/_catalog"),
        ("GET", "/v2/acme/app/tags/list"),
        ("GET", "/v2/acme/app/manifests/latest"),
        ("POST", "/v2/acme/app/blobs/uploads/"),
        ("PUT", "/v2/acme/app/manifests/latest"),
        ("DELETE", "/v2/acme/app/manifests/latest"),
        ("GET", "/v2/nonsense"),
        ("GET", "/service/token?service=entrepot"),
        ("POST", "/service/token"),
    )
    return {(method, path): by.request(method, path) for method, path in asked}


def test_a_closed_instance_refuses_everybody_on_every_path(reached):
    client = reached.from_("127.0.0.2")
    for caller in (client, client.anonymous(), client.with_basic("nobody", "wrong")):
        for asked, answer in ask(caller).items():
            words = refused(answer)
            assert f"address 127.0.0.2 may not reach instance {reached.name}" in words, asked
            assert "public entry is closed" in words
    assert client.head("/v2/").status_code == 403
    assert client.at("127.0.0.1").get("/v2/").status_code == 200  # the default instance is for all
    assert client.get("/healthz").status_code == 200


def test_an_opened_entry_with_an_empty_list_lets_nobody_in(reached):
    reached.open()
    client = reached.from_("127.0.0.1")
    soon(lambda: "allow list" in refused(client.get("/v2/")))


def test_the_list_decides_by_the_address_of_the_connection(reached):
    reached.open()
    reached.allow("127.0.0.2", "127.0.1.9/24")
    inside = [reached.from_(address) for address in ("127.0.0.2", "127.0.1.1", "127.0.1.254")]
    outside = [reached.from_(address) for address in ("127.0.0.1", "127.0.0.3", "127.0.2.1")]

    soon(lambda: inside[0].get("/v2/").status_code == 200)
    assert [client.get("/v2/").status_code for client in inside] == [200] * 3
    for client in outside:
        assert "allow list" in refused(client.get("/v2/"))
        forged = {"x-forwarded-for": "127.0.0.2", "x-real-ip": "127.0.0.2"}
        refused(client.get("/v2/", headers=forged))


def test_a_good_token_and_a_living_connection_are_refused_within_a_second_of_the_change(reached):
    reached.open()
    reached.allow("127.0.0.2/32")
    client = reached.from_("127.0.0.2")
    soon(lambda: client.get("/v2/").status_code == 200)
    client.push_image("acme/app", b"layer")
    token = client.token("repository:acme/app:pull,push,delete")
    assert client.with_bearer(token).get("/v2/acme/app/manifests/latest").status_code == 200

    reached.disallow("127.0.0.2")
    soon(lambda: client.with_bearer(token).get("/v2/").status_code == 403, seconds=1.5)
    for answer in ask(client, token).values():
        assert "allow list" in refused(answer)
    reached.allow("127.0.0.2")
    soon(lambda: client.with_bearer(token).get("/v2/").status_code == 200, seconds=1.5)
    reached.run(set_entry, SetEntry(reached.instance.id, opened=False))
    soon(lambda: client.with_bearer(token).get("/v2/").status_code == 403, seconds=1.5)
    assert "closed" in refused(client.with_bearer(token).get("/v2/acme/app/manifests/latest"))


def test_a_private_link_lets_its_network_in_while_the_public_entry_is_closed(reached):
    network = f"vpc-{reached.name}"
    reached.run(create_network, CreateNetwork(network, ["127.0.3.0/24"]))
    link = OneLink(reached.instance.id, network, "subnet-1")
    reached.run(create_link, link)
    inside, outside = reached.from_("127.0.3.7"), reached.from_("127.0.0.1")
    soon(lambda: reached.run(list_links, OfInstance(reached.instance.id))[0].status == "running")

    soon(lambda: inside.get("/v2/").status_code == 200, seconds=1.5)
    assert "closed" in refused(outside.get("/v2/"))
    reached.run(delete_link, link)
    soon(lambda: inside.get("/v2/").status_code == 403, seconds=1.5)


def test_refusals_are_in_the_audit_trail_and_logged(world, reached):
    client = reached.from_("127.0.0.66")
    for _ in range(3):
        refused(client.get("/v2/"))

    def rows():
        audit = schema.audit
        query = sa.select(audit.c.action, audit.c.resource, audit.c.details).where(
            audit.c.source == "127.0.0.66", audit.c.outcome == "denied"
        )
        return world.operator.read(lambda conn: conn.execute(query).all())

    soon(rows)
    action, resource, details = rows()[0]
    assert (action, resource) == ("instance.enter", reached.instance.public_id)
    assert details["reason"] == "address"


def test_an_instance_of_the_operator_is_open_to_everybody(world):
    made = Reached(world, EntryStatus.OPENED)
    answer = made.from_("127.0.0.5").get("/v2/")
    made.close()
    assert answer.status_code == 200


# -- in this process --------------------------------------------------------------------------------------------------


def seen(operator, app, host, address, **headers):
    """The status, and the request's words, for a client of that address."""

    async def ask():
        transport = httpx.ASGITransport(app=app, client=(address, 4711))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            login = {"authorization": basic("root", ROOT_PASSWORD), **headers}
            return await client.get("/v2/", headers=login)

    return operator.do(ask())


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """An application in this process behind a trusted proxy."""
    settings = {"ENTREPOT_HTTP_TRUSTED_PROXIES": "10.0.0.0/8"}
    with deployed(tmp_path_factory.mktemp("home"), **settings) as (operator, app):
        yield operator, app


@pytest.fixture
def at_home(home):
    """There, an opened instance whose list is empty."""
    operator, app = home
    root = operator.read(tenants.root_tenant)
    made = make_instance(operator, root, f"i{secrets.token_hex(4)}")
    mark = sa.update(schema.instances).where(schema.instances.c.id == made.id)
    opened = mark.values(public_entry="opened")
    operator.do(operator.ctx.db.write(lambda conn: conn.execute(opened).rowcount))
    return operator, app, made


def allow(operator, made, *cidrs):
    operator.run(add_allowed, AddAllowed(made.id, [NewAllowed(cidr) for cidr in cidrs]))


def test_a_change_counts_at_once_in_the_process_that_made_it(at_home):
    operator, app, made = at_home
    host = f"{made.name}.{SUFFIX}"
    codes = [seen(operator, app, host, "192.0.2.1").status_code]
    allow(operator, made, "192.0.2.0/24")
    codes.append(seen(operator, app, host, "192.0.2.1").status_code)
    operator.run(remove_allowed, RemoveAllowed(made.id, [Which(index=0)]))
    codes.append(seen(operator, app, host, "192.0.2.1").status_code)

    assert codes == [403, 200, 403]


@pytest.mark.parametrize(
    ("connection", "forwarded", "code"),
    [
        ("10.0.0.1", "192.0.2.1", 200),
        ("10.0.0.1", "203.0.113.1, 192.0.2.1", 200),  # the last hop the proxy saw
        ("10.0.0.1", "192.0.2.1, 203.0.113.1", 403),
        ("10.0.0.1", "192.0.2.1, 10.0.0.2", 200),  # through a second proxy of ours
        ("10.0.0.1", "", 403),
        ("10.0.0.1", "garbage", 403),
        ("10.0.0.1", "x" * 5000, 403),
        ("203.0.113.1", "192.0.2.1", 403),
        ("192.0.2.1", "203.0.113.1", 200),
        ("::ffff:192.0.2.1", "", 200),
        ("2001:db8::1", "", 403),
    ],
)
def test_only_a_trusted_proxy_tells_the_clients_address(at_home, connection, forwarded, code):
    operator, app, made = at_home
    allow(operator, made, "192.0.2.0/24")
    headers = {"x-forwarded-for": forwarded} if forwarded else {}

    answer = seen(operator, app, f"{made.name}.{SUFFIX}", connection, **headers)

    assert answer.status_code == code, answer.text
    if code == 403:
        shown = forwarded.rpartition(",")[2].strip() if connection.startswith("10.") else ""
        assert f"address {(shown or connection)[:80]}" in refused(answer)


@pytest.mark.parametrize(
    ("cidr", "address", "code"),
    [
        ("0.0.0.0/0", "192.0.2.1", 200),
        ("0.0.0.0/0", "2001:db8::1", 200),
        ("0.0.0.0/0", "", 200),  # a Unix socket's client
        ("::/0", "2001:db8::1", 200),
        ("::/0", "192.0.2.1", 403),
        ("::/0", "", 403),
        ("2001:db8::1", "2001:db8::1", 200),
        ("2001:db8::1", "2001:db8::2", 403),
        ("fe80::/10", "fe80::1%eth0", 200),
        ("10.0.0.1", "10.0.0.1", 200),
        ("10.0.0.1", "10.0.0.2", 403),
    ],
)
def test_a_network_lets_in_what_lies_in_it(at_home, cidr, address, code):
    operator, app, made = at_home
    allow(operator, made, cidr)
    assert seen(operator, app, f"{made.name}.{SUFFIX}", address).status_code == code
