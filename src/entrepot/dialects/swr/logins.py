"""Temporary logins for docker: a command in a header, and what docker keeps in its configuration."""

import base64
from typing import ClassVar, Final

from entrepot.capabilities.access import logins
from entrepot.capabilities.access.logins import CreateLogin, MadeLogin
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.swr.endpoints import Endpoint
from entrepot.dialects.swr.shapes import Answers, Asks, Text, shown
from entrepot.http.messages import Headers


class CreateSecret(Asks, frozen=True, kw_only=True):
    """Make a login with the caller's rights, for a day."""

    projectname: Text = ""

    def to_command(self, asked: Asked) -> CreateLogin:
        """In the project asked for, else the one of the request, else the region's."""
        asked_in = asked.region.name if asked.project is None else asked.project.name
        return CreateLogin(asked.instance, self.projectname or asked_in)


class AuthInfo(Answers, frozen=True, kw_only=True):
    """Name and secret as docker keeps them."""

    auth: str


class Secret(Answers, frozen=True, kw_only=True):
    """The login. Its host is the key of `auths`."""

    beside: ClassVar[frozenset[str]] = frozenset({"command", "ends"})
    auths: dict[str, AuthInfo]
    command: str
    ends: str

    @classmethod
    def of(cls, result: MadeLogin, asked: Asked) -> "Secret":
        """For the host at which this client reaches the registry."""
        pair = base64.b64encode(f"{result.username}:{result.secret}".encode()).decode()
        return cls(
            auths={asked.registry: AuthInfo(auth=pair)},
            command=f"docker login -u {result.username} -p {result.secret} {asked.registry}",
            ends=shown(result.expires_at),
        )

    def body(self) -> dict[str, dict[str, AuthInfo]]:
        """Only what docker keeps."""
        return {"auths": self.auths}

    def headers(self) -> Headers:
        """The command, and when it ends."""
        return [
            (b"x-swr-dockerlogin", self.command.encode()),
            (b"x-swr-expireat", self.ends.encode()),
        ]


ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v2/manage/utils/secret",
        Operation("CreateSecret", CreateSecret, logins.create_login, Secret, changes=True),
        "swr::createLoginSecret",
        in_query=True,
    ),
    Endpoint(
        "POST",
        "/v2/manage/utils/authorizationtoken",
        Operation(
            "CreateAuthorizationToken",
            CreateSecret,
            logins.create_login,
            Secret,
            changes=True,
            is_documented=False,
        ),
        "swr::createLoginSecret",
        in_query=True,
    ),
)
