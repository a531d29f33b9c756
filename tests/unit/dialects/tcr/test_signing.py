"""Signatures: the vendor's vectors and captured requests verify, the vendor's signer and a plain one agree, nothing changed does."""

import base64
import json
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from plain_signer import KEY, MOMENT, SECRET, parameters, tc3, v1, written
from tencentcloud.common.abstract_client import AbstractClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.http.request import RequestInternal
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from entrepot.dialects.tcr.signing import (
    MAX_PAIRS,
    SERVICES,
    SIGNATURE_PARAMETERS,
    AuthFailure,
    Scheme,
    SignedRequest,
    SigningError,
    read_claim,
    read_pairs,
    require_fresh,
)

VECTORS = json.loads((Path(__file__).parent / "signing_vectors.json").read_text(encoding="utf-8"))
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
METHODS = st.sampled_from(["GET", "POST"])


def holds(request: SignedRequest, secret: str = SECRET) -> bool:
    try:
        return read_claim(request).proves(secret)
    except SigningError:
        return False


def reason(request: SignedRequest) -> AuthFailure:
    with pytest.raises(SigningError) as caught:
        read_claim(request)
    assert caught.value.what
    return caught.value.reason


def flipped(data: bytes, bit: int) -> bytes:
    at, place = divmod(bit % (len(data) * 8), 8)
    return data[:at] + bytes([data[at] ^ (1 << place)]) + data[at + 1 :]


def flipped_text(text: str, bit: int) -> str:
    return flipped(text.encode("latin-1"), bit).decode("latin-1")


def with_header(request: SignedRequest, name: str, value: str | None) -> SignedRequest:
    headers = {**request.headers, name: value}
    return replace(request, headers={n: v for n, v in headers.items() if v is not None})


# -- what others signed -----------------------------------------------------------------------------------------------


def of_vector(vector) -> SignedRequest:
    return SignedRequest(
        vector["method"],
        vector["headers"]["host"],
        vector["query"].encode("ascii"),
        vector["headers"],
        vector["body"].encode(),
    )


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_what_clients_signed_is_read_and_verifies_with_their_secret_alone(vector):
    claim = read_claim(of_vector(vector), services={*SERVICES, "cvm"})

    told = asdict(claim)
    assert {name: told[name] for name in vector["claim"]} == vector["claim"]
    assert claim.proves(vector["secret"])
    assert not claim.proves(vector["secret"] + "x")
    require_fresh(claim, claim.timestamp + 300)


def by_vendor(
    method: str,
    scheme: str,
    given: dict,
    *,
    token: str | None = None,
    unsigned: bool = False,
) -> SignedRequest:
    """A request as the vendor's Python SDK puts it together."""
    profile = ClientProfile(
        signMethod=scheme, httpProfile=HttpProfile(endpoint="127.0.0.1:5000", reqMethod=method)
    )
    profile.unsignedPayload = unsigned
    client = AbstractClient(Credential(KEY, SECRET, token), "here-1", profile)
    client._apiVersion, client._service, client._endpoint = "2019-09-24", "tcr", "tcr.example.test"
    request = RequestInternal("127.0.0.1:5000", method, "/")
    client._build_req_inter("DescribeInstances", given, request)
    data = request.data.encode()
    headers = {name.lower(): value for name, value in request.header.items()}
    query, body = (data, b"") if method == "GET" else (b"", data)
    return SignedRequest(method, "127.0.0.1:5000", query, headers, body)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:tencentcloud")
@given(
    st.dictionaries(st.from_regex(r"[A-Z][A-Za-z]{0,8}(\.[0-9]{1,2})?", fullmatch=True), TEXTS),
    METHODS,
    st.sampled_from(list(Scheme)),
    st.sampled_from([None, "a-token"]),
    st.booleans(),
)
def test_whatever_the_vendors_sdk_signs_verifies(values, method, scheme, token, unsigned):
    assume(not SIGNATURE_PARAMETERS & set(values))
    request = by_vendor(method, scheme.value, dict(values), token=token, unsigned=unsigned)

    claim = read_claim(request)

    assert claim.proves(SECRET)
    assert not claim.proves("another")
    assert (claim.scheme, claim.access_key_id, claim.session_token) == (scheme, KEY, token)
    assert (claim.action, claim.version) == ("DescribeInstances", "2019-09-24")
    assert claim.region == "here-1"
    require_fresh(claim, time.time())
    if claim.parameters is not None:
        assert dict(claim.parameters) == values
        assert claim.nonce
    assert (claim.service is None) == (scheme is not Scheme.TC3)


