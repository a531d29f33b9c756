"""Bad input gets a clear answer and changes nothing: the table of what clients get wrong, and what is compared around each row."""

import json
import socket
import time
from dataclasses import dataclass, field

import pytest
from registry_client import (
    ABSENT,
    CONFIG,
    DOCKER_LIST,
    INDEX,
    LAYER,
    MANIFEST,
    basic,
    code_of,
    descriptor,
    digest_of,
    image,
    index,
)
from transport import TLS, dial
from world import PASSWORD, World

SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
TEN = b"0123456789"


@dataclass(frozen=True)
class Row:
    """A request and its answer. Texts are filled in with what the scene holds. `code` empty: the answer has no error body."""

    name: str
    method: str
    path: str
    status: int
    code: str
    body: bytes | str = b""
    headers: dict[str, str] = field(default_factory=dict)
    range: str | None = None


@pytest.fixture(scope="module")
def scene(world: World) -> dict[str, str]:
    """One repository with an image, an index and a session of ten bytes; others that the client may or may not see."""
    mine, second, foreign = world.repository(), world.repository(), world.repository("others")
    owner, stranger = world.owner, world.stranger
    payload = owner.push_image(mine, b"layer")
    owner.push_index(mine, payload, tag="index")
    session = owner.start_upload(mine)
    owner.patch(session, content=TEN)
    elsewhere = owner.start_upload(second)
    theirs = stranger.start_upload(foreign)
    colleagues = world.accounts["writer"].start_upload(mine)
    return {
        "repo": mine,
        "second": second,
        "session": session,
        "second_session": elsewhere.rpartition("/")[2],
        "foreign_session": theirs.rpartition("/")[2],
        "colleagues_session": colleagues.rpartition("/")[2],
        "second_blob": owner.push_blob(second, b"only in the second"),
        "foreign_blob": stranger.push_blob(foreign, b"only of the others"),
        "manifest": digest_of(payload),
        "payload": payload.decode(),
        "size": str(len(payload)),
    }


def document(**changes: object) -> bytes:
    """The scene's manifest with changes; None takes a field away."""
    found = {**json.loads(image([b"layer"])), **changes}
    return json.dumps({k: v for k, v in found.items() if v is not None}).encode()


def with_blob(digest: str, size: int) -> str:
    layer = {"mediaType": LAYER, "digest": digest, "size": size}
    return json.dumps({**json.loads(image([b"layer"])), "layers": [layer]})


OCI = {"content-type": MANIFEST}
PUT = "/v2/{repo}/manifests/bad"
TOTAL = f"?digest={digest_of(TEN)}"
UNKNOWN_SESSION = "0" * 32

