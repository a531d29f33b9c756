"""Requests signed by hand in every form the vendor documents, sent as they are; and what comes back, checked for what every answer has."""

import base64
import hashlib
import hmac
import http.client
import itertools
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from account import VERSION, Account
from transport import connect

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_nonces = itertools.count(time.time_ns() % 10**12)


@dataclass
class Sent:
    """A request, ready to be spoilt before it goes."""

    method: str
    query: bytes = b""
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def flat(given: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """The documented flat form; booleans as the vendor's Python clients write them."""
    if isinstance(given, Mapping):
        for name, value in given.items():
            yield from flat(value, f"{prefix}.{name}" if prefix else name)
    elif isinstance(given, list):
        for number, value in enumerate(given):
            yield from flat(value, f"{prefix}.{number}")
    elif given is not None:
        yield prefix, str(given)


def encoded(pairs: list[tuple[str, str]]) -> bytes:
    return "&".join(f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in pairs).encode()


def tc3_post(who: Account, action: str, parameters: Any = None, **how: Any) -> Sent:
    """`body`: instead of the parameters as JSON. For the rest see `tc3`."""
    body = how.pop("body", None)
    if body is None:
        body = json.dumps({} if parameters is None else parameters).encode()
    return tc3(
        who, action, Sent("POST", body=body), content_type=how.pop("content_type", JSON), **how
    )


def tc3_get(who: Account, action: str, parameters: Any = None, **how: Any) -> Sent:
    query = how.pop("query", None)
    if query is None:
        query = encoded(list(flat(parameters or {})))
    return tc3(
        who, action, Sent("GET", query=query), content_type=how.pop("content_type", FORM), **how
    )


def tc3(
    who: Account,
    action: str,
    sent: Sent,
    *,
    content_type: str,
    at: float | None = None,
    version: str = VERSION,
    region: str | None = None,
    secret: str | None = None,
    key_id: str | None = None,
    date: str | None = None,
    service: str = "tcr",
    is_unsigned: bool = False,
) -> Sent:
    """Signed over content type and host."""
    host, stamp = f"127.0.0.1:{who.registry.port}", int(time.time() if at is None else at)
    date = date or datetime.fromtimestamp(stamp, UTC).strftime("%Y-%m-%d")
    payload = b"UNSIGNED-PAYLOAD" if is_unsigned else sent.body
    lines = f"content-type:{content_type}\nhost:{host}\n"
    head = f"{sent.method}\n/\n{sent.query.decode()}\n{lines}\ncontent-type;host\n"
    canonical = head + hashlib.sha256(payload).hexdigest()
    scope = f"{date}/{service}/tc3_request"
    told = f"TC3-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"TC3{secret or who.secret}".encode()
    for step in (date, service, "tc3_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    signature = hmac.digest(key, told.encode(), "sha256").hex()
    sent.headers = {
        "Host": host,
        "Content-Type": content_type,
        "X-TC-Action": action,
        "X-TC-Version": version,
        "X-TC-Region": who.region if region is None else region,
        "X-TC-Timestamp": str(stamp),
        "Authorization": (
            f"TC3-HMAC-SHA256 Credential={key_id or who.key_id}/{scope}, "
            f"SignedHeaders=content-type;host, Signature={signature}"
        ),
    }
    if is_unsigned:
        sent.headers["X-TC-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    return sent


def v1(
    who: Account,
    action: str,
    parameters: Any = None,
    *,
    verb: str = "GET",
    scheme: str = "HmacSHA1",
    at: float | None = None,
    secret: str | None = None,
    pairs: list[tuple[str, str]] | None = None,
    **own: str,
) -> Sent:
    """`own`: parameters of signing, instead of the usual ones; empty: left out."""
    usual = {
        "Action": action,
        "Version": VERSION,
        "Region": who.region,
        "SecretId": who.key_id,
        "SignatureMethod": scheme,
        "Timestamp": str(int(time.time() if at is None else at)),
        "Nonce": str(next(_nonces)),
    }
    signing = {name: value for name, value in {**usual, **own}.items() if value}
    given = list(signing.items()) + (list(flat(parameters or {})) if pairs is None else pairs)
    host = f"127.0.0.1:{who.registry.port}"
    text = verb + host + "/?" + "&".join(f"{n}={v}" for n, v in sorted(given))
    hashing = "sha256" if signing.get("SignatureMethod") == "HmacSHA256" else "sha1"
    digest = hmac.digest((secret or who.secret).encode(), text.encode(), hashing)
    form = encoded([*given, ("Signature", base64.b64encode(digest).decode())])
    headers = {"Host": host, "Content-Type": FORM}
    if verb == "GET":
        return Sent("GET", query=form, headers=headers)
    return Sent("POST", body=form, headers=headers)


class Wire:
    """One connection to a registry, opened anew where the server ended it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: http.client.HTTPConnection | None = None
        self._ids: set[str] = set()

    def send(self, sent: Sent) -> dict[str, Any]:
        """What `Response` holds; the envelope is exactly as documented."""
        status, headers, body = self.exchange(sent)
        assert status == 200, (status, body)
        assert headers["content-type"] == JSON
        decoded = json.loads(body)
        assert list(decoded) == ["Response"]
        answer: dict[str, Any] = decoded["Response"]
        assert UUID.fullmatch(answer["RequestId"])
        assert answer["RequestId"] not in self._ids
        self._ids.add(answer["RequestId"])
        if "Error" in answer:
            assert set(answer) == {"Error", "RequestId"}
            assert set(answer["Error"]) == {"Code", "Message"}
            assert answer["Error"]["Message"]
            assert "Traceback" not in answer["Error"]["Message"]
        return answer

    def code(self, sent: Sent) -> str:
        """The error's code, or "" for none."""
        return str(self.send(sent).get("Error", {}).get("Code", ""))

    def exchange(self, sent: Sent) -> tuple[int, dict[str, str], bytes]:
        for attempt in (1, 2):
            if self._connection is None:
                self._connection = connect(self._port, seconds=30)
            try:
                return self._once(self._connection, sent)
            except (ConnectionError, http.client.RemoteDisconnected):
                self.close()
                if attempt == 2:
                    raise
        raise AssertionError

    def _once(
        self, connection: http.client.HTTPConnection, sent: Sent
    ) -> tuple[int, dict[str, str], bytes]:
        target = "/" + (f"?{sent.query.decode()}" if sent.query else "")
        headers = {name: value for name, value in sent.headers.items() if value}
        connection.request(sent.method, target, sent.body or None, headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.will_close:
            self.close()
        return answer.status, {n.lower(): v for n, v in answer.getheaders()}, body

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
