"""A tenant with an instance that runs and is open, and everything that the actions' requests can name, made when it is asked for."""

import base64
import hashlib
import itertools
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from account import Account
from sending import Wire, tc3_post
from transport import connect

from entrepot.capabilities.instances.certificates import AddCertificate, add_certificate
from entrepot.capabilities.instances.networks import CreateNetwork, create_network
from issuing import Authority

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = (
    b'{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}'
)
OPEN_TO_ALL = "0.0.0.0/0"
_OURS = "SELECT id FROM instances WHERE public_id = :registry"
_REPOSITORIES = f"SELECT id FROM repositories WHERE instance_id IN ({_OURS})"
STATE = [
    "SELECT public_id, name FROM instances WHERE tenant_id = :tenant",
    *(
        f"SELECT * FROM {table} WHERE tenant_id = :tenant"
        for table in ("certificates", "networks", "resource_tags")
    ),
    "SELECT * FROM instances WHERE public_id = :registry",
    *(
        f"SELECT * FROM {table} WHERE instance_id IN ({_OURS})"
        for table in [
            "accounts",
            "allow_list",
            "instance_hosts",
            "namespaces",
            "private_links",
            "repositories",
        ]
    ),
    *(
        f"SELECT * FROM {table} WHERE repository_id IN ({_REPOSITORIES})"
        for table in ("manifests", "tags")
    ),
    f"SELECT * FROM account_permissions WHERE account_id IN (SELECT id FROM accounts WHERE instance_id IN ({_OURS}))",
]
"""What only a call that succeeded may change: of the tenant, and of its instance."""
_AUTHORITY = Authority.new()
_numbers = itertools.count(1)


