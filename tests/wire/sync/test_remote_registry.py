"""The client of other registries, against a started one: what RemoteRegistry promises, on good days and on bad ones."""

import json
import secrets

import httpx
import pytest
from faulty_proxy import FaultyProxy, standing

from entrepot.model.errors import RateLimited
from entrepot.model.outbound import AddressForbidden
from entrepot.model.syncing import RemoteAltered, RemoteRefused, RemoteUnavailable
from entrepot.oci.digest import Digest
from entrepot.ports.registry import BlobToSend, RegistryAddress
from entrepot.remotes import sending
from entrepot.remotes.answers import failure
from entrepot.remotes.credentials import Challenge
from entrepot.remotes.requests import Requests
from registry_in_memory import image

OCI = "application/vnd.oci.image.manifest.v1+json"
MIB = 1 << 20


def blob_of(content: bytes, **more) -> BlobToSend:
    async def pieces(start: int):
        for offset in range(start, len(content), MIB):
            yield content[offset : offset + MIB]

    return BlobToSend(str(Digest.of(content)), len(content), pieces, **more)


async def send(remote, name: str, content: bytes, **more) -> bool:
    """Whether bytes were sent; what was told of them adds up."""
    told: list[int] = []
    was_sent = await remote.send_blob(name, blob_of(content, **more), sent=told.append)
    assert sum(told) == (len(content) if was_sent else 0)
    return was_sent