UPLOADS = [
    Row("wrong digest", "PUT", "{session}?digest=" + ABSENT, 400, "DIGEST_INVALID"),
    Row("wrong digest at once", "POST", "/v2/{repo}/blobs/uploads/?digest=" + ABSENT, 400, "DIGEST_INVALID", b"x"),
    Row("wrong digest, new repository", "POST", "/v2/acme/never/blobs/uploads/?digest=" + ABSENT, 400, "DIGEST_INVALID", b"x"),
    Row("no digest", "PUT", "{session}", 400, "DIGEST_INVALID"),
    Row("malformed digest", "PUT", "{session}?digest=sha256:xyz", 400, "DIGEST_INVALID"),
    Row("digest in capitals", "PUT", "{session}?digest=sha256:" + "AB" * 32, 400, "DIGEST_INVALID"),
    Row("digest of another algorithm", "PUT", "{session}?digest=sha512:" + "ab" * 32, 400, "DIGEST_INVALID"),
    Row("unknown algorithm", "PUT", "{session}?digest=md5:" + "ab" * 16, 400, "DIGEST_INVALID"),
    Row("malformed mount", "POST", "/v2/{repo}/blobs/uploads/?mount=nothing&from={second}", 400, "DIGEST_INVALID"),
    Row("malformed from", "POST", "/v2/{repo}/blobs/uploads/?mount=" + ABSENT + "&from=../up", 400, "NAME_INVALID"),
    Row("gap", "PATCH", "{session}", 416, "BLOB_UPLOAD_INVALID", b"abcde", {"content-range": "11-15"}, "0-9"),
    Row("overlap", "PATCH", "{session}", 416, "BLOB_UPLOAD_INVALID", b"abcde", {"content-range": "9-13"}, "0-9"),
    Row("from the start again", "PATCH", "{session}", 416, "BLOB_UPLOAD_INVALID", TEN, {"content-range": "0-9"}, "0-9"),
    Row("gap in the last chunk", "PUT", "{session}" + TOTAL, 416, "BLOB_UPLOAD_INVALID", b"abcde", {"content-range": "20-24"}, "0-9"),
    Row("short chunk", "PATCH", "{session}", 400, "SIZE_INVALID", b"abc", {"content-range": "10-19"}),
    Row("long chunk", "PATCH", "{session}", 400, "SIZE_INVALID", b"abcdefgh", {"content-range": "10-12"}),
    Row("long last chunk", "PUT", "{session}" + TOTAL, 400, "SIZE_INVALID", b"abcdefgh", {"content-range": "10-12"}),
    Row("range backwards", "PATCH", "{session}", 400, "BLOB_UPLOAD_INVALID", b"a", {"content-range": "10-9"}),
    Row("range of words", "PATCH", "{session}", 400, "BLOB_UPLOAD_INVALID", b"a", {"content-range": "ten-eleven"}),
    Row("range negative", "PATCH", "{session}", 400, "BLOB_UPLOAD_INVALID", b"a", {"content-range": "-1-5"}),
    Row("range endless", "PATCH", "{session}", 400, "BLOB_UPLOAD_INVALID", b"a", {"content-range": "9" * 80 + "-1"}),
    Row("unknown session", "GET", "/v2/{repo}/blobs/uploads/" + UNKNOWN_SESSION, 404, "BLOB_UPLOAD_UNKNOWN"),
    Row("malformed session", "PATCH", "/v2/{repo}/blobs/uploads/nonsense", 404, "BLOB_UPLOAD_UNKNOWN", b"a"),
    Row("session with a path", "DELETE", "/v2/{repo}/blobs/uploads/..%2F..%2Fx", 404, "BLOB_UPLOAD_UNKNOWN"),
    Row("another repository's session", "PATCH", "/v2/{repo}/blobs/uploads/{second_session}", 404, "BLOB_UPLOAD_UNKNOWN", b"a"),
    Row("another repository's session, read", "GET", "/v2/{repo}/blobs/uploads/{second_session}", 404, "BLOB_UPLOAD_UNKNOWN"),
    Row("another repository's session, finished", "PUT", "/v2/{repo}/blobs/uploads/{second_session}?digest=" + digest_of(b""), 404, "BLOB_UPLOAD_UNKNOWN"),
    Row("another tenant's session", "PATCH", "/v2/{repo}/blobs/uploads/{foreign_session}", 404, "BLOB_UPLOAD_UNKNOWN", b"a"),
    Row("another tenant's session, cancelled", "DELETE", "/v2/{repo}/blobs/uploads/{foreign_session}", 404, "BLOB_UPLOAD_UNKNOWN"),
    Row("another user's session", "PATCH", "/v2/{repo}/blobs/uploads/{colleagues_session}", 404, "BLOB_UPLOAD_UNKNOWN", b"a"),
    Row("another user's session, read", "GET", "/v2/{repo}/blobs/uploads/{colleagues_session}", 404, "BLOB_UPLOAD_UNKNOWN"),
    Row("another user's session, cancelled", "DELETE", "/v2/{repo}/blobs/uploads/{colleagues_session}", 404, "BLOB_UPLOAD_UNKNOWN"),
    Row("a session of a repository that is not there", "PATCH", "/v2/acme/never/blobs/uploads/{second_session}", 404, "NAME_UNKNOWN", b"a"),
]  # fmt: skip

