"""SDK-HMAC-SHA256: computed vectors, captured requests and the vendor's signer verify; nothing changed does, nothing unsigned counts."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
from hypothesis import assume, example, given
from hypothesis import strategies as st

from entrepot.dialects.sign_in import signature
from entrepot.dialects.sign_in.signature import (
    WINDOW_SECONDS,
    SignatureUnreadable,
    SignedRequest,
    canonical_path,
    canonical_query,
    is_signed,
    read_claim,
)

VECTORS = json.loads((Path(__file__).parent / "sdk_hmac_vectors.json").read_text(encoding="utf-8"))
KEY, SECRET = "AKIDEXAMPLE", "a secret of nobody"
STAMP = "20240102T030405Z"
MOMENT = int(datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp())
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20)


def moment_of(request: SignedRequest) -> float:
    stamp = dict(request.headers)[b"x-sdk-date"].decode()
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def holds(request: SignedRequest, secret: str = SECRET, *, now: float = MOMENT) -> bool:
    try:
        return read_claim(request, now).proves(secret)
    except SignatureUnreadable:
        return False


def request_of(method, path, query, headers, body) -> SignedRequest:
    pairs = [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in headers.items()]
    return SignedRequest(method, path.encode(), query.encode(), pairs, body)


def sdk_signed(
    method: str = "POST",
    path: str = "/v2/manage/namespaces",
    query=(),
    body: bytes = b'{"namespace": "group"}',
    **headers: str,
) -> SignedRequest:
    """Signed by the vendor's own code, as it goes over the wire."""
    sent = {"Content-Type": "application/json", "User-Agent": "tests/1.0", "X-Sdk-Date": STAMP}
    sent.update({name.replace("_", "-"): value for name, value in headers.items()})
    asked = SdkRequest(
        method, "https", "swr-api.example.test:5000", path, path, list(query), sent, body
    )
    signed = Signer(BasicCredentials(KEY, SECRET, "p")).sign(asked)
    wire_path, _, wire_query = signed.uri.partition("?")
    return request_of(method, wire_path, wire_query, signed.header_params, body)


def with_header(request: SignedRequest, name: str, *values: str) -> SignedRequest:
    """With these values of that header, and no others."""
    kept = [pair for pair in request.headers if pair[0] != name.encode()]
    return replace(
        request, headers=[*kept, *((name.encode(), v.encode("latin-1")) for v in values)]
    )


def header(request: SignedRequest, name: str) -> str:
    return dict(request.headers)[name.encode()].decode("latin-1")


# -- what others signed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_requests_signed_by_others_verify_with_their_secret_alone(vector):
    request = request_of(
        vector["method"],
        vector["path"],
        vector["query"],
        vector["headers"],
        vector["body"].encode(),
    )
    now = moment_of(request)
    claim = read_claim(request, now)
    assert claim.proves(vector["secret"])
    assert not claim.proves(vector["secret"] + "0")
    assert claim.signed_at == now
    assert claim.access_key_id in vector["headers"]["authorization"]
    assert claim.session_token == vector["headers"].get("x-security-token")
    if "canonical_sha256" in vector:
        assert claim.told.decode().splitlines()[2] == vector["canonical_sha256"]
    assert not holds(replace(request, method="PUT"), vector["secret"], now=now)
    assert not holds(replace(request, path=request.path + b"x"), vector["secret"], now=now)
    assert not holds(replace(request, query=request.query + b"&x=1"), vector["secret"], now=now)
    assert not holds(replace(request, body=request.body + b" "), vector["secret"], now=now)


@given(
    method=st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT"]),
    pieces=st.lists(TEXTS, min_size=1, max_size=4),
    query=st.lists(st.tuples(TEXTS, TEXTS | st.booleans() | st.integers()), max_size=5),
    body=st.binary(max_size=60),
    project=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20),
)
@example("GET", ["v2", "a$b"], [("filter", "limit::10|offset::0"), ("a", "+ é")], b"", "p")
def test_what_the_vendors_signer_signs_verifies(method, pieces, query, body, project):
    query = [(name, value) for name, value in query if name]
    assume(len({name for name, _ in query}) == len(query))  # it sorts unlike types otherwise
    path = "/" + "/".join(signature.quote_from_bytes(p.encode(), safe="") for p in pieces)
    request = sdk_signed(method, path, query, body, X_Project_Id=project)
    assert holds(request)


def test_lists_in_a_query_are_repeated_names_in_order():
    request = sdk_signed("GET", query=[("tag", ["v2", "v1", "v10"]), ("all", True)], body=b"")
    assert request.query == b"all=true&tag=v1&tag=v10&tag=v2"
    assert holds(request)
    assert holds(replace(request, query=b"tag=v2&tag=v1&all=true&tag=v10"))  # order does not count
    assert not holds(replace(request, query=b"all=true&tag=v1&tag=v10"))