async def push(remote, name: str, layer: bytes, tag: str) -> bytes:
    for content in (layer, b"{}"):
        await send(remote, name, content)
    payload = image([layer])
    await remote.put_manifest(name, tag, media_type=OCI, payload=payload)
    return payload


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Waits between attempts are short."""
    monkeypatch.setattr(sending, "PAUSE_SECONDS", 0.01)


# -- good days --------------------------------------------------------------------------------------------------------


def test_an_image_gets_there_and_is_found(there):
    name = there.name()

    async def scenario(remote):
        assert await remote.digest_of(name, "v1") is None
        assert not await remote.has_blob(name, str(Digest.of(b"a layer")))
        payload = await push(remote, name, b"a layer", "v1")
        digest = str(Digest.of(payload))
        assert await remote.has_blob(name, str(Digest.of(b"a layer")))
        assert await remote.digest_of(name, "v1") == digest
        assert await remote.digest_of(name, digest) == digest
        return payload

    payload = there.ask(scenario)
    assert there.document("app", "v1") == payload
    assert there.blob("app", b"a layer")


@pytest.mark.parametrize(
    "size", [0, pytest.param(3 * MIB + 7, marks=pytest.mark.broad), 9 * MIB + 1]
)
def test_blobs_of_any_size_arrive_as_they_are(there, size, monkeypatch):
    monkeypatch.setattr(sending, "PIECE", 4 * MIB)
    content = secrets.token_bytes(size)

    assert there.ask(lambda remote: send(remote, there.name(), content))

    assert there.blob("app", content)
    assert there.proxy.taken() == size


def test_a_blob_that_another_repository_there_has_is_mounted(there):
    content = secrets.token_bytes(1000)

    async def scenario(remote):
        await send(remote, there.name("one"), content)
        named = await send(remote, there.name("two"), content, origins=(there.name("one"),))
        found = await send(remote, there.name("three"), content)
        return named, found

    assert there.ask(scenario) == (False, False)
    assert there.blob("two", content)
    assert there.blob("three", content)
    assert there.proxy.taken() == len(content)


@pytest.mark.broad
def test_an_origin_that_does_not_have_it_does_no_harm(there):
    content = secrets.token_bytes(1000)
    origins = (there.name("absent"), "foreign/thing")

    assert there.ask(lambda remote: send(remote, there.name(), content, origins=origins))
    assert there.blob("app", content)


@pytest.mark.broad
def test_the_same_again_changes_nothing(there):
    async def scenario(remote):
        first = await push(remote, there.name(), b"layer", "v1")
        await remote.put_manifest(there.name(), "v1", media_type=OCI, payload=first)
        digest = str(Digest.of(first))
        await remote.put_manifest(there.name(), digest, media_type=OCI, payload=first)
        return first

    payload = there.ask(scenario)
    assert there.document("app", "v1") == payload


# -- who we are -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("username", ["copied/owner", ""])
def test_whoever_is_nobody_there_is_refused_and_no_password_is_told(there, username):
    password = "wr0ng-and-secret" if username else ""
    address = RegistryAddress(there.proxy.url, username, password)

    with pytest.raises(RemoteRefused) as refused:
        there.ask(lambda remote: send(remote, there.name(), b"x"), address=address)

    assert refused.value.status in {401, 403}
    assert "wr0ng" not in f"{refused.value} {address!r}"


def test_a_token_that_ended_is_fetched_again(there):
    ended = {"www-authenticate": f'Bearer realm="{there.proxy.url}/service/token",service="x"'}

    async def scenario(remote):
        await push(remote, there.name(), b"layer", "v1")
        logins = there.proxy.count("GET", "/service/token")
        there.proxy.fail("PUT", "/manifests/", status=401, headers=ended)
        await push(remote, there.name(), b"layer", "v2")
        return there.proxy.count("GET", "/service/token") - logins

    assert there.ask(scenario) == 1
    assert there.document("app", "v2") is not None


def test_a_registry_that_asks_for_basic_gets_it(there):
    there.proxy.fail("HEAD", "/manifests/", status=401, headers={"www-authenticate": "Basic"})

    async def scenario(remote):
        return await remote.digest_of(there.name(), "v1")

    assert there.ask(scenario) is None
    assert there.proxy.seen[-1].headers["authorization"].startswith("Basic ")
    assert there.proxy.count("GET", "/service/token") == 0


@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        ('Bearer realm="https://a/t",service="s"', Challenge("https://a/t", "s")),
        ('bearer service="s" , realm="https://a/t"', Challenge("https://a/t", "s")),
        ('Negotiate abc, Bearer realm="https://a/t"', Challenge("https://a/t", "")),
        ('Basic realm="x"', Challenge()),
        ("Digest realm=x", None),
        ("Bearer", None),
        ("", None),
        ("," * 100_000, None),
    ],
)
def test_challenges_are_read(header, challenge):
    assert Challenge.read(header) == challenge


# -- bad days ---------------------------------------------------------------------------------------------------------


def test_a_cut_connection_goes_on_where_it_was(there, monkeypatch):
    monkeypatch.setattr(sending, "PAUSE_SECONDS", 1.0)  # the registry has to notice it, too
    content = secrets.token_bytes(12 * MIB)
    there.proxy.fail("PATCH", "", cut_after=5 * MIB)

    assert there.ask(lambda remote: send(remote, there.name(), content))

    assert there.blob("app", content)
    assert there.proxy.taken() < 13 * MIB  # nearly nothing went twice


@pytest.mark.broad
def test_an_upload_that_the_registry_forgot_begins_anew(there):
    content = secrets.token_bytes(9 * MIB)
    there.proxy.fail("PATCH", "", cut_after=MIB)
    there.proxy.fail("GET", "/blobs/uploads/", status=404)

    assert there.ask(lambda remote: send(remote, there.name(), content))
    assert there.blob("app", content)


@pytest.mark.broad
def test_a_session_that_ended_before_the_last_word_begins_anew(there):
    content = secrets.token_bytes(1000)
    there.proxy.fail("PUT", "/blobs/uploads/", status=404)

    assert there.ask(lambda remote: send(remote, there.name(), content))
    assert there.blob("app", content)


@pytest.mark.broad
def test_faults_that_pass_are_waited_for(there):
    content = secrets.token_bytes(1000)
    there.proxy.fail("PUT", "/blobs/uploads/", status=502, times=2)

    assert there.ask(lambda remote: send(remote, there.name(), content))
    assert there.blob("app", content)


def test_faults_that_stay_are_told(there, monkeypatch):
    monkeypatch.setattr(sending, "ATTEMPTS", 2)
    there.proxy.fail("PUT", "/blobs/uploads/", status=500, times=99)

    with pytest.raises(RemoteUnavailable, match="500"):
        there.ask(lambda remote: send(remote, there.name(), b"content"))
    assert there.proxy.count("PUT") == 2


@pytest.mark.broad
def test_silence_is_not_waited_for_for_ever(there):
    there.proxy.fail("HEAD", "/manifests/", stall_seconds=3)

    with pytest.raises(RemoteUnavailable, match="Timeout"):
        there.ask(lambda remote: remote.digest_of(there.name(), "v1"), silence_seconds=0.3)


def test_a_busy_registry_says_when_to_come_again(there):
    there.proxy.fail("HEAD", "/manifests/", status=429, headers={"retry-after": "7"})

    with pytest.raises(RateLimited) as limited:
        there.ask(lambda remote: remote.digest_of(there.name(), "v1"))
    assert limited.value.retry_after_seconds == 7


def test_another_digest_than_was_sent_is_an_error(there):
    altered = {"docker-content-digest": f"sha256:{'ab' * 32}"}
    there.proxy.fail("PUT", "/manifests/", headers=altered)

    with pytest.raises(RemoteAltered):
        there.ask(lambda remote: push(remote, there.name(), b"layer", "v1"))


def test_bytes_that_are_not_what_they_should_be_are_refused(there):
    async def scenario(remote):
        right = blob_of(b"right")

        async def wrong(start: int):
            yield b"wrong"[start:]

        lying = BlobToSend(right.digest, right.size, wrong)
        await remote.send_blob(there.name(), lying, sent=lambda _: None)

    with pytest.raises(RemoteRefused) as refused:
        there.ask(scenario)
    assert refused.value.code == "DIGEST_INVALID"


@pytest.mark.broad
def test_a_manifest_without_its_blobs_is_refused(there):
    async def scenario(remote):
        payload = image([b"absent"])
        await remote.put_manifest(there.name(), "v1", media_type=OCI, payload=payload)

    with pytest.raises(RemoteRefused, match="MANIFEST_BLOB_UNKNOWN"):
        there.ask(scenario)


@pytest.mark.broad
def test_an_answer_without_an_end_is_not_read(there):
    there.proxy.fail("GET", "/service/token", status=200, body=b" " * (2 * MIB))

    with pytest.raises(RemoteUnavailable, match="longer"):
        there.ask(lambda remote: remote.digest_of(there.name(), "v1"))


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"token": 5}', b'{"token": "\\n"}'])
@pytest.mark.broad
def test_a_token_service_without_tokens_is_unusable(there, body):
    there.proxy.fail("GET", "/service/token", status=200, body=body)

    with pytest.raises(RemoteUnavailable):
        there.ask(lambda remote: remote.digest_of(there.name(), "v1"))


@pytest.mark.broad
def test_a_digest_that_is_not_told_is_taken_from_the_document(there):
    payload = there.ask(lambda remote: push(remote, there.name(), b"layer", "v1"))
    there.proxy.fail("HEAD", "/manifests/", times=2, headers={"docker-content-digest": ""})
    there.proxy.fail("GET", "/manifests/", headers={"docker-content-digest": ""})

    assert there.ask(lambda remote: remote.digest_of(there.name(), "v1")) == str(Digest.of(payload))


# -- where we go ------------------------------------------------------------------------------------------------------


def test_a_blob_elsewhere_is_looked_at_as_nobody(there):
    there.ask(lambda remote: send(remote, there.name(), b"a blob"))
    with standing(FaultyProxy("")) as elsewhere:
        elsewhere.fail("HEAD", "/stored", status=200)
        leads = {"location": f"http://localhost:{elsewhere.port}/stored"}
        there.proxy.fail("HEAD", "/blobs/", status=307, headers=leads)

        digest = str(Digest.of(b"a blob"))
        assert there.ask(lambda remote: remote.has_blob(there.name(), digest))

        (seen,) = elsewhere.seen
        assert "authorization" not in seen.headers
    assert any("authorization" in one.headers for one in there.proxy.seen)


@pytest.mark.broad
def test_redirects_end(there):
    leads = {"location": there.proxy.url + "/v2/again/blobs/x"}
    there.proxy.fail("HEAD", "/blobs/", status=307, headers=leads, times=99)

    with pytest.raises(RemoteUnavailable, match="redirects"):
        there.ask(lambda remote: remote.has_blob(there.name(), str(Digest.of(b"x"))))


@pytest.mark.broad
def test_manifests_are_not_looked_for_elsewhere(there):
    there.proxy.fail("HEAD", "/manifests/", status=307, headers={"location": "http://localhost/"})

    with pytest.raises(RemoteRefused, match="307"):
        there.ask(lambda remote: remote.digest_of(there.name(), "v1"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
def test_what_the_operator_forbids_is_never_connected_to(there, host):
    from ipaddress import ip_network  # noqa: PLC0415

    address = RegistryAddress(f"http://{host}:{there.proxy.port}", "copied/owner", "x")
    forbidden = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

    with pytest.raises(AddressForbidden):
        there.ask(
            lambda remote: remote.digest_of(there.name(), "v1"),
            address=address,
            forbidden=forbidden,
        )
    assert there.proxy.seen == []


@pytest.mark.parametrize("url", ["http://nowhere.invalid", "http://127.0.0.1:1"])
def test_a_registry_that_is_not_there_does_not_answer(there, url):
    with pytest.raises(RemoteUnavailable):
        there.ask(lambda remote: remote.digest_of("a/b", "v1"), address=RegistryAddress(url))


@pytest.mark.parametrize(
    "location", ["http://registry.test/x", "ftp://x/", "https://u:p@registry.test/", ""]
)
def test_nothing_leads_out_of_tls(location):
    base = httpx.URL("https://registry.test")
    requests = Requests(None, RegistryAddress(str(base)), base)
    headers = {"location": location} if location else {}

    with pytest.raises(RemoteUnavailable):
        requests.leads_to(httpx.Response(202, headers=headers))


def test_errors_name_their_code_and_nothing_else():
    import asyncio  # noqa: PLC0415

    request = httpx.Request("GET", "https://registry.test/?token=secret")

    async def body():
        yield json.dumps({"errors": [{"code": "DENIED", "message": "secret"}]}).encode()

    answer = httpx.Response(403, content=body(), request=request)
    told = str(asyncio.run(failure(answer, "look")))

    assert "DENIED" in told
    assert "secret" not in told
