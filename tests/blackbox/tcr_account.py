"""A tenant with an owner's key, made at the command line, and what the vendor's SDK says in its name."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from started_registry import STANDIN, Registry
from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.tcr.v20190924 import models, tcr_client

SUFFIX = "entrepot.localhost"
REGION = "ap-guangzhou"


@dataclass(frozen=True, slots=True)
class Account:
    """Who signs requests."""

    registry: Registry
    key_id: str
    secret: str

    def call(self, action: str, **parameters: Any) -> Any:
        """The decoded answer. Raises TencentCloudSDKException."""
        protocol = "https" if self.registry.tls else "http"
        profile = HttpProfile(
            protocol=protocol,
            endpoint=self.registry.host,
            reqTimeout=30,
            certification=str(self.registry.certificates.authority),
        )
        who = credential.Credential(self.key_id, self.secret)
        client = tcr_client.TcrClient(who, REGION, ClientProfile(httpProfile=profile))
        request = getattr(models, f"{action}Request")()
        request.from_json_string(json.dumps(parameters))
        return getattr(client, action)(request)

    def refused(self, action: str, **parameters: Any) -> str:
        """The code that it is refused with."""
        with pytest.raises(TencentCloudSDKException) as refusal:
            self.call(action, **parameters)
        return str(refusal.value.get_code())


def open_account(registry: Registry, name: str) -> Account:
    """A new tenant of that name."""
    if STANDIN:
        pytest.skip("the stand-in has no API")
    registry.administer("tenant", "create", name, "--generate")
    made = json.loads(registry.administer("key", "create", "owner", "--tenant", name, "--json"))
    return Account(registry, made["access_key_id"], made["secret_access_key"])


def until(ask: Callable[[], Any], wanted: Any, seconds: float = 30) -> list[Any]:
    """Ask until the answer is `wanted`; what was answered, each once in a row."""
    seen: list[Any] = []
    deadline = time.monotonic() + seconds
    while not seen or seen[-1] != wanted:
        assert time.monotonic() < deadline, f"{wanted!r} did not come: {seen}"
        answer = ask()
        if not seen or seen[-1] != answer:
            seen.append(answer)
        time.sleep(0.05)
    return seen