def test_headers_that_are_not_ascii_verify_as_they_are_on_the_wire():
    assert holds(sdk_signed(User_Agent="tésts/1.0"))


def test_a_body_that_is_not_json_may_be_unsigned():
    request = sdk_signed(body=b"anything", Content_Type="application/octet-stream")
    assert header(request, "x-sdk-content-sha256") == "UNSIGNED-PAYLOAD"
    assert holds(request)
    assert holds(replace(request, body=b"another"))
    assert not holds(with_header(request, "x-sdk-content-sha256"))
    digest = hashlib.sha256(b"anything").hexdigest()
    assert not holds(with_header(request, "x-sdk-content-sha256", digest))


def test_a_stated_hash_must_be_the_bodys():
    digest = hashlib.sha256(b"body").hexdigest()
    request = sdk_signed(body=b"body", X_Sdk_Content_Sha256=digest)
    assert holds(request)
    with pytest.raises(SignatureUnreadable, match="not the body's"):
        read_claim(replace(request, body=b"Body"), MOMENT)


def test_an_empty_body_is_hashed_whatever_is_stated():
    request = sdk_signed("GET", body=b"", Content_Type="text/plain")
    assert header(request, "x-sdk-content-sha256") == "UNSIGNED-PAYLOAD"
    assert holds(request)
    assert holds(replace(request, body=b"x")) is False


# -- what was changed -------------------------------------------------------------------------------------------------


def flipped(data: bytes, bit: int) -> bytes:
    at, place = divmod(bit % (len(data) * 8), 8)
    return data[:at] + bytes([data[at] ^ (1 << place)]) + data[at + 1 :]


SIGNED = ("content-type", "host", "user-agent", "x-sdk-date", "authorization")


@given(part=st.sampled_from(["path", "query", "body", *SIGNED]), bit=st.integers(0, 10_000))
def test_no_flipped_bit_of_what_is_signed_verifies(part, bit):
    request = sdk_signed(query=[("filter", "a::b"), ("tag", "v1")])
    if part in SIGNED:
        value = header(request, part).encode("latin-1")
        changed = with_header(request, part, flipped(value, bit).decode("latin-1"))
        # A blank at an end is none of the value; Authorization's own grammar has blanks that do not count.
        assume(header(changed, part).strip() == header(changed, part))
        assume(part != "authorization" or _reads_otherwise(request, changed))
    else:
        changed = replace(request, **{part: flipped(getattr(request, part), bit)})
        assume(canonical_path(changed.path) != canonical_path(request.path) or part != "path")
        assume(canonical_query(changed.query) != canonical_query(request.query) or part != "query")
    assert not holds(changed)


def _reads_otherwise(request: SignedRequest, changed: SignedRequest) -> bool:
    """Another key is another secret, which is not this signature's to tell."""
    try:
        return (
            read_claim(changed, MOMENT).access_key_id == read_claim(request, MOMENT).access_key_id
        )
    except SignatureUnreadable:
        return True


def test_headers_that_are_not_listed_may_change_and_listed_ones_may_not_go():
    request = sdk_signed()
    assert holds(with_header(request, "accept", "*/*"))
    assert holds(with_header(request, "connection", "close"))
    for name in ("content-type", "host", "user-agent"):
        assert not holds(with_header(request, name))
        assert not holds(with_header(request, name, header(request, name), header(request, name)))


# -- paths and queries ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        (b"/", b"/"),
        (b"/v2/manage/namespaces", b"/v2/manage/namespaces/"),
        (b"/v2/manage/namespaces/", b"/v2/manage/namespaces/"),
        (b"/a$b", b"/a%24b/"),
        (b"/a%24b", b"/a%24b/"),
        (b"/a%2Fb", b"/a/b/"),
        (b"/a%2fb", b"/a/b/"),
        (b"/a%252Fb", b"/a%252Fb/"),
        (b"/~a-b_c.d", b"/~a-b_c.d/"),
        (b"/%C3%A9 +", b"/%C3%A9%20%2B/"),
        (b"/100%", b"/100%25/"),
        (b"//a", b"//a/"),
        (b"/\xff", b"/%FF/"),
    ],
)
def test_paths_are_decoded_whole_and_encoded_in_one_way(raw, canonical):
    assert canonical_path(raw) == canonical


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        (b"", b""),
        (b"b=2&a=1", b"a=1&b=2"),
        (b"a", b"a="),
        (b"a=", b"a="),
        (b"&&a=1&", b"a=1"),
        (b"a=1=2", b"a=1%3D2"),
        (b"a=x+y", b"a=x%2By"),
        (b"a=x%20y", b"a=x%20y"),
        (b"filter=limit::10|offset::0", b"filter=limit%3A%3A10%7Coffset%3A%3A0"),
        (b"a=2&a=10&a=1", b"a=1&a=10&a=2"),
        (b"a~=1&a%20=2", b"a%20=2&a~=1"),  # sorted as they mean, not as they are written
        (b"%C3%A9=1&z=2", b"z=2&%C3%A9=1"),
    ],
)
def test_queries_are_sorted_decoded_and_encoded_in_one_way(raw, canonical):
    assert canonical_query(raw) == canonical


