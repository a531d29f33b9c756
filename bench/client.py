"""The registry client that prepares and checks: logs in, pushes fixtures, reads small answers."""

import base64
import hashlib
import http.client
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urljoin, urlsplit

from bench.httpline import BadAnswer
from bench.load.jobs import Target

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


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
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Reply:
        """One request, as given; the connection is made anew once if the server had closed it."""
        for attempt in (0, 1):
            try:
                self._connection.request(method, path, body=body, headers=dict(headers))
                answer = self._connection.getresponse()
                lowered = {name.lower(): value for name, value in answer.getheaders()}
                return Reply(answer.status, lowered, answer.read())
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self._connection.close()
                if attempt:
                    raise
            except (OSError, http.client.HTTPException):
                self._connection.close()
                raise
        raise BadAnswer("unreachable")

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
        path = urlsplit(fields["realm"]).path
        reply = self.send("GET", f"{path}?{query}", {"Authorization": self._basic})
        if reply.status != 200:
            raise BadAnswer(f"token: {reply.status} {reply.body[:200]!r}")
        answer = json.loads(reply.body)
        return "Bearer " + str(answer.get("token") or answer["access_token"])

    def _headers(self, repository: str, headers: Mapping[str, str]) -> dict[str, str]:
        authorization = self.authorization(repository)
        return {**headers, "Authorization": authorization} if authorization else dict(headers)

    def expect(self, status: int, reply: Reply) -> Reply:
        """The reply, if it has this status."""
        if reply.status != status:
            raise BadAnswer(f"{reply.status} for {status}: {reply.body[:300]!r}")
        return reply

    def push_blob(self, repository: str, content: bytes) -> str:
        """POST and PUT; returns the digest."""
        headers = self._headers(repository, {"Content-Length": "0"})
        started = self.send("POST", f"/v2/{repository}/blobs/uploads/", headers, b"")
        place = urlsplit(urljoin("/", self.expect(202, started).headers["location"]))
        digest = digest_of(content)
        query = f"{place.query}&digest={digest}" if place.query else f"digest={digest}"
        headers |= {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(len(content)),
        }
        self.expect(201, self.send("PUT", f"{place.path}?{query}", headers, content))
        return digest

    def push_manifest(self, repository: str, content: bytes, *tags: str) -> str:
        """Put it under each tag; returns the digest."""
        headers = self._headers(repository, {"Content-Type": MANIFEST_TYPE})
        for tag in tags:
            self.expect(
                201, self.send("PUT", f"/v2/{repository}/manifests/{tag}", headers, content)
            )
        return digest_of(content)
