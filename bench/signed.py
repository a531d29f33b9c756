"""Requests as the vendors' clients sign them: TCR's (TC3-HMAC-SHA256 over content type and host), SWR's (SDK-HMAC-SHA256 over host and date)."""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from bench.httpline import request_head

VERSION = "2019-09-24"
_SERVICE = "tcr"
_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Signer:
    """A key pair, and the Host header's value. A signature is good for five minutes."""

    key_id: str
    secret: str
    host: str

    def headers(self, action: str, body: bytes) -> dict[str, str]:
        """Of a POST, besides Host."""
        stamp = int(time.time())
        return {
            "Content-Type": _TYPE,
            "Content-Length": str(len(body)),
            "Authorization": self._authorization(body, stamp),
            "X-TC-Action": action,
            "X-TC-Version": VERSION,
            "X-TC-Timestamp": str(stamp),
        }

    def request(self, action: str, parameters: Mapping[str, object]) -> str:
        """The whole request."""
        body = json.dumps(parameters).encode()
        head = request_head("POST", "/", self.host, **self.headers(action, body))
        return (head + body).decode()

    def _authorization(self, body: bytes, stamp: int) -> str:
        day = datetime.fromtimestamp(stamp, UTC).strftime("%Y-%m-%d")
        scope = f"{day}/{_SERVICE}/tc3_request"
        hashed = hashlib.sha256(body).hexdigest()
        signed = "content-type;host"
        canonical = f"POST\n/\n\ncontent-type:{_TYPE}\nhost:{self.host}\n\n{signed}\n{hashed}"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        key = f"TC3{self.secret}".encode()
        for part in (day, _SERVICE, "tc3_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        text = f"TC3-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        return (
            f"TC3-HMAC-SHA256 Credential={self.key_id}/{scope}, "
            f"SignedHeaders={signed}, Signature={signature}"
        )


def swr_request(signer: Signer, path: str, query: Mapping[str, str]) -> str:
    """A whole GET of the SWR API, good for 15 minutes. `path` and values: nothing that would have to be encoded but `|` and `:`."""
    said = "&".join(f"{name}={quote(query[name], safe='')}" for name in sorted(query))
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    signed = "host;x-sdk-date"
    headers = f"host:{signer.host}\nx-sdk-date:{stamp}\n"
    nothing = hashlib.sha256(b"").hexdigest()
    canonical = f"GET\n{path}/\n{said}\n{headers}\n{signed}\n{nothing}"
    text = f"SDK-HMAC-SHA256\n{stamp}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(signer.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    proof = f"Access={signer.key_id}, SignedHeaders={signed}, Signature={signature}"
    head = request_head(
        "GET",
        f"{path}?{said}",
        signer.host,
        **{"X-Sdk-Date": stamp, "Authorization": f"SDK-HMAC-SHA256 {proof}"},
    )
    return head.decode()