def until(question: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait for something that a job does."""
    deadline = time.monotonic() + seconds
    while not (found := question()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
    return found


class Firm:
    """`registry`: the id of its instance."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.wire = Wire(account.registry.port)
        self.name = self.fresh("firm")
        self.registry = self.instance(self.name)
        self.host = self.registries(self.registry)[0]["PublicDomain"]
        self._token: dict[str, Any] | None = None
        self.do("ManageExternalEndpoint", RegistryId=self.registry, Operation="Create")
        until(self.is_open)
        self.policy(OPEN_TO_ALL)

    # -- requests -----------------------------------------------------------------------------------------------------

    def do(self, action: str, **parameters: Any) -> dict[str, Any]:
        answer = self.wire.send(tc3_post(self.account, action, parameters))
        assert "Error" not in answer, (action, parameters, answer)
        return answer

    def code(self, action: str, parameters: Any = None, **how: Any) -> str:
        return self.wire.code(tc3_post(self.account, action, parameters, **how))

    def at(self, **more: Any) -> dict[str, Any]:
        return {"RegistryId": self.registry, **more}

    def fresh(self, prefix: str) -> str:
        return f"{prefix}-{secrets.token_hex(3)}{next(_numbers)}"

    def state(self) -> str:
        """A digest of all that the account's calls may change."""
        about = {"registry": self.registry, "tenant": self.account.tenant.id}

        def read(conn: Any) -> str:
            found = hashlib.sha256()
            for query in STATE:
                rows = conn.execute(sa.text(f"{query} ORDER BY 1, 2"), about)
                found.update(repr((query, [tuple(row) for row in rows])).encode())
            return found.hexdigest()

        return str(self.account.operator.read(read))

    # -- instances ----------------------------------------------------------------------------------------------------

    def instance(self, name: str = "", edition: str = "premium") -> str:
        """The id of a new one that runs."""
        made = self.do(
            "CreateInstance", RegistryName=name or self.fresh("own"), RegistryType=edition
        )
        registry = str(made["RegistryId"])
        until(lambda: self.registries(registry)[0]["Status"] == "Running")
        return registry

    def registries(self, *ids: str) -> list[dict[str, Any]]:
        found = self.do("DescribeInstances", Registryids=list(ids), Limit=100)
        return list(found["Registries"])

    def is_open(self) -> bool:
        found = self.do("DescribeExternalEndpointStatus", **self.at())
        return bool(found["Status"] == "Opened")

    def policy(self, cidr: str) -> int:
        """The index of a network in the allow list."""
        for one in self.policies():
            if one["CidrBlock"] == cidr:
                return int(one["PolicyIndex"])
        self.do("CreateSecurityPolicy", **self.at(CidrBlock=cidr, Description="here"))
        return self.policy(cidr)

    def policies(self) -> list[dict[str, Any]]:
        return list(self.do("DescribeSecurityPolicies", **self.at())["SecurityPolicySet"])

    def network(self) -> str:
        """A new private network that instances may be linked to."""
        name = self.fresh("vpc")
        tenant = self.account.tenant.id
        self.account.operator.run(create_network, CreateNetwork(name, ["10.0.0.0/8"], tenant))
        return name

    def links(self) -> list[dict[str, Any]]:
        return list(self.do("DescribeInternalEndpoints", **self.at())["AccessVpcSet"])

    def link(self) -> dict[str, str]:
        """A new private link that runs: network and subnet."""
        ends = {"VpcId": self.network(), "SubnetId": "subnet-1"}
        self.do("ManageInternalEndpoint", **self.at(Operation="Create", **ends))
        until(
            lambda: any(
                one["VpcId"] == ends["VpcId"] and one["Status"] == "Running" for one in self.links()
            )
        )
        return ends

    def certificate(self, *hosts: str) -> str:
        pair = _AUTHORITY.issue(*hosts)
        command = AddCertificate(self.account.tenant.id, hosts[0], *pair)
        return str(self.account.operator.run(add_certificate, command).public_id)

    def domain(self) -> dict[str, str]:
        """A new custom domain that is served."""
        host = f"{self.fresh('host')}.example.test"
        made = {"DomainName": host, "CertificateId": self.certificate(host)}
        self.do("CreateInstanceCustomizedDomain", **self.at(**made))
        until(lambda: self.domains().get(host) == "SUCCESS")
        return made

    def domains(self) -> dict[str, str]:
        found = self.do("DescribeInstanceCustomizedDomain", **self.at(Limit=100))
        return {one["DomainName"]: one["Status"] for one in found["DomainInfoList"]}

    # -- content ------------------------------------------------------------------------------------------------------

    def namespace(self, name: str = "", *, is_public: bool = False) -> str:
        """One of that name, made if need be; or a new one."""
        name = name or self.fresh("ns")
        taken = self.code("CreateNamespace", self.at(NamespaceName=name, IsPublic=is_public))
        assert taken in ("", "FailedOperation.ErrorTcrResourceConflict")
        return name

    def repository(self, namespace: str = "", name: str = "") -> dict[str, str]:
        where = {"NamespaceName": self.namespace(namespace), "RepositoryName": name or "app"}
        if self.code("CreateRepository", self.at(**where)):
            found = self.do("DescribeRepositories", **self.at(**where, Limit=100))
            assert found["TotalCount"]
        return where

    def image(self, namespace: str = "", repository: str = "", *tags: str) -> dict[str, str]:
        """Pushed under the instance's name, as docker does it."""
        namespace = self.namespace(namespace)
        repository = repository or "app"
        path = f"/v2/{namespace}/{repository}"
        layer = secrets.token_bytes(16)
        for content in (CONFIG, layer):
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            self._push("POST", f"{path}/blobs/uploads/?digest={digest}", content)
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _descriptor("application/vnd.oci.image.config.v1+json", CONFIG),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
        }
        for tag in tags or ("1.0",):
            self._push("PUT", f"{path}/manifests/{tag}", json.dumps(document).encode(), MANIFEST)
        return {"NamespaceName": namespace, "RepositoryName": repository}

    def _push(self, method: str, path: str, content: bytes, kind: str = "") -> None:
        token = self.token()
        login = base64.b64encode(f"{token['Username']}:{token['Token']}".encode()).decode()
        headers = {"Host": self.host, "Authorization": f"Basic {login}"}
        if kind:
            headers["Content-Type"] = kind
        connection = connect(self.account.registry.port)
        try:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status == 201, (answer.status, said)
        finally:
            connection.close()

    # -- accounts -----------------------------------------------------------------------------------------------------

    def token(self) -> dict[str, Any]:
        """A long-term token, the same one every time."""
        if self._token is None:
            self._token = self.new_token()
        return self._token

    def new_token(self) -> dict[str, Any]:
        return self.do("CreateInstanceToken", **self.at(TokenType="longterm", Desc="here"))

    def robot(self, name: str = "") -> str:
        """A service account of that name, made if need be; or a new one."""
        name = name or self.fresh("robot")
        rights = [{"Resource": self.namespace("robots"), "Actions": ["tcr:PullRepository"]}]
        taken = self.code("CreateServiceAccount", self.at(Name=name, Permissions=rights))
        assert taken in ("", "ResourceInUse")
        return name


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return {"mediaType": media_type, "digest": digest, "size": len(content)}