MANIFESTS = [
    Row("no JSON", "PUT", PUT, 400, "MANIFEST_INVALID", b"{nope", OCI),
    Row("nothing", "PUT", PUT, 400, "MANIFEST_INVALID", b"", OCI),
    Row("no object", "PUT", PUT, 400, "MANIFEST_INVALID", b"[]", OCI),
    Row("no UTF-8", "PUT", PUT, 400, "MANIFEST_INVALID", b'{"schemaVersion": 2, "x": "\xff"}', OCI),
    Row("endless nesting", "PUT", PUT, 400, "MANIFEST_INVALID", b"[" * 100_000, OCI),
    Row("endless nesting inside", "PUT", PUT, 400, "MANIFEST_INVALID", b'{"schemaVersion":2,"x":' + b"[" * 100_000, OCI),
    Row("no media type", "PUT", PUT, 400, "MANIFEST_INVALID", document()),
    Row("unknown media type", "PUT", PUT, 400, "MANIFEST_INVALID", document(), {"content-type": "text/plain"}),
    Row("schema 1", "PUT", PUT, 400, "MANIFEST_INVALID", b'{"schemaVersion": 1}', {"content-type": SCHEMA_1}),
    Row("schema version", "PUT", PUT, 400, "MANIFEST_INVALID", document(schemaVersion=1), OCI),
    Row("other media type inside", "PUT", PUT, 400, "MANIFEST_INVALID", document(mediaType=INDEX), OCI),
    Row("manifest as index", "PUT", PUT, 400, "MANIFEST_INVALID", document(), {"content-type": INDEX}),
    Row("manifest as list", "PUT", PUT, 400, "MANIFEST_INVALID", document(mediaType=None), {"content-type": DOCKER_LIST}),
    Row("index as manifest", "PUT", PUT, 400, "MANIFEST_INVALID", index([]), OCI),
    Row("both at once", "PUT", PUT, 400, "MANIFEST_INVALID", document(mediaType=None, manifests=[]), OCI),
    Row("both at once as index", "PUT", PUT, 400, "MANIFEST_INVALID", document(mediaType=None, manifests=[]), {"content-type": INDEX}),
    Row("no layers", "PUT", PUT, 400, "MANIFEST_INVALID", document(layers=None), OCI),
    Row("no config", "PUT", PUT, 400, "MANIFEST_INVALID", document(config=None), OCI),
    Row("size as text", "PUT", PUT, 400, "MANIFEST_INVALID", document(layers=[{**descriptor(LAYER, b"layer"), "size": "5"}]), OCI),
    Row("negative size", "PUT", PUT, 400, "MANIFEST_INVALID", document(layers=[{**descriptor(LAYER, b"layer"), "size": -1}]), OCI),
    Row("absurd size", "PUT", PUT, 400, "MANIFEST_INVALID", document(layers=[{**descriptor(LAYER, b"layer"), "size": 10**30}]), OCI),
    Row("wrong size", "PUT", PUT, 400, "MANIFEST_INVALID", document(layers=[{**descriptor(LAYER, b"layer"), "size": 6}]), OCI),
    Row("layer with a bad digest", "PUT", PUT, 400, "MANIFEST_INVALID", document(layers=[{**descriptor(LAYER, b"layer"), "digest": "sha256:1"}]), OCI),
    Row("missing layer", "PUT", PUT, 404, "MANIFEST_BLOB_UNKNOWN", document(layers=[descriptor(LAYER, b"absent")]), OCI),
    Row("missing config", "PUT", PUT, 404, "MANIFEST_BLOB_UNKNOWN", document(config=descriptor(CONFIG, b"absent")), OCI),
    Row("missing child", "PUT", PUT, 404, "MANIFEST_BLOB_UNKNOWN", index([image([b"absent"])]), {"content-type": INDEX}),
    Row("a blob as child", "PUT", PUT, 404, "MANIFEST_BLOB_UNKNOWN", json.dumps({**json.loads(index([])), "manifests": [descriptor(MANIFEST, b"layer")]}), {"content-type": INDEX}),
    Row("a manifest as layer", "PUT", PUT, 404, "MANIFEST_BLOB_UNKNOWN", "MANIFEST AS LAYER", OCI),
    Row("another tenant's blob", "PUT", PUT, 404, "MANIFEST_BLOB_UNKNOWN", "FOREIGN BLOB", OCI),
    Row("a blob linked elsewhere only", "PUT", PUT, 404, "MANIFEST_BLOB_UNKNOWN", "SECOND BLOB", OCI),
    Row("pushed under another digest", "PUT", "/v2/{repo}/manifests/" + ABSENT, 400, "DIGEST_INVALID", document(), OCI),
    Row("pushed under an unknown algorithm", "PUT", "/v2/{repo}/manifests/md5:" + "ab" * 16, 400, "DIGEST_INVALID", document(), OCI),
    Row("bad tag", "PUT", "/v2/{repo}/manifests/-bad", 400, "TAG_INVALID", document(), OCI),
    Row("long tag", "PUT", "/v2/{repo}/manifests/" + "a" * 129, 400, "TAG_INVALID", document(), OCI),
    Row("bad tag among several", "PUT", "/v2/{repo}/manifests/" + digest_of(document()) + "?tag=ok&tag=b%20d", 400, "TAG_INVALID", document(), OCI),
    Row("too many tags", "PUT", "/v2/{repo}/manifests/" + digest_of(document()) + "?" + "&".join(f"tag=t{n}" for n in range(101)), 400, "UNSUPPORTED", document(), OCI),
    Row("tags to a tag", "PUT", "/v2/{repo}/manifests/one?tag=two", 400, "UNSUPPORTED", document(), OCI),
    Row("too large", "PUT", PUT, 413, "SIZE_INVALID", b" " * (4 * 1024 * 1024 + 1), OCI),
    Row("into a new repository", "PUT", "/v2/acme/never/manifests/x", 404, "MANIFEST_BLOB_UNKNOWN", document(), OCI),
    Row("delete an absent tag", "DELETE", "/v2/{repo}/manifests/absent", 404, "MANIFEST_UNKNOWN"),
    Row("delete an absent digest", "DELETE", "/v2/{repo}/manifests/" + ABSENT, 404, "MANIFEST_UNKNOWN"),
    Row("delete what an index lists", "DELETE", "/v2/{repo}/manifests/{manifest}", 409, "DENIED"),
    Row("delete a used blob", "DELETE", "/v2/{repo}/blobs/" + digest_of(b"layer"), 409, "DENIED"),
    Row("delete a blob linked elsewhere", "DELETE", "/v2/{repo}/blobs/{second_blob}", 404, "BLOB_UNKNOWN"),
    Row("delete another tenant's blob", "DELETE", "/v2/{repo}/blobs/{foreign_blob}", 404, "BLOB_UNKNOWN"),
]  # fmt: skip

