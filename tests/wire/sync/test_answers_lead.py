"""Where another registry's answers may lead us, what goes there, and how long they may take."""

import asyncio
import itertools
import secrets
import socket
from ipaddress import ip_network

import httpx
import pytest
from faulty_proxy import Fault, FaultyProxy, standing
from test_remote_registry import MIB, blob_of

from entrepot.model.errors import ValueInvalid
from entrepot.model.outbound import AddressForbidden
from entrepot.model.syncing import RemoteUnavailable
from entrepot.oci.digest import Digest
from entrepot.ports.registry import ConnectionRules, RegistryAddress
from entrepot.remotes import requests, sending
from entrepot.remotes.answers import failure
from entrepot.remotes.registry import open_registry


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(sending, "PAUSE_SECONDS", 0.01)


@pytest.fixture
def inner():
    """A machine of the operator's that nobody named."""
    with standing(FaultyProxy("", host="127.0.0.2")) as proxy:
        proxy.faults.append(Fault(lambda *_: True, times=99, status=201))
        yield proxy


def send(there, content=b"", *, rules=None, **more):
    blob = blob_of(content or secrets.token_bytes(20), **more)  # none that another test has sent

    async def scenario(remote):
        return await remote.send_blob(there.name(), blob, sent=lambda _: None)

    return there.ask(scenario, **(rules or {}))


# -- where ------------------------------------------------------------------------------------------------------------


def test_an_upload_is_not_sent_to_a_private_machine_that_an_answer_names(there, inner):
    leads = {"location": f"{inner.url}/index"}
    there.proxy.fail("POST", "/blobs/uploads/", status=202, headers=leads, times=99)

    with pytest.raises(AddressForbidden, match=r"127\.0\.0\.2"):
        send(there)
    assert inner.seen == []


def test_it_is_where_the_operator_says_that_answers_may_lead_there(there, inner):
    leads = {"location": f"{inner.url}/stored"}
    there.proxy.fail("POST", "/blobs/uploads/", status=202, headers=leads)

    assert send(there, rules={"onward": (ip_network("127.0.0.2/32"),)})

    (seen,) = inner.seen
    assert (seen.method, "authorization" in seen.headers) == ("PUT", False)


@pytest.mark.broad
def test_what_the_operator_forbids_is_forbidden_onward_too(there, inner):
    leads = {"location": f"{inner.url}/index"}
    there.proxy.fail("POST", "/blobs/uploads/", status=202, headers=leads, times=99)
    network = ip_network("127.0.0.2/32")

    with pytest.raises(AddressForbidden):
        send(there, rules={"onward": (network,), "forbidden": (network,)})
    assert inner.seen == []


def test_a_blob_at_a_private_machine_is_sent_as_if_it_were_not_there(there, inner):
    there.proxy.fail("HEAD", "/blobs/", status=307, headers={"location": f"{inner.url}/stored"})

    async def scenario(remote):
        return await remote.has_blob(there.name(), str(Digest.of(b"x")))

    assert there.ask(scenario) is False
    assert inner.seen == []


def test_nothing_is_deleted_elsewhere(there):
    with standing(FaultyProxy("")) as elsewhere:
        leads = {"location": f"http://localhost:{elsewhere.port}/some/index"}
        there.proxy.fail("POST", "/blobs/uploads/", status=202, headers=leads)

        content = secrets.token_bytes(20)
        assert send(there, content, origins=(there.name("other"),))

        assert elsewhere.seen == []
    assert there.blob("app", content)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2"])
def test_nobody_logs_in_elsewhere_in_clear(there, host):
    with standing(FaultyProxy("", host="127.0.0.1")) as elsewhere:
        asks = f'Bearer realm="http://{host}:{elsewhere.port}/token"'
        headers = {"www-authenticate": asks}
        there.proxy.fail("HEAD", "/manifests/", status=401, headers=headers)

        with pytest.raises(RemoteUnavailable, match="token service"):
            there.ask(lambda remote: remote.digest_of(there.name(), "v1"))

        assert elsewhere.seen == []