# -- what cannot be read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [-WINDOW_SECONDS, 0, WINDOW_SECONDS])
def test_a_request_counts_for_a_quarter_of_an_hour_to_either_side(seconds):
    assert holds(sdk_signed(), now=MOMENT + seconds)


@pytest.mark.parametrize("seconds", [-WINDOW_SECONDS - 1, WINDOW_SECONDS + 1])
def test_and_no_longer(seconds):
    with pytest.raises(SignatureUnreadable, match="900 s"):
        read_claim(sdk_signed(), MOMENT + seconds)


def spoilt(old: str, new: str) -> str:
    authorization = header(sdk_signed(), "authorization")
    assert old in authorization
    return authorization.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SDK-HMAC-SHA256 ", "SDK-HMAC-SM3 "),
        ("SDK-HMAC-SHA256 ", "SDK-HMAC-SHA256"),
        ("Access=", "Credential="),
        (f"Access={KEY}, ", ""),
        (f"Access={KEY}", "Access="),
        (f"Access={KEY}", "Access=" + "A" * 129),
        (f"Access={KEY}", f"Access={KEY}, Access={KEY}"),
        (", SignedHeaders=", ", Signed="),
        (";x-sdk-date", ""),
        (";x-sdk-date", ";x-sdk-date;x-sdk-date"),
        (";x-sdk-date", ";x-sdk-date;X-Sdk-Date"),
        (";x-sdk-date", ";;x-sdk-date"),
        (";x-sdk-date", ";x-sdk-date" + "".join(f";x-{n}" for n in range(64))),
        (";x-sdk-date", ";x\nsdk-date;x-sdk-date"),
        ("Signature=", "Signature=0"),
        ("Signature=", "Signature=" + "0" * 5000),
    ],
)
def test_an_authorization_that_is_not_of_the_scheme_is_refused(old, new):
    request = with_header(sdk_signed(), "authorization", spoilt(old, new))
    with pytest.raises(SignatureUnreadable):
        read_claim(request, MOMENT)


@pytest.mark.parametrize(
    "stamp",
    [
        "",
        "2024",
        "20240102T030405",
        "20241302T030405Z",
        "20240102T030461Z",
        "\u0662\u0660240102T030405Z",
    ],
)
def test_a_date_that_is_none_is_refused(stamp):
    request = sdk_signed()
    headers = [pair for pair in request.headers if pair[0] != b"x-sdk-date"]
    spoilt_date = replace(request, headers=[*headers, (b"x-sdk-date", stamp.encode())])
    with pytest.raises(SignatureUnreadable):
        read_claim(spoilt_date, MOMENT)


@pytest.mark.parametrize(
    "changes",
    [
        {"path": b"/" + b"a" * signature.MAX_PATH},
        {"query": b"a" * (signature.MAX_QUERY + 1)},
        {"query": b"a&" * (signature.MAX_PAIRS + 1)},
    ],
)
def test_what_is_longer_than_anybody_needs_is_refused_before_it_is_read(changes):
    with pytest.raises(SignatureUnreadable):
        read_claim(replace(sdk_signed(), **changes), MOMENT)


@pytest.mark.parametrize("name", ["authorization", "x-sdk-date", "x-security-token"])
def test_a_header_that_counts_is_there_once(name):
    with pytest.raises(SignatureUnreadable, match="one header"):
        read_claim(with_header(sdk_signed(), name, "a", "b"), MOMENT)


def test_a_session_token_is_read_and_signed_where_it_is_listed():
    request = sdk_signed(X_Security_Token="a token")
    assert read_claim(request, MOMENT).session_token == "a token"
    assert not holds(with_header(request, "x-security-token", "another"))


def test_other_schemes_are_told_from_signatures():
    assert is_signed("SDK-HMAC-SHA256 Access=a")
    assert is_signed("sdk-hmac-sm3 Access=a")
    assert is_signed("V11-HMAC-SHA256 Access=a")
    assert not is_signed("Basic abc")
    assert not is_signed("")


def test_a_claim_is_never_printed():
    assert "a token" not in repr(read_claim(sdk_signed(X_Security_Token="a token"), MOMENT))