PATHS = [
    Row("another tenant's blob", "GET", "/v2/{repo}/blobs/{foreign_blob}", 404, "BLOB_UNKNOWN"),
    Row("a blob linked elsewhere", "HEAD", "/v2/{repo}/blobs/{second_blob}", 404, ""),
    Row("a name in capitals", "GET", "/v2/acme/App/tags/list", 400, "NAME_INVALID"),
    Row("a name of one part", "GET", "/v2/acme/tags/list", 400, "NAME_INVALID"),
    Row("no name", "GET", "/v2/tags/list", 400, "NAME_INVALID"),
    Row("a long name", "GET", "/v2/acme/" + "a" * 255 + "/tags/list", 400, "NAME_INVALID"),
    Row("a long new name", "POST", "/v2/acme/" + "a" * 200 + "/blobs/uploads/", 400, "NAME_INVALID"),
    Row("a bad separator", "GET", "/v2/acme/a..b/tags/list", 400, "NAME_INVALID"),
    Row("double slash", "GET", "/v2/acme//app/tags/list", 400, "NAME_INVALID"),
    Row("slash first", "GET", "/v2//acme/app/tags/list", 400, "NAME_INVALID"),
    Row("dots up", "GET", "/v2/acme/../{repo}/tags/list", 400, "NAME_INVALID"),
    Row("dots", "GET", "/v2/./{repo}/tags/list", 400, "NAME_INVALID"),
    Row("dots encoded", "GET", "/v2/acme/%2e%2e/{repo}/tags/list", 400, "NAME_INVALID"),
    Row("slash encoded", "GET", "/v2/acme%2Fapp/tags/list", 400, "NAME_INVALID"),
    Row("slash encoded in a digest", "GET", "/v2/{repo}/blobs/..%2F..%2Fetc%2Fpasswd", 400, "DIGEST_INVALID"),
    Row("dots as tag", "GET", "/v2/{repo}/manifests/..", 400, "TAG_INVALID"),
    Row("dots encoded as tag", "GET", "/v2/{repo}/manifests/%2e%2e", 400, "TAG_INVALID"),
    Row("a zero byte", "GET", "/v2/{repo}/manifests/a%00b", 400, "TAG_INVALID"),
    Row("no UTF-8", "GET", "/v2/{repo}/manifests/%ff", 400, "TAG_INVALID"),
    Row("another alphabet", "GET", "/v2/{repo}/manifests/%D9%A1", 400, "TAG_INVALID"),
    Row("digits of another alphabet", "GET", "/v2/{repo}/tags/list?n=%D9%A1", 400, "PAGINATION_NUMBER_INVALID"),
    Row("a tag as blob", "GET", "/v2/{repo}/blobs/latest", 400, "DIGEST_INVALID"),
    Row("referrers of a tag", "GET", "/v2/{repo}/referrers/latest", 400, "DIGEST_INVALID"),
    Row("n negative", "GET", "/v2/{repo}/tags/list?n=-1", 400, "PAGINATION_NUMBER_INVALID"),
    Row("n in words", "GET", "/v2/_catalog?n=ten", 400, "PAGINATION_NUMBER_INVALID"),
    Row("n empty", "GET", "/v2/_catalog?n=", 400, "PAGINATION_NUMBER_INVALID"),
    Row("n endless", "GET", "/v2/_catalog?n=" + "9" * 400, 400, "PAGINATION_NUMBER_INVALID"),
    Row("last too long", "GET", "/v2/{repo}/tags/list?last=" + "a" * 513, 400, "PAGINATION_NUMBER_INVALID"),
    Row("query without UTF-8", "GET", "/v2/{repo}/tags/list?last=%ff", 400, "UNSUPPORTED"),
    Row("too many parameters", "GET", "/v2/{repo}/tags/list?" + "&".join(["a=b"] * 300), 400, "UNSUPPORTED"),
    Row("no such endpoint", "GET", "/v2/{repo}/nothing", 404, "UNSUPPORTED"),
    Row("no reference", "GET", "/v2/{repo}/manifests/", 404, "UNSUPPORTED"),
    Row("method not served", "POST", "/v2/{repo}/manifests/latest", 405, "UNSUPPORTED"),
    Row("patch of a blob", "PATCH", "/v2/{repo}/blobs/" + ABSENT, 405, "UNSUPPORTED"),
    Row("delete of the catalog", "DELETE", "/v2/_catalog", 405, "UNSUPPORTED"),
]  # fmt: skip