def test_a_name_that_means_another_machine_a_moment_later_leads_nowhere_new(
    there, inner, monkeypatch
):
    real, asked = socket.getaddrinfo, []

    def told(host, *more):
        if host != "registry.test":
            return real(host, *more)
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "127.0.0.2", *more)

    monkeypatch.setattr(socket, "getaddrinfo", told)
    address = RegistryAddress(f"http://registry.test:{there.proxy.port}")
    there.proxy.fail("HEAD", "/manifests/", status=404, times=2)

    async def scenario(remote):
        return [await remote.digest_of(there.name(), "v1") for _ in range(2)]

    assert there.ask(scenario, address=address) == [None, None]
    assert there.proxy.count("HEAD") == 2
    assert asked == ["registry.test"]


# -- how long ---------------------------------------------------------------------------------------------------------


def test_an_answer_that_only_drips_is_not_waited_for(there, monkeypatch):
    monkeypatch.setattr(requests, "CALL_SECONDS", 0.3)
    there.proxy.fail("HEAD", "/manifests/", stall_seconds=2)

    with pytest.raises(RemoteUnavailable, match="not answered within"):
        there.ask(lambda remote: remote.digest_of(there.name(), "v1"))


def test_a_name_server_that_does_not_answer_is_not_waited_for(there, monkeypatch):
    real = socket.getaddrinfo

    def slow(host, *more):
        if host == "slow.test":
            return real("127.0.0.1", 1) if done.wait(5) else []
        return real(host, *more)

    import threading  # noqa: PLC0415

    done = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", slow)
    try:
        with pytest.raises(RemoteUnavailable, match="name"):
            there.ask(
                lambda remote: remote.digest_of("a/b", "v1"),
                address=RegistryAddress("http://slow.test"),
                connect_seconds=0.2,
            )
    finally:
        done.set()


def test_a_registry_that_forgets_each_session_after_its_first_bytes_is_given_up(there, monkeypatch):
    monkeypatch.setattr(sending, "PIECE", MIB)
    monkeypatch.setattr(sending, "WHOLE", MIB)
    turn = itertools.count()
    second = Fault(lambda method, _: method == "PATCH" and next(turn) % 2 == 1, 99, status=500)
    there.proxy.faults.append(second)
    there.proxy.fail("GET", "/blobs/uploads/", status=404, times=99)

    with pytest.raises(RemoteUnavailable):
        send(there, secrets.token_bytes(3 * MIB))

    assert there.proxy.count("PATCH") <= 2 * (sending.ATTEMPTS + 1)


# -- what cannot be read ----------------------------------------------------------------------------------------------


def test_a_wait_of_thousands_of_digits_is_the_longest():
    request = httpx.Request("GET", "https://registry.test/")
    answer = httpx.Response(429, headers={"retry-after": "9" * 5000}, request=request)

    assert asyncio.run(failure(answer, "look")).retry_after_seconds == 3600


@pytest.mark.broad
def test_a_token_for_ever_is_a_token(there):
    token = b'{"token": "t", "expires_in": 1' + b"0" * 400 + b"}"
    there.proxy.fail("GET", "/service/token", status=200, body=token)
    there.proxy.fail("HEAD", "/manifests/", times=0)

    async def scenario(remote):
        try:
            return await remote.digest_of(there.name(), "v1")
        except Exception as error:  # the registry's word about a token that is none of its own
            return type(error).__name__

    assert there.ask(scenario) == "RemoteRefused"


def test_authorities_that_cannot_be_read_are_told():
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

    async def run():
        address = RegistryAddress("https://registry.test", authorities=broken)
        async with open_registry(address, ConnectionRules()):
            pass

    with pytest.raises(ValueInvalid, match="authorities"):
        asyncio.run(run())