# -- TC3 --------------------------------------------------------------------------------------------------------------


@given(METHODS, st.binary(max_size=100), st.binary(max_size=60), st.booleans())
def test_any_body_and_any_query_verify_as_they_came(method, body, query, unsigned):
    request = tc3(method, body=body, query=query, unsigned=unsigned)

    assert holds(request)
    assert not holds(request, "another secret")
    assert holds(replace(request, body=body + b"x")) == unsigned
    assert holds(replace(request, raw_query=query + b"x")) == (method == "POST")


@given(st.sampled_from(["method", "host", "raw_query", "body"]), st.integers(0, 10_000))
@example("host", 5)
def test_no_bit_of_what_tc3_signs_can_be_changed(part, bit):
    request = tc3(
        "GET", query="Name=é+b%2Bc&Limit=1".encode(), body="{é}".encode(), host="tcr.test:5000"
    )
    value = getattr(request, part)
    change = flipped(value, bit) if isinstance(value, bytes) else flipped_text(value, bit)
    if part == "host":  # values of headers are signed in lower case
        assume(change.lower() != value)

    assert holds(request)
    assert not holds(replace(request, **{part: change}))


@given(
    st.sampled_from(["content-type", "x-tc-timestamp", "x-tc-action", "authorization"]),
    st.integers(0, 10_000),
)
def test_no_bit_of_a_signed_header_or_of_the_signature_can_be_changed(name, bit):
    request = tc3(listed="content-type;host;x-tc-action", x_tc_action="DescribeInstances")
    change = flipped_text(request.headers[name], bit)
    assume(change.lower() != request.headers[name].lower() or name == "authorization")
    told = read_claim(request)

    changed = with_header(request, name, change)

    # Of Authorization the key's id is not signed: whose secret it is checked with decides.
    assert not holds(changed) or read_claim(changed).access_key_id != told.access_key_id


LISTED = {
    "a third": "content-type;host;x-tc-action",
    "more": "content-type;host;x-tc-action;x-tc-timestamp;x-tc-version",
    "not sorted": "host;content-type",
}
READINGS = {
    "lower": lambda _, value: value.lower(),
    "as sent": lambda _, value: value,
    "the action lower": lambda name, value: value.lower() if name == "x-tc-action" else value,
}


@pytest.mark.parametrize("listed", LISTED.values(), ids=LISTED)
@pytest.mark.parametrize("reading", READINGS.values(), ids=READINGS)
def test_exactly_the_listed_headers_are_signed_in_any_of_the_readings(listed, reading):
    request = tc3(
        host="TCR.Example.Test:5000",
        listed=listed,
        signed_as=reading,
        content_type="Application/JSON; charset=UTF-8",
        x_tc_action="DescribeInstances",
        x_tc_version="2019-09-24",
        x_tc_region="here-1",
    )

    assert holds(request)
    assert holds(with_header(request, "x-tc-region", "elsewhere"))
    is_signed = "x-tc-action" in listed
    assert holds(with_header(request, "x-tc-action", "DeleteInstance")) != is_signed


@pytest.mark.parametrize(
    "reading", [str, lambda value: value.encode("latin-1").lower().decode("latin-1")]
)
def test_header_values_are_signed_without_blanks_around_and_octet_by_octet(reading):
    note = "  É X\xa0\x85ß ".encode().decode("latin-1")
    request = tc3(
        listed="content-type;host;x-note", signed_as=lambda _, value: reading(value), x_note=note
    )

    assert holds(request)
    assert holds(with_header(request, "x-note", note.strip()))


