"""A tenant with an owner's key, made at the command line, and the other vendor's SDK in its name."""

import base64
import hashlib
import hmac
import json
import shlex
from dataclasses import dataclass

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkswr.v2 import CreateSecretRequest, SwrClient
from started_registry import STANDIN, Registry


@dataclass(frozen=True, slots=True)
class SwrAccount:
    """Who signs requests, and what docker logs in with."""

    registry: Registry
    key_id: str
    secret: str

    @property
    def sdk(self) -> SwrClient:
        config = HttpConfig.get_default_config()
        config.ssl_ca_cert = str(self.registry.certificates.authority)
        who = BasicCredentials(self.key_id, self.secret, "")
        builder = SwrClient.new_builder().with_http_config(config).with_credentials(who)
        return builder.with_endpoint(self.registry.url).build()

    def login_command(self) -> list[str]:
        """What the API says to type."""
        answer = self.sdk.create_secret(CreateSecretRequest())
        assert answer.x_swr_expireat
        ((host, said),) = answer.auths.items()
        words = shlex.split(answer.x_swr_dockerlogin)
        assert words[:2] == ["docker", "login"]
        assert words[-1] == host == self.registry.host
        pair = base64.b64decode(said.auth).decode()
        assert pair == f"{words[words.index('-u') + 1]}:{words[words.index('-p') + 1]}"
        return words

    def long_term(self) -> tuple[str, str]:
        """User and password by the vendor's recipe for logins that do not end."""
        command = self.login_command()
        project = command[command.index("-u") + 1].partition("@")[0]
        digest = hmac.new(self.secret.encode(), self.key_id.encode(), hashlib.sha256)
        return f"{project}@{self.key_id}", digest.hexdigest()


def open_swr_account(registry: Registry, name: str) -> SwrAccount:
    """A new tenant of that name."""
    if STANDIN:
        pytest.skip("the stand-in has no API")

    registry.administer("tenant", "create", name, "--generate")
    made = json.loads(registry.administer("key", "create", "owner", "--tenant", name, "--json"))
    return SwrAccount(registry, made["access_key_id"], made["secret_access_key"])
