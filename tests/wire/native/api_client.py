"""The native API by hand: requests over one connection, and which operations succeeded."""

import base64
import http.client
import json
from dataclasses import dataclass
from typing import Any

import transport

from entrepot.dialects.native.endpoints import PREFIX
from entrepot.dialects.native.table import PATHS

PASSWORD = "native-Passw0rd"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of a problem document, which it must be."""
        assert self.headers["content-type"] == "application/problem+json", self
        said = self.json
        assert set(said) == {"type", "title", "status", "detail", "code", "request_id"}
        assert said["status"] == self.status
        assert said["type"] == f"urn:entrepot:problem:{said['code']}"
        assert said["request_id"] == self.headers["x-request-id"]
        return str(said["code"])


class Api:
    """Somebody with a user name and a password; None: nobody. Has a connection of its own."""

    def __init__(self, port: int, login: str | None = None, password: str = "") -> None:
        self.login = login
        self.succeeded: set[str] = set()
        self._connection = transport.connect(port)
        self._headers: dict[str, str] = {}
        if login is not None:
            pair = base64.b64encode(f"{login}:{password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {pair}"

    def send(
        self, method: str, path: str, body: bytes | None = None, **headers: str | None
    ) -> Answer:
        """Any request at all; a header of None is left out."""
        sent = {**self._headers, **{k.replace("_", "-"): v for k, v in headers.items()}}
        try:
            self._connection.request(
                method, path, body, {k: v for k, v in sent.items() if v is not None}
            )
            raw = self._connection.getresponse()
            found = {name.lower(): value for name, value in raw.getheaders()}
            answer = Answer(raw.status, found, raw.read())
        except http.client.HTTPException:
            self._connection.close()
            raise
        if answer.status >= 400:
            self._connection.close()  # the body may not have been read
        return answer

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        """A request of the API; `path` below its prefix."""
        content = None
        headers: dict[str, str] = {}
        if method in ("POST", "PUT", "PATCH"):
            content = json.dumps({} if body is None else body).encode()
            headers["content-type"] = "application/json"
        answer = self.send(method, PREFIX + path, content, **headers)
        if answer.status < 300:
            self._note(method, path.partition("?")[0], answer)
        return answer

    def _note(self, method: str, path: str, answer: Answer) -> None:
        found = PATHS.find((PREFIX + path).encode())
        assert found is not None
        endpoint = found.by_method["GET" if method == "HEAD" else method]
        assert answer.status == endpoint.status
        self.succeeded.add(endpoint.operation.name)

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        """What it answers, which must be success."""
        answer = self.call(method, path, body)
        assert answer.status < 300, (method, path, answer.status, answer.body)
        return answer.json if answer.body else None

    def code(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Status and code of what must be a problem."""
        answer = self.call(method, path, body)
        assert answer.status >= 400, (method, path, answer.status, answer.body)
        return answer.status, answer.code


@dataclass(frozen=True)
class Firm:
    """A tenant and its people, with the password above."""

    name: str
    owner: Api
    administrator: Api
    member: Api