def filled(text: bytes | str, scene: dict[str, str]) -> bytes:
    """The row's body; three name what the scene has."""
    if isinstance(text, bytes):
        return text
    made = {
        "MANIFEST AS LAYER": (scene["manifest"], int(scene["size"])),
        "FOREIGN BLOB": (scene["foreign_blob"], 18),
        "SECOND BLOB": (scene["second_blob"], 18),
    }
    return (with_blob(*made[text]) if text in made else text).encode()


@pytest.mark.parametrize("row", [*UPLOADS, *MANIFESTS, *PATHS], ids=lambda row: row.name)
def test_bad_input_is_refused_and_changes_nothing(world, scene, row):
    path = row.path
    for key, value in scene.items():
        path = path.replace("{" + key + "}", value)
    before = world.state()
    status, body = world.owner.raw(
        row.method, path, headers=row.headers, body=filled(row.body, scene)
    )
    assert (status, code_of(body)) == (row.status, row.code), body
    assert world.state() == before
    if row.range is not None:
        answer = world.owner.request(
            row.method, path, headers=row.headers, content=filled(row.body, scene)
        )
        assert (answer.headers["range"], answer.headers["location"]) == (
            row.range,
            scene["session"],
        )


def test_the_session_still_commits_after_all_that(world, scene, repository):
    """What was refused left the ten bytes as they were."""
    session = world.owner.start_upload(repository)
    world.owner.patch(session, content=TEN)
    for row in UPLOADS:
        if row.path.startswith("{session}"):
            path = row.path.replace("{session}", session)
            world.owner.raw(row.method, path, headers=row.headers, body=filled(row.body, scene))
    assert world.owner.get(session).headers["range"] == "0-9"
    assert world.owner.put(session + TOTAL).status_code == 201
    assert world.owner.get(f"/v2/{repository}/blobs/{digest_of(TEN)}").content == TEN


