"""A tenant of the deployment and its owner's key, and how they send requests: by the SDK, or signed by hand."""

import hashlib
import hmac
import http.client
import itertools
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from started import Operator, Started
from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.tcr.v20190924 import models, tcr_client

from entrepot.capabilities.access.identities.keys import KeysOf, create_key
from entrepot.capabilities.access.identities.tenants import CreateTenant, create_tenant
from entrepot.model.tenancy import Tenant

VERSION = "2019-09-24"
_numbers = itertools.count(1)


@dataclass
class Account:
    """A tenant's user who signs requests."""

    registry: Started
    operator: Operator
    tenant: Tenant
    user: str
    key_id: str
    secret: str
    region: str = "ap-guangzhou"

    def sdk(
        self, method: str = "TC3-HMAC-SHA256", verb: str = "POST", **profile: Any
    ) -> tcr_client.TcrClient:
        endpoint = f"127.0.0.1:{self.registry.port}"
        to = HttpProfile(protocol="http", endpoint=endpoint, reqMethod=verb, reqTimeout=30)
        how = ClientProfile(signMethod=method, httpProfile=to, language="en-US", **profile)
        who = credential.Credential(self.key_id, self.secret)
        return tcr_client.TcrClient(who, self.region, how)

    def call(self, action: str, **parameters: Any) -> Any:
        """By the SDK; the decoded model. Raises TencentCloudSDKException."""
        request = getattr(models, f"{action}Request")()
        request.from_json_string(json.dumps(parameters))
        return getattr(self.sdk(), action)(request)

    def refused(self, action: str, **parameters: Any) -> str:
        """The code that it is refused with."""
        try:
            answer = self.call(action, **parameters)
        except TencentCloudSDKException as error:
            return str(error.get_code())
        raise AssertionError(f"{action} was not refused: {answer}")

    def send(self, action: str, parameters: Any = None, **how: Any) -> dict[str, Any]:
        """Signed by hand (TC3, POST); what `Response` holds."""
        status, headers, body = self.exchange(action, parameters, **how)
        assert status == 200, (status, body)
        assert headers["content-type"] == "application/json"
        response = json.loads(body)["Response"]
        assert response["RequestId"]
        return response

    def code(self, action: str, parameters: Any = None, **how: Any) -> str:
        """The error's code, or "" for none."""
        return self.send(action, parameters, **how).get("Error", {}).get("Code", "")

    def exchange(
        self,
        action: str,
        parameters: Any = None,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        at: float | None = None,
        version: str = VERSION,
        region: str | None = None,
        service: str = "tcr",
    ) -> tuple[int, dict[str, str], bytes]:
        """Signed by hand; `headers` are set after signing, empty ones taken away."""
        payload = json.dumps(parameters or {}).encode() if body is None else body
        host = f"127.0.0.1:{self.registry.port}"
        stamp = int(time.time() if at is None else at)
        sent = {
            "Host": host,
            "Content-Type": "application/json",
            "X-TC-Action": action,
            "X-TC-Version": version,
            "X-TC-Region": self.region if region is None else region,
            "X-TC-Timestamp": str(stamp),
            "Authorization": sign(self.key_id, self.secret, host, payload, stamp, service=service),
        }
        sent.update(headers or {})
        connection = http.client.HTTPConnection("127.0.0.1", self.registry.port, timeout=30)
        try:
            connection.request("POST", "/", payload, {k: v for k, v in sent.items() if v})
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, found, answer.read()
        finally:
            connection.close()

    @property
    def shared(self) -> str:
        """The id of the built-in instance."""
        return next(
            r["RegistryId"] for r in self.send("DescribeInstances", {"Limit": 100})["Registries"]
        )

    def namespace(self, registry: str, *, public: bool = False) -> str:
        name = f"ns-{next(_numbers)}"
        answer = self.send(
            "CreateNamespace",
            {"RegistryId": registry, "NamespaceName": name, "IsPublic": public},
        )
        assert "Error" not in answer, answer
        return name


def sign(
    key_id: str, secret: str, host: str, payload: bytes, stamp: int, *, service: str = "tcr"
) -> str:
    """TC3-HMAC-SHA256 over content type and host."""
    date = datetime.fromtimestamp(stamp, UTC).strftime("%Y-%m-%d")
    headers = f"content-type:application/json\nhost:{host}\n"
    hashed = hashlib.sha256(payload).hexdigest()
    canonical = f"POST\n/\n\n{headers}\ncontent-type;host\n{hashed}"
    scope = f"{date}/{service}/tc3_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"TC3-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    key = f"TC3{secret}".encode()
    for part in (date, service, "tc3_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return (
        f"TC3-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders=content-type;host, "
        f"Signature={signature}"
    )


def open_account(registry: Started, operator: Operator) -> Account:
    """A new tenant, with its owner's key."""
    name = f"firm{next(_numbers)}"
    made = operator.run(create_tenant, CreateTenant(name, owner="owner"))
    pair = operator.run(create_key, KeysOf(made.tenant.id, "owner"))
    return Account(registry, operator, made.tenant, "owner", pair.key.access_key_id, pair.secret)
