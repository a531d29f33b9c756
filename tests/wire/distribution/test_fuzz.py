"""Whatever is sent with good credentials, the answer is one of ours and never a fault."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_client import ABSENT, CONFIG, INDEX, MANIFEST, basic, digest_of, image
from transport import connect
from world import PASSWORD

METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
WORDS = [
    "acme", "fuzzed", "v2", "_catalog", "tags", "list", "manifests", "blobs", "uploads",
    "referrers", "latest", "0" * 32, ABSENT, digest_of(b"layer"), "sha512:" + "a" * 128, "", ".",
    "..", "%2e%2e", "%2F", "%00", "%ff", "%", "%zz", "a" * 300, "service", "token", "manage",
]  # fmt: skip
ODD = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#? "), max_size=12
)
SEGMENTS = st.one_of(st.sampled_from(WORDS), ODD)
FREE_PATHS = st.lists(SEGMENTS, max_size=7).map(lambda parts: "/" + "/".join(parts))
REAL_PATHS = st.builds(
    lambda kind, last: f"/v2/acme/fuzzed/{kind}{last}",
    st.sampled_from(["manifests/", "blobs/", "blobs/uploads/", "referrers/", "tags/"]),
    SEGMENTS,
)
PARAMETERS = st.tuples(
    st.sampled_from(["n", "last", "digest", "mount", "from", "tag", "digest-algorithm", "artifactType", "scope", "service"]),
    st.one_of(st.sampled_from([*WORDS, "-1", "5", "9" * 30, "%D9%A1", "sha256", "repository:acme/fuzzed:pull"]), ODD),
).map("=".join)  # fmt: skip
QUERIES = st.lists(PARAMETERS, max_size=3).map("&".join)
VALUES = st.one_of(
    st.sampled_from(["bytes=0-1", "0-0", "5-9", "bytes=-5", "bytes 0-4/5", MANIFEST, INDEX, CONFIG, f'"{ABSENT}"', "*"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20),
)  # fmt: skip
HEADERS = st.dictionaries(
    st.sampled_from(["Range", "Content-Range", "Content-Type", "If-None-Match", "If-Range", "Accept", "X-Forwarded-For", "X-Forwarded-Host", "Authorization"]),
    VALUES,
    max_size=3,
)  # fmt: skip
BODIES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([image([b"layer"]), b"{}", b"null", b"[]", b'{"schemaVersion":2,"manifests":[null]}']),
)  # fmt: skip


@pytest.fixture(scope="module")
def port(world) -> int:
    world.owner.push_image("acme/fuzzed", b"layer")
    return world.registry.port


@settings(
    max_examples=300,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    method=METHODS,
    path=st.one_of(FREE_PATHS, REAL_PATHS),
    query=QUERIES,
    headers=HEADERS,
    body=BODIES,
)
def test_no_request_is_answered_with_a_fault(port, method, path, query, headers, body):
    connection = connect(port)
    sent = {"Authorization": basic("acme/owner", PASSWORD), **headers}
    try:
        target = f"{path}?{query}" if query else path
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in sent.items():
            connection.putheader(name, value.encode("latin-1"))
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    assert answer.status < 500
