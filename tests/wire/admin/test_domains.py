"""Custom domains as clients see them: a certificate by the name they ask for, and what a proxy fetches that ends TLS itself."""

import base64
import http.client
import secrets
import socket
import ssl
import time
from contextlib import contextmanager

import pytest
from cryptography import x509
from operator_client import TlsStarted, asked
from started import free_port, operating

from entrepot.capabilities.instances.certificates import AddCertificate, add_certificate
from entrepot.capabilities.instances.domains import (
    CreateDomain,
    DeleteDomain,
    create_domain,
    delete_domain,
    list_domains,
)
from entrepot.capabilities.instances.managed import OfInstance
from entrepot.metadata import epochs, instances, tenants
from entrepot.model.tenancy import InstanceKind
from issuing import Authority

pytestmark = pytest.mark.broad

AUTHORITY = Authority.new()
TOKEN = "a-long-operator-token"


class Place:
    """A started registry that ends TLS, its operator, and an instance of the root tenant."""

    def __init__(self, registry, operator):
        self.registry = registry
        self.operator = operator
        self.root = operator.read(tenants.root_tenant)
        self.instance = operator.do(operator.ctx.access.change(self._make))

    def _make(self, conn):
        made = instances.insert_instance(
            conn,
            InstanceKind.DEDICATED,
            "own-one",
            tenant=self.root.id,
            region=tenants.list_regions(conn)[0].id,
            edition="standard",
        )
        epochs.raise_epoch(conn, epochs.ROUTING)
        return made

    def add_domain(self):
        """A new domain, with a certificate of its own."""
        host = f"h{secrets.token_hex(4)}.example.test"
        pair = AUTHORITY.issue(host)
        made = self.operator.run(add_certificate, AddCertificate(self.root.id, host, *pair))
        self.operator.run(create_domain, CreateDomain(self.instance.id, host, made.public_id))
        return host, pair

    def until(self, host, status):
        """Wait until the domain has the status; None: until it is gone."""

        def reached():
            listed = self.operator.run(list_domains, OfInstance(self.instance.id))
            return {one.host: one.status for one in listed}.get(host) == status

        until(reached)

    @contextmanager
    def connected(self, host=None, context=None):
        """A connection that asks for a name and trusts anybody."""
        context = context or ssl._create_unverified_context()
        with (
            socket.create_connection(("127.0.0.1", self.registry.port), timeout=20) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            yield secure

    def shown(self, host=None):
        """The names of the certificate that a client is shown."""
        with self.connected(host) as secure:
            certificate = x509.load_der_x509_certificate(secure.getpeercert(binary_form=True))
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return names.get_values_for_type(x509.DNSName)


def until(reached, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def get(secure, host, path="/v2/"):
    """The status of a request on an open connection."""
    secure.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    answer = http.client.HTTPResponse(secure)
    answer.begin()
    answer.read()
    return answer.status


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("domains")
    chain, key = AUTHORITY.issue("own.test")
    (folder / "tls.crt").write_text(chain)
    (folder / "tls.key").write_text(key)
    settings = {
        "ENTREPOT_HTTP_TLS_CERTIFICATE": str(folder / "tls.crt"),
        "ENTREPOT_HTTP_TLS_KEY": str(folder / "tls.key"),
        "ENTREPOT_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
        "ENTREPOT_ADMIN_TOKEN": TOKEN,
    }
    registry = TlsStarted(folder, settings)
    try:
        registry.start()
        with operating(registry.environment) as operator:
            yield Place(registry, operator)
        assert registry.stop() == 0
    finally:
        registry.kill()


def test_a_client_is_shown_the_certificate_of_the_name_it_asks_for(place):
    host, _ = place.add_domain()
    assert place.shown(host) == ["own.test"]
    place.until(host, "ready")
    until(lambda: place.shown(host) == [host], seconds=2.0)

    assert place.shown(host.upper()) == [host]
    assert place.shown("own.test") == place.shown() == place.shown("other.test") == ["own.test"]
    trusting = ssl.create_default_context(cadata=AUTHORITY.pem)
    with place.connected(host, trusting) as secure:
        assert secure.selected_alpn_protocol() is None
        assert get(secure, host) == 401  # it is the instance's, which wants a login


def test_open_connections_live_on_while_names_come_and_go(place):
    with place.connected("own.test") as before:
        assert get(before, "127.0.0.1") == 401
        host, _ = place.add_domain()
        place.until(host, "ready")
        until(lambda: place.shown(host) == [host])
        with place.connected(host) as secure:
            assert (get(secure, host), get(before, "127.0.0.1")) == (401, 401)
            assert get(before, host) == 401
            place.operator.run(delete_domain, DeleteDomain(place.instance.id, host))
            until(lambda: place.shown(host) == ["own.test"])
            until(lambda: get(secure, host) == 404)
            assert get(secure, "127.0.0.1") == get(before, "127.0.0.1") == 401
        place.until(host, None)


def fetched(place, query, **headers):
    """What the admin listener says of a certificate."""
    port = int(place.registry.settings["ENTREPOT_ADMIN_LISTEN"].rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    return asked(connection, "GET", f"/certificate{query}", headers=headers)


def test_a_proxy_fetches_chain_and_key_with_the_operators_token(place):
    host, (chain, key) = place.add_domain()
    bearer = {"authorization": f"Bearer {TOKEN}"}
    in_a_url = base64.b64encode(f"proxy:{TOKEN}".encode()).decode()

    assert fetched(place, f"?server_name={host}", **bearer)[::2] == (204, b"")
    place.until(host, "ready")
    for login in (bearer, {"authorization": f"Basic {in_a_url}"}):
        status, headers, body = fetched(place, f"?server_name={host}&x=y", **login)
        assert (status, body.decode()) == (200, chain + key)
        assert headers["cache-control"] == "no-store"
    assert fetched(place, f"?server_name={host.upper()}", **bearer)[0] == 200
    assert fetched(place, "?server_name=own.test", **bearer)[0] == 204
    for query in ("", "?server_name=a&server_name=b", "?server_name=%FF"):
        assert fetched(place, query, **bearer)[0] == 400
    wrong = base64.b64encode(b"proxy:wrong").decode()
    for login in (
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Basic {wrong}"},
        {"authorization": "Basic ?"},
    ):
        status, _, body = fetched(place, f"?server_name={host}", **login)
        assert (status, b"PRIVATE" in body) == (401, False)


def test_keys_are_nowhere_in_the_logs(place):
    assert "PRIVATE" not in place.registry.log.read_text()