@pytest.mark.parametrize(
    "host", ["http://127.0.0.1:5200", "[::1]:5000", "tcr.test", "a b", "", "\xe9.test"]
)
@pytest.mark.parametrize("sign", [tc3, lambda **k: v1("GET", parameters(), **k)], ids=["tc3", "v1"])
def test_the_host_is_signed_as_it_was_received_valid_or_not(sign, host):
    if host == "\xe9.test" and sign is not tc3:
        host = "é".encode().decode("latin-1") + ".test"
        request = replace(v1("GET", parameters(), host="é.test"), host=host)
    else:
        request = sign(host=host)

    assert holds(request)
    assert not holds(replace(request, host=host + "0"))


def authorization(request: SignedRequest, old: str, new: str) -> SignedRequest:
    assert old in request.headers["authorization"]
    return with_header(request, "authorization", request.headers["authorization"].replace(old, new))


@pytest.mark.parametrize(("old", "new"), [(", ", ","), (", ", " ,  "), ("256 ", "256   ")])
def test_blanks_between_parts_of_authorization_do_not_matter(old, new):
    assert holds(authorization(tc3(), old, new))


def test_parts_of_authorization_may_come_in_any_order():
    scheme, _, rest = tc3().headers["authorization"].partition(" ")

    changed = f"{scheme} {', '.join(reversed(rest.split(', ')))}"

    assert holds(with_header(tc3(), "authorization", changed))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("TC3-HMAC-SHA256", "SKIP", AuthFailure.UNSIGNED),
        ("TC3-HMAC-SHA256", "TC3-HMAC-SHA1", AuthFailure.UNPARSABLE),
        ("TC3-HMAC-SHA256", "Bearer", AuthFailure.UNPARSABLE),
        ("TC3-HMAC-SHA256 ", "", AuthFailure.UNPARSABLE),
        (", Signature", "; Signature", AuthFailure.MISSING),
        ("Credential=", "Credential:", AuthFailure.UNPARSABLE),
        ("Credential=", "Other=", AuthFailure.UNPARSABLE),
        ("Credential=", "Signature=" + "a" * 64 + ", Credential=", AuthFailure.UNPARSABLE),
        (f"{KEY}/", "/", AuthFailure.UNPARSABLE),
        (f"{KEY}/", "", AuthFailure.UNPARSABLE),
        ("/tc3_request", "/aws4_request", AuthFailure.UNPARSABLE),
        ("/tc3_request", "", AuthFailure.UNPARSABLE),
        ("SignedHeaders=content-type;host, ", "", AuthFailure.MISSING),
        ("SignedHeaders=content-type;host", "SignedHeaders=", AuthFailure.MISSING),
        ("content-type;host", "host", AuthFailure.UNSIGNED_HEADER),
        ("content-type;host", "content-type", AuthFailure.UNSIGNED_HEADER),
        ("content-type;host", "content-type;host;host", AuthFailure.UNPARSABLE),
        ("content-type;host", "content-type;;host", AuthFailure.UNPARSABLE),
        ("content-type;host", "content-type;host;x-absent", AuthFailure.MISSING),
        ("content-type;host", ";".join(["content-type;host", *map(str, range(64))]), None),
        ("/tcr/", "/cvm/", AuthFailure.SERVICE),
        ("/tcr/", "//", AuthFailure.SERVICE),
        ("2026-11-22", "2026-11-23", AuthFailure.DATE),
        ("2026-11-22", "20261122", AuthFailure.UNPARSABLE),
    ],
)
def test_an_authorization_that_is_not_as_it_should_be_is_told(old, new, why):
    assert reason(authorization(tc3(), old, new)) is (why or AuthFailure.UNPARSABLE)


@pytest.mark.parametrize("signature", ["", "abc", "A" * 64, "g" * 64, "a" * 65, "é" * 64])
def test_a_signature_that_is_none_is_told(signature):
    right = tc3().headers["authorization"][-64:]

    assert reason(authorization(tc3(), right, signature)) in {
        AuthFailure.UNPARSABLE,
        AuthFailure.MISSING,
    }


