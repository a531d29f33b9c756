"""The identity service's clients: requests by hand, signed by the vendor's code, and the people who send them."""

import http.client
import itertools
import json
from dataclasses import dataclass, field
from typing import Any

import transport
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
from started import Operator, Started

from entrepot.capabilities.access.identities.keys import KeysOf, create_key
from entrepot.capabilities.access.identities.tenants import CreateTenant, create_tenant
from entrepot.capabilities.access.identities.users import CreateUser, create_user
from entrepot.metadata import tenants
from entrepot.model.access import Role
from entrepot.model.identities import Project, User
from entrepot.model.tenancy import Tenant

PASSWORD = "identity-Passw0rd"
_numbers = itertools.count(1)


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
        """Of a refusal, which it must be."""
        assert self.status >= 400, self
        assert self.headers["content-type"] == "application/json;charset=utf8"
        said = self.json
        assert set(said) == {"error_msg", "error_code"}
        assert said["error_msg"]
        return str(said["error_code"])


@dataclass(frozen=True)
class Key:
    """An access key; `token` of a temporary one."""

    id: str
    secret: str
    token: str = ""


@dataclass
class Firm:
    """A tenant with an owner and a member, who have passwords and keys."""

    registry: Started
    operator: Operator
    tenant: Tenant
    project: Project
    owner: User
    member: User
    key: Key  # of the owner
    member_key: Key
    sent: list[Answer] = field(default_factory=list)

    def send(
        self, method: str, target: str, body: bytes | None = None, **headers: str | None
    ) -> Answer:
        """Any request at all; `_` in a header's name is `-`, one of None is left out."""
        connection = transport.connect(self.registry.port)
        kept = {n.replace("_", "-"): v for n, v in headers.items() if v is not None}
        try:
            connection.request(method, target, body, kept)
            raw = connection.getresponse()
            found = {name.lower(): value for name, value in raw.getheaders()}
            answer = Answer(raw.status, found, raw.read())
        except http.client.HTTPException as error:
            raise AssertionError(f"no answer to {method} {target}") from error
        finally:
            connection.close()
        assert answer.headers["x-request-id"]
        return answer

    def signed(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        query: tuple[tuple[str, str], ...] = (),
        key: Key | None = None,
        **headers: str,
    ) -> Answer:
        """Signed by the vendor's code."""
        key = self.key if key is None else key
        sent = {"User-Agent": "tests/1.0", "Content-Type": "application/json"}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        if key.token:
            sent["X-Security-Token"] = key.token
        host = f"127.0.0.1:{self.registry.port}"
        asked = SdkRequest(
            method, transport.SCHEME, host, path, path, list(query), sent, body.decode()
        )
        made = Signer(BasicCredentials(key.id, key.secret, "p")).sign(asked)
        return self.send(method, made.uri, body or None, **made.header_params)

    def ask_token(self, user: Any = None, scope: Any = None, **changes: Any) -> Answer:
        """The request for a token of the owner's, but for what is given."""
        named = {"name": "owner", "password": PASSWORD, "domain": {"name": self.tenant.name}}
        identity = {"methods": ["password"], "password": {"user": user or named}, **changes}
        auth = {"identity": identity, **({} if scope is None else {"scope": scope})}
        body = json.dumps({"auth": auth}).encode()
        return self.send("POST", "/v3/auth/tokens", body, Content_Type="application/json")

    def token(self, name: str = "owner", **scope: Any) -> str:
        """A token of somebody's."""
        user = {"name": name, "password": PASSWORD, "domain": {"name": self.tenant.name}}
        answer = self.ask_token(user, scope or None)
        assert answer.status == 201, answer
        return answer.headers["x-subject-token"]


def found_firm(registry: Started, operator: Operator) -> Firm:
    name = f"identity{next(_numbers)}"
    made = operator.run(create_tenant, CreateTenant(name, "owner", PASSWORD))
    tenant = made.tenant.id
    member = operator.run(create_user, CreateUser(tenant, "member", Role.MEMBER, PASSWORD)).user
    keys = [operator.run(create_key, KeysOf(tenant, user)) for user in ("owner", "member")]
    return Firm(
        registry,
        operator,
        made.tenant,
        operator.read(lambda conn: tenants.list_projects(conn, tenant))[0],
        made.owner,
        member,
        *(Key(one.key.access_key_id, one.secret) for one in keys),
    )
