"""Requests signed from the written rules alone: any headers, any octets. Shares nothing with what it is to check."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from urllib.parse import quote_from_bytes

from entrepot.dialects.tcr.signing import SignedRequest

KEY = "AKIDexample"
SECRET = "a secret of nobody"
MOMENT = 1_795_326_146
TYPE = "application/json"


def tc3(
    method: str = "POST",
    *,
    host: str = "tcr.example.test:5000",
    query: bytes = b"",
    body: bytes = b"{}",
    listed: str = "content-type;host",
    signed_as=lambda name, value: value.lower(),
    secret: str = SECRET,
    moment: int = MOMENT,
    date: str | None = None,
    service: str = "tcr",
    unsigned: bool = False,
    **headers: str,
) -> SignedRequest:
    """Signed with TC3. `signed_as` makes of a header's value what the client signs; `headers`: more of them, `_` for `-`."""
    sent = {"content-type": TYPE, "host": host, "x-tc-timestamp": str(moment)}
    sent.update({name.replace("_", "-"): value for name, value in headers.items()})
    if unsigned:
        sent["x-tc-content-sha256"] = "UNSIGNED-PAYLOAD"
    date = date or datetime.fromtimestamp(moment, UTC).date().isoformat()
    lines = "".join(f"{n}:{signed_as(n, sent[n].strip())}\n" for n in sorted(listed.split(";")))
    digest = hashlib.sha256(b"UNSIGNED-PAYLOAD" if unsigned else body).hexdigest()
    signed_query = query if method == "GET" else b""
    parts = (method.encode(), b"/", signed_query, lines.encode("latin-1"), listed.encode())
    canonical = b"\n".join((*parts, digest.encode()))
    scope = f"{date}/{service}/tc3_request"
    told = f"TC3-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical).hexdigest()}"
    key = ("TC3" + secret).encode()
    for step in (date, service, "tc3_request"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, told.encode(), hashlib.sha256).hexdigest()
    sent["authorization"] = (
        f"TC3-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={listed}, Signature={signature}"
    )
    return SignedRequest(method, host, query, sent, body)


def parameters(**more: str) -> dict[str, str]:
    """What every request of the older scheme has."""
    usual = {"Action": "DescribeInstances", "Version": "2019-09-24", "Region": "here-1"}
    return {**usual, "SecretId": KEY, "Timestamp": str(MOMENT), "Nonce": "11886", **more}


def v1(
    method: str,
    given: dict[str, str],
    *,
    host: str = "tcr.example.test:5000",
    secret: str = SECRET,
) -> SignedRequest:
    """Signed with the older scheme, as `SignatureMethod` says."""
    by_name = sorted(given.items(), key=lambda pair: pair[0].encode())
    text = method + host + "/?" + "&".join(f"{name}={value}" for name, value in by_name)
    hashing = hashlib.sha256 if given.get("SignatureMethod") == "HmacSHA256" else hashlib.sha1
    digest = hmac.new(secret.encode(), text.encode(), hashing).digest()
    return written(method, {**given, "Signature": base64.b64encode(digest).decode()}, host=host)


def written(method: str, given: dict[str, str], *, host: str) -> SignedRequest:
    """The parameters where the method puts them."""
    form = b"&".join(
        quote_from_bytes(n.encode()).encode()
        + b"="
        + quote_from_bytes(v.encode(), safe="").encode()
        for n, v in given.items()
    )
    headers = {"content-type": "application/x-www-form-urlencoded", "host": host}
    query, body = (form, b"") if method == "GET" else (b"", form)
    return SignedRequest(method, host, query, headers, body)