@pytest.mark.parametrize(
    ("stamp", "why"),
    [
        (None, AuthFailure.MISSING),
        ("", AuthFailure.MISSING),
        ("now", AuthFailure.TIMESTAMP),
        ("-1", AuthFailure.TIMESTAMP),
        ("1.5", AuthFailure.TIMESTAMP),
        ("²", AuthFailure.TIMESTAMP),
        ("9" * 12, AuthFailure.TIMESTAMP),
        ("9" * 400, AuthFailure.TIMESTAMP),
        (str(MOMENT + 86_400), AuthFailure.DATE),
    ],
)
def test_a_timestamp_that_is_none_is_told(stamp, why):
    assert reason(with_header(tc3(), "x-tc-timestamp", stamp)) is why


def test_the_date_is_that_of_utc():
    one_second_before_midnight = 1_795_305_599

    assert holds(tc3(moment=one_second_before_midnight))
    assert read_claim(tc3(moment=one_second_before_midnight)).proof.scope.date == "2026-11-21"
    assert reason(tc3(moment=one_second_before_midnight, date="2026-11-22")) is AuthFailure.DATE


def test_the_tag_service_is_told_apart():
    assert read_claim(tc3(service="tag")).service == "tag"
    assert reason(tc3(service="sts")) is AuthFailure.SERVICE


@pytest.mark.parametrize("request_of", [tc3, lambda **_: v1("GET", parameters())])
def test_a_request_counts_for_five_minutes_to_either_side(request_of):
    claim = read_claim(request_of())

    for now in (MOMENT - 300, MOMENT, MOMENT + 300):
        require_fresh(claim, now)
    for now in (MOMENT - 300.001, MOMENT + 301, 0):
        with pytest.raises(SigningError) as caught:
            require_fresh(claim, now)
        assert caught.value.reason is AuthFailure.SKEW


# -- the older scheme -------------------------------------------------------------------------------------------------


@given(
    st.dictionaries(TEXTS.filter(lambda t: t not in SIGNATURE_PARAMETERS), TEXTS, max_size=6),
    METHODS,
    st.sampled_from([None, "HmacSHA1", "HmacSHA256", "HmacMD5"]),
)
def test_any_parameters_verify_decoded_once(values, method, hashing):
    values.pop("", None)
    given_all = parameters(**values)
    if hashing is not None:
        given_all["SignatureMethod"] = hashing
    request = v1(method, given_all)

    claim = read_claim(request)

    assert claim.proves(SECRET)
    assert not claim.proves("another secret")
    assert claim.scheme is (Scheme.SHA256 if hashing == "HmacSHA256" else Scheme.SHA1)
    assert dict(claim.parameters) == values
    assert claim.weight > sum(map(len, given_all.values()))


@given(st.sampled_from(["GET", "POST"]), st.integers(0, 100_000))
def test_no_bit_of_what_v1_signs_can_be_changed(method, bit):
    request = v1(method, parameters(Name="é b+c/d=&", SignatureMethod="HmacSHA256", Token="t"))
    part = "raw_query" if method == "GET" else "body"
    form = getattr(request, part)
    change = flipped(form, bit)
    with suppress(SigningError):  # `%2f` says what `%2F` says
        assume(read_pairs(change) != read_pairs(form))

    assert holds(request)
    assert not holds(replace(request, **{part: change}))


def test_the_method_and_the_host_are_signed_too():
    request = v1("POST", parameters())
    values = dict(read_pairs(request.body))

    assert not holds(written("GET", values, host=request.host))
    assert not holds(replace(request, host="tcr.example.test"))


def test_names_are_sorted_by_their_octets():
    names = ["InstanceIds.12", "InstanceIds.2", "Z", "a", "é", "\uffff", "\U00010000"]

    assert holds(v1("GET", parameters(**dict.fromkeys(names, "x"))))