def test_a_refused_manifest_says_what_is_missing(owner, repository):
    owner.push_image(repository, b"layer")
    layers = [b"absent %d" % number for number in range(8)]
    answer = owner.push_manifest(repository, "x", image(layers))
    (error,) = answer.json()["errors"]
    assert {entry["digest"] for entry in error["detail"]} == {digest_of(x) for x in layers}
    assert "and 3 more" in error["message"]


def test_schema_1_is_refused_in_words(owner, repository):
    owner.push_image(repository, b"layer")
    answer = owner.put(
        f"/v2/{repository}/manifests/x", content=b"{}", headers={"content-type": SCHEMA_1}
    )
    assert "schema 1 is not supported" in answer.text


def test_a_405_says_what_is_allowed(owner, repository):
    answer = owner.put(f"/v2/{repository}/tags/list")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def exchange(port: int, *parts: bytes, is_cut: bool = False) -> bytes:
    """What the server says to raw bytes, after which no more come. `is_cut`: it waits for more; over TLS only leaving tells it."""
    with dial(port) as sock:
        for part in parts:
            sock.sendall(part)
        if not TLS:
            sock.shutdown(socket.SHUT_WR)
        elif is_cut:
            return b""
        try:
            return b"".join(iter(lambda: sock.recv(65536), b""))
        except ConnectionResetError:
            return b""


def test_headers_beyond_the_limit_are_refused(world):
    answer = exchange(
        world.registry.port,
        b"GET /v2/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Much: " + b"a" * 80_000 + b"\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_an_authorization_beyond_the_limit_is_refused(world, repository):
    for kind in ("Basic", "Bearer", "Negotiate"):
        answer = world.client.get("/v2/", headers={"authorization": f"{kind} {'a' * 20_000}"})
        assert answer.status_code == 401


@pytest.mark.parametrize(
    "value",
    ["Basic", "Basic %%%", "Basic YQ==", "Basic /////w==", "Bearer", "Bearer x", "Bearer a.b.c", "Digest a", "x"],
)  # fmt: skip
def test_malformed_credentials_are_no_credentials(world, value):
    answer = world.client.get("/v2/", headers={"authorization": value})
    assert (answer.status_code, code_of(answer)) == (401, "UNAUTHORIZED")
    assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_a_body_that_ends_early_changes_nothing_but_the_offset(world, owner, repository):
    owner.push_blob(repository, b"x")
    login = basic("acme/owner", PASSWORD)
    before = world.state()
    for path in (
        f"POST /v2/{repository}/blobs/uploads/?digest={ABSENT}",
        f"PUT /v2/{repository}/manifests/cut",
    ):
        head = (
            f"{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {login}\r\n"
            f"Content-Type: {MANIFEST}\r\nContent-Length: 1000\r\n\r\n"
        )
        answer = exchange(world.registry.port, head.encode(), b"short", is_cut=True)
        assert not answer.startswith(b"HTTP/1.1 2")
    assert wait_for(lambda: world.state() == before)


def wait_for(condition, seconds: float = 5.0) -> bool:
    """Whether it becomes true within so long."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("length", ["-1", "1e3", "99999999999999999999999", "5, 6"])
def test_a_length_that_is_none_is_refused(world, repository, length):
    login = basic("acme/owner", PASSWORD)
    head = (
        f"POST /v2/{repository}/blobs/uploads/?digest={ABSENT} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: {login}\r\nContent-Length: {length}\r\n\r\n"
    )
    answer = exchange(world.registry.port, head.encode(), b"hello")
    assert answer.startswith(b"HTTP/1.1 4")
