"""The registry client that prepares and checks: logs in, pushes fixtures, reads small answers."""

import base64
import hashlib
import http.client
import json
import re
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from bench.httpline import BadAnswer
from bench.load.jobs import Target

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
TOKEN_SECONDS = 40
TOKEN_TRIES = 10
_PIECE = 1 << 20
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of a large body: the status, the sha256 digest of the bytes and their number."""

    status: int
    digest: str
    size: int


def digest_of(content: bytes) -> str:
    """The sha256 digest as the wire writes it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Client:
    """A kept-alive connection to one server. Not for threads."""

    def __init__(self, target: Target, user: str | None, password: str | None) -> None:
        self.target = target
        self._basic = None
        if user is not None:
            pair = f"{user}:{password}".encode()
            self._basic = "Basic " + base64.b64encode(pair).decode()
        self.reconnects = self.throttled = 0
        self._tokens: dict[str, tuple[str | None, float]] = {}
        self._connection = self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        host, port, authority = self.target.host, self.target.port, self.target.authority
        if authority is None:
            return http.client.HTTPConnection(host, port, timeout=60)
        context = ssl.create_default_context(cafile=authority)
        return http.client.HTTPSConnection(host, port, timeout=60, context=context)

    def answers(self, path: str) -> bool:
        """Whether the server is there: any answer on `path` but a server error (401 on /v2/ is one)."""
        try:
            return self.send("GET", path, {}).status < 500
        except (OSError, http.client.HTTPException):
            return False

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None = None,
    ) -> Reply:
        """One request, as given. A body in pieces needs its Content-Length among the headers."""
        answer = self._exchange(method, path, headers, body)
        lowered = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, lowered, answer.read())

    def fetch(self, path: str, headers: Mapping[str, str]) -> Fetched:
        """GET a body of any size, hashed as it comes and not kept."""
        answer = self._exchange("GET", path, headers, None)
        hasher, size = hashlib.sha256(), 0
        while piece := answer.read(_PIECE):
            hasher.update(piece)
            size += len(piece)
        return Fetched(answer.status, "sha256:" + hasher.hexdigest(), size)

    def _exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None,
    ) -> http.client.HTTPResponse:
        """Send, and read the head; anew once, and counted, if the server had closed the kept connection."""
        repeatable = body is None or isinstance(body, bytes)
        for attempt in (0, 1):
            try:
                self._connection.request(method, path, body=body, headers=dict(headers))
                return self._connection.getresponse()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self._connection.close()
                if attempt or not repeatable:
                    raise
                self.reconnects += 1
            except (OSError, http.client.HTTPException):
                self._connection.close()
                raise
        raise BadAnswer("unreachable")

    def close(self) -> None:
        """Give the connection up."""
        self._connection.close()

    def authorization(self, repository: str, actions: str = "pull,push") -> str | None:
        """A fresh bearer token for the repository, by the server's own challenge; None where it asks for nothing."""
        scope = f"repository:{repository}:{actions}" if repository else "registry:catalog:*"
        challenge = self.send("GET", "/v2/", {}).headers.get("www-authenticate", "")
        if not challenge:
            return None
        if self._basic is None or not challenge.startswith("Bearer "):
            raise BadAnswer(f"cannot answer the challenge {challenge!r}")
        fields = dict(_PARAMETER.findall(challenge))
        query = urlencode({"service": fields.get("service", ""), "scope": scope})
        reply = self._token(f"{urlsplit(fields['realm']).path}?{query}", self._basic)
        answer = json.loads(reply.body)
        return "Bearer " + str(answer.get("token") or answer["access_token"])

    def _token(self, path: str, basic: str) -> Reply:
        """Ask the token service; a 429 is obeyed, and counted, up to TOKEN_TRIES times."""
        for _ in range(TOKEN_TRIES):
            reply = self.send("GET", path, {"Authorization": basic})
            if reply.status != 429:
                break
            self.throttled += 1
            time.sleep(float(reply.headers.get("retry-after", "1")))
        return self.expect(200, reply)

    def headers(self, repository: str, headers: Mapping[str, str]) -> dict[str, str]:
        """These headers, with a token (at most TOKEN_SECONDS old) where the server asks for one."""
        authorization, until = self._tokens.get(repository, (None, 0.0))
        if time.monotonic() > until:
            authorization = self.authorization(repository)
            self._tokens[repository] = (authorization, time.monotonic() + TOKEN_SECONDS)
        return {**headers, "Authorization": authorization} if authorization else dict(headers)

    def expect(self, status: int, reply: Reply) -> Reply:
        """The reply, if it has this status."""
        if reply.status != status:
            raise BadAnswer(f"{reply.status} for {status}: {reply.body[:300]!r}")
        return reply

    def push_blob(self, repository: str, content: bytes) -> str:
        """POST and PUT; returns the digest."""
        digest = digest_of(content)
        self.push_pieces(repository, (content,), digest=digest, size=len(content))
        return digest

    def push_pieces(
        self, repository: str, pieces: Iterable[bytes], *, digest: str, size: int
    ) -> None:
        """POST and PUT of a body that is given in pieces."""
        place = self.begin(repository)
        query = f"{place}{'&' if '?' in place else '?'}digest={digest}"
        headers = self.headers(
            repository,
            {"Content-Type": "application/octet-stream", "Content-Length": str(size)},
        )
        self.expect(201, self.send("PUT", query, headers, pieces))

    def begin(self, repository: str) -> str:
        """Open an upload session; returns its path."""
        headers = self.headers(repository, {"Content-Length": "0"})
        path = f"/v2/{repository}/blobs/uploads/"
        return self.location(self.expect(202, self.send("POST", path, headers, b"")))

    @staticmethod
    def location(reply: Reply) -> str:
        """Path and query of the Location header, absolute or not."""
        place = urlsplit(reply.headers["location"])
        return place.path + ("?" + place.query if place.query else "")

    def push_manifest(self, repository: str, content: bytes, *tags: str) -> str:
        """Put it under each tag; returns the digest."""
        headers = self.headers(repository, {"Content-Type": MANIFEST_TYPE})
        for tag in tags:
            self.expect(
                201, self.send("PUT", f"/v2/{repository}/manifests/{tag}", headers, content)
            )
        return digest_of(content)