def test_a_plus_in_the_signature_must_be_encoded():
    signed = (v1("GET", parameters(N=str(number))) for number in range(1000))
    request = next(one for one in signed if b"%2B" in one.raw_query)

    assert holds(request)
    assert not holds(replace(request, raw_query=request.raw_query.replace(b"%2B", b"+")))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"SecretId": None}, AuthFailure.MISSING),
        ({"Signature": None}, AuthFailure.MISSING),
        ({"Signature": None, "SecretId": None}, AuthFailure.UNSIGNED),
        ({"Timestamp": None}, AuthFailure.MISSING),
        ({"Timestamp": "soon"}, AuthFailure.TIMESTAMP),
        ({"Nonce": None}, AuthFailure.MISSING),
        ({"Nonce": ""}, AuthFailure.MISSING),
        ({"Nonce": "0"}, AuthFailure.NONCE),
        ({"Nonce": "-5"}, AuthFailure.NONCE),
        ({"Nonce": "x"}, AuthFailure.NONCE),
        ({"Nonce": "٣"}, AuthFailure.NONCE),
        ({"Nonce": str(2**63)}, AuthFailure.NONCE),
        ({"Nonce": "9" * 5000}, AuthFailure.NONCE),
    ],
)
def test_parameters_of_signing_that_are_missing_or_wrong_are_told(change, why):
    values = {**dict(read_pairs(v1("GET", parameters()).raw_query)), **change}
    values = {name: value for name, value in values.items() if value is not None}

    assert reason(written("GET", values, host="h")) is why


def test_the_largest_nonce_is_of_63_bits():
    assert read_claim(v1("GET", parameters(Nonce=str(2**63 - 1)))).nonce == 2**63 - 1


def test_a_parameter_given_twice_is_refused():
    request = v1("GET", parameters())

    doubled = replace(request, raw_query=request.raw_query + b"&Region=elsewhere")

    assert reason(doubled) is AuthFailure.AMBIGUOUS


def test_a_body_of_json_without_authorization_is_not_signed():
    assert reason(SignedRequest("POST", "h", b"", {}, b'{"Limit": 1}')) is AuthFailure.UNSIGNED
    assert reason(SignedRequest("GET", "h", b"", {}, b"")) is AuthFailure.UNSIGNED


def test_parameters_are_decoded_once_and_their_number_is_bounded():
    assert read_pairs(b"a=1&&b=x+y%2Bz&c&d=%2526&=e&a=2") == [
        ("a", "1"), ("b", "x y+z"), ("c", ""), ("d", "%26"), ("", "e"), ("a", "2"),
    ]  # fmt: skip
    assert len(read_pairs(b"&".join([b"a=1"] * MAX_PAIRS))) == MAX_PAIRS
    for raw, why in ((b"a=1&" * MAX_PAIRS, AuthFailure.TOO_MANY), (b"a=%ff", AuthFailure.ENCODING)):
        with pytest.raises(SigningError) as caught:
            read_pairs(raw)
        assert caught.value.reason is why


# -- anything ---------------------------------------------------------------------------------------------------------


@given(
    METHODS,
    st.text(st.characters(codec="latin-1"), max_size=20),
    st.binary(max_size=60),
    st.dictionaries(
        st.sampled_from(["authorization", "x-tc-timestamp", "content-type", "host"]),
        st.one_of(
            st.text(st.characters(codec="latin-1"), max_size=40),
            st.just(tc3().headers["authorization"]),
        ),
    ),
)
def test_whatever_comes_is_a_claim_that_holds_not_or_a_failure_with_a_reason(
    method, host, form, headers
):
    request = SignedRequest(method, host, form, headers, form)

    assert not holds(request)


def test_nothing_secret_is_printed():
    claim = read_claim(tc3(x_tc_token="a-session-token"))
    older = read_claim(v1("GET", parameters(Token="a-session-token", SignatureMethod="HmacSHA1")))

    for shown in (repr(claim), repr(older), repr(older.proof)):
        assert "a-session-token" not in shown
        assert base64.b64encode(older.proof.signature).decode() not in shown


def test_urlencoded_forms_of_python_clients_are_read_as_they_meant():
    values = parameters(Name="a b+c", Other="中文")
    request = v1("POST", values)
    signature = dict(read_pairs(request.body))["Signature"]

    assert holds(replace(request, body=urlencode({**values, "Signature": signature}).encode()))
