"""A tenant with people, their keys and logins, and how they send requests: by the vendor's SDK, or signed by its code."""

import base64
import itertools
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

import transport
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ServiceResponseException
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
from huaweicloudsdkswr.v2 import SwrClient
from started import Operator, Started
from swr_docker import Pushed, push_image

from entrepot.capabilities.access.identities.keys import KeysOf, create_key
from entrepot.capabilities.access.identities.tenants import CreateTenant, create_tenant
from entrepot.capabilities.access.identities.users import CreateUser, create_user
from entrepot.metadata import tenants
from entrepot.metadata.instances import default_instance
from entrepot.model.access import Role
from entrepot.model.identities import Project, User
from entrepot.model.ids import InstanceId
from entrepot.model.tenancy import Tenant

PASSWORD = "office-Passw0rd"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The last seven digits of a refusal's code; empty for a success."""
        if self.status < 400:
            return ""
        said = self.json
        assert said["error_code"] == said["errorCode"] == said["errors"][0]["errorCode"]
        assert said["error_msg"]
        digits = str(said["error_code"])[-7:]
        assert digits.startswith(str(self.status)), self
        return digits


@dataclass
class Person:
    """A user with a key."""

    office: "Office"
    user: User
    key_id: str
    secret: str

    def sdk(self, project_id: str = "") -> SwrClient:
        """The vendor's client. Without a project it sends none."""
        who = BasicCredentials(self.key_id, self.secret, project_id)
        to = f"http://127.0.0.1:{self.office.registry.port}"
        return SwrClient.new_builder().with_credentials(who).with_endpoint(to).build()

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: dict[str, str] | None = None,
        **headers: str,
    ) -> Answer:
        """Signed. `body`: anything that becomes JSON; bytes are sent as they are."""
        raw = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        sent = {"Content-Type": "application/json", "User-Agent": "tests/1.0"}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        request = SdkRequest(
            method,
            "http",
            f"127.0.0.1:{self.office.registry.port}",
            quote(path, safe="/%$"),
            query_params=list((query or {}).items()),
            header_params=sent,
            body=raw,
        )
        signed = Signer(BasicCredentials(self.key_id, self.secret)).sign(request)
        return self.office.plain(method, signed.uri, raw, signed.header_params)

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """What a request that must succeed answers."""
        answer = self.send(method, path, body, query)
        assert answer.status < 300, (method, path, answer)
        return answer.json if answer.body else None

    def refused(self, call: str, request: Any) -> tuple[int, str]:
        """Status and code of an SDK call that must be refused."""
        try:
            answer = getattr(self.sdk(), call)(request)
        except ServiceResponseException as error:
            return int(error.status_code), str(error.error_code).rpartition(".")[2]
        raise AssertionError(f"{call} was answered: {answer}")

    def signature(self, method: str, path: str) -> dict[str, str]:
        """Headers of a signed request without a body. `path`: decoded."""
        to = f"127.0.0.1:{self.office.registry.port}"
        sent = {"Content-Type": "application/json", "User-Agent": "tests/1.0"}
        request = SdkRequest(
            method, "http", to, path, query_params=[], header_params=sent, body=b""
        )
        return dict(Signer(BasicCredentials(self.key_id, self.secret)).sign(request).header_params)

    @property
    def basic(self) -> str:
        """Docker's header, by the user's password."""
        pair = f"{self.office.tenant.name}/{self.user.name}:{PASSWORD}"
        return "Basic " + base64.b64encode(pair.encode()).decode()


@dataclass
class Office:
    """`owner` runs the tenant, `member` has no rights until somebody gives them."""

    registry: Started
    operator: Operator
    tenant: Tenant
    project: Project
    people: dict[str, Person] = field(default_factory=dict)

    @property
    def instance(self) -> InstanceId:
        """The shared one."""
        found = self.operator.read(default_instance)
        assert found is not None
        return found.id

    @property
    def owner(self) -> Person:
        return self.people["owner"]

    @property
    def member(self) -> Person:
        return self.people["member"]

    def hire(self, name: str, role: Role = Role.MEMBER) -> Person:
        """A new user of the tenant."""
        made = self.operator.run(create_user, CreateUser(self.tenant.id, name, role, PASSWORD))
        return self.introduce(made.user)

    def introduce(self, user: User) -> Person:
        key = self.operator.run(create_key, KeysOf(self.tenant.id, user.name))
        person = Person(self, user, key.key.access_key_id, key.secret)
        self.people[user.name] = person
        return person

    def plain(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        """As it is, unsigned."""
        connection = transport.connect(self.registry.port)
        try:
            connection.request(method, target, body or None, headers or {})
            raw = connection.getresponse()
            found = {name.lower(): value for name, value in raw.getheaders()}
            answer = Answer(raw.status, found, raw.read())
        finally:
            connection.close()
        assert answer.headers["x-request-id"]
        return answer

    def plain_signed(self, who: Person, method: str, target: str) -> Answer:
        """Signed for a path that is sent as it is: the vendor's clients differ in what they encode."""
        signed = who.signature(method, unquote(target))
        return self.plain(method, target, b"", signed)

    def token(self, name: str) -> str:
        """Of the identity service, for the tenant's project."""
        user = {"name": name, "password": PASSWORD, "domain": {"name": self.tenant.name}}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": self.project.name}}
        body = json.dumps({"auth": {"identity": identity, "scope": scope}}).encode()
        answer = self.plain("POST", "/v3/auth/tokens", body, {"Content-Type": "application/json"})
        assert answer.status == 201, answer
        return answer.headers["x-subject-token"]

    # -- what is there ------------------------------------------------------------------------------------------------

    def fresh(self, prefix: str) -> str:
        """A name that nothing has yet."""
        return f"{prefix}{next(_numbers)}"

    def organization(self) -> str:
        """A new one of the owner's."""
        name = self.fresh("org")
        self.owner.ask("POST", "/v2/manage/namespaces", {"namespace": name})
        return name

    def repository(self, organization: str = "", name: str = "", **said: Any) -> tuple[str, str]:
        """A new empty one: its organization and its name."""
        organization = organization or self.organization()
        name = name or self.fresh("repo")
        body = {"repository": name, "is_public": False, **said}
        self.owner.ask("POST", f"/v2/manage/namespaces/{organization}/repos", body)
        return organization, name

    def push(
        self, full_name: str, tag: str, person: Person | None = None, seed: str = ""
    ) -> Pushed:
        """An image with a layer of its own, by docker's protocol."""
        who = self.owner if person is None else person
        return push_image(self.registry.port, full_name, tag, who.basic, seed=seed or tag)


def opened(registry: Started, operator: Operator) -> Office:
    """A new tenant."""
    name = f"office{next(_numbers)}"
    made = operator.run(create_tenant, CreateTenant(name, "owner", PASSWORD))
    project = operator.read(lambda conn: tenants.list_projects(conn, made.tenant.id))[0]
    office = Office(registry, operator, made.tenant, project)
    office.introduce(made.owner)
    office.hire("member")
    return office
