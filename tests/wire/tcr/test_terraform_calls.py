"""The calls of Terraform's resources, in their order and as its Go client sends them; the fields it dereferences are there.

`terraform_calls.json` has them by resource: `body` as sent, `needs` paths that must not be null, `equals` what must be there, `until`
what is polled for, `keep` what later calls name in braces. The resource has to be a JSON text: the client sends UTF-8 as it is.
"""

import datetime as dt
import hashlib
import hmac
import json
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from account import Account
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from entrepot.capabilities.instances.certificates import AddCertificate, add_certificate
from entrepot.capabilities.instances.networks import CreateNetwork, create_network

pytestmark = pytest.mark.broad

CALLS: dict[str, list[dict[str, Any]]] = json.loads(
    Path(__file__).with_name("terraform_calls.json").read_text("utf-8")
)
VERSIONS = {"tcr": "2019-09-24", "tag": "2018-08-13"}
SUFFIX = "entrepot.localhost"


def pair(host: str) -> tuple[str, str]:
    """A certificate for the host, issued by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=9))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return made.public_bytes(pem).decode(), key.private_bytes(pem, form, plain).decode()


@dataclass
class Provider:
    """Terraform's provider with its state."""

    account: Account
    known: dict[str, str] = field(default_factory=dict)

    def run(self, *resources: str) -> None:
        for resource in resources:
            for number, step in enumerate(CALLS[resource]):
                try:
                    self._step(step)
                except AssertionError as error:
                    raise AssertionError(f"{resource} {number} {step['action']}: {error}") from None

    def _step(self, step: dict[str, Any]) -> None:
        body = self._filled(step["body"])
        answer = self.send(step["service"], step["action"], body)
        deadline = time.monotonic() + 20
        while "until" in step and found(answer, step["until"][0]) != step["until"][1]:
            assert time.monotonic() < deadline, f"it does not come: {answer}"
            time.sleep(0.05)
            answer = self.send(step["service"], step["action"], body)
        for path in step.get("needs", []):
            assert found(answer, path) is not None, f"{path} is null in {answer}"
        for path, expected in step.get("equals", {}).items():
            assert found(answer, path) == self._filled(expected), f"{path} in {answer}"
        for name, path in step.get("keep", {}).items():
            self.known[name] = found(answer, path)
            assert self.known[name], f"{path} is empty in {answer}"

    def _filled(self, body: Any) -> Any:
        """With what is known for what stands in braces."""
        text = json.dumps(body, ensure_ascii=False)
        for name, value in self.known.items():
            text = text.replace(f"{{{name}}}", value)
        return json.loads(text)

    def send(self, service: str, action: str, body: Any) -> dict[str, Any]:
        """One request on a connection of its own; what `Response` holds."""
        payload = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        host = f"{service}.{SUFFIX}:{self.account.registry.port}"
        stamp = int(time.time())
        head = (
            "POST / HTTP/1.1",
            f"Host: {host}",
            "User-Agent: Go-http-client/1.1",
            f"Content-Length: {len(payload)}",
            f"Authorization: {self.signed(service, host, payload, stamp)}",
            "Content-Type: application/json",
            f"X-Tc-Action: {action}",
            "X-Tc-Language: en-US",
            "X-Tc-Region: ap-guangzhou",
            "X-Tc-Requestclient: Terraform-latest",
            f"X-Tc-Timestamp: {stamp}",
            f"X-Tc-Version: {VERSIONS[service]}",
            "Accept-Encoding: gzip",
            "Connection: close",
        )
        with socket.create_connection(("127.0.0.1", self.account.registry.port), 20) as wire:
            wire.sendall("\r\n".join([*head, "", ""]).encode() + payload)
            raw = b"".join(iter(lambda: wire.recv(65536), b""))
        first, _, rest = raw.partition(b"\r\n")
        headers, _, content = rest.partition(b"\r\n\r\n")
        assert first == b"HTTP/1.1 200 OK", first
        assert b"\r\ncontent-type: application/json\r\n" in b"\r\n" + headers.lower() + b"\r\n"
        response: dict[str, Any] = json.loads(content)["Response"]
        assert response.pop("RequestId")
        assert "Error" not in response, f"{action} {body}: {response}"
        return response

    def signed(self, service: str, host: str, payload: bytes, stamp: int) -> str:
        """As the Go client signs: content type and host, the values as they are."""
        day = dt.datetime.fromtimestamp(stamp, dt.UTC).strftime("%Y-%m-%d")
        hashed = hashlib.sha256(payload).hexdigest()
        listed = "content-type;host"
        canonical = f"POST\n/\n\ncontent-type:application/json\nhost:{host}\n\n{listed}\n{hashed}"
        scope = f"{day}/{service}/tc3_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        key = f"TC3{self.account.secret}".encode()
        for part in (day, service, "tc3_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        text = f"TC3-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        return (
            f"TC3-HMAC-SHA256 Credential={self.account.key_id}/{scope}, "
            f"SignedHeaders={listed}, Signature={signature}"
        )


def found(answer: Any, path: str) -> Any:
    """What is at the path; None where there is nothing."""
    for part in path.split("."):
        if isinstance(answer, list):
            answer = answer[int(part)] if int(part) < len(answer) else None
        elif isinstance(answer, dict):
            answer = answer.get(part)
        else:
            return None
    return answer


@pytest.fixture
def provider(account: Account) -> Provider:
    """With a network and a certificate that the operator and the tenant set down before."""
    name = account.tenant.name
    host = f"images.{name}.example"
    chain, key = pair(host)
    command = AddCertificate(account.tenant.id, "images", chain, key)
    kept = account.operator.run(add_certificate, command)
    network = CreateNetwork(f"vpc-{name}", ["10.77.0.0/16"], account.tenant.id)
    account.operator.run(create_network, network)
    known = {"name": f"lab-{name}", "vpc": f"vpc-{name}", "domain": host}
    return Provider(account, {**known, "certificate": kept.public_id})


def test_every_resource_is_created_read_changed_and_destroyed(provider: Provider) -> None:
    provider.run(*CALLS)

    assert provider.account.call(
        "CheckInstanceName", RegistryName=provider.known["name"]
    ).IsValidated


def test_a_plan_reads_the_same_again(provider: Provider) -> None:
    """A second read of unchanged resources finds nothing that differs, or each plan would want changes."""
    provider.run("instance", "namespace", "repository", "token", "service_account")
    reads = [
        step
        for resource in ("instance", "namespace", "repository", "token", "service_account")
        for step in CALLS[resource]
        if step["action"].startswith("Describe")
    ]

    def everything() -> list[dict[str, Any]]:
        return [
            provider.send(step["service"], step["action"], provider._filled(step["body"]))
            for step in reads
        ]

    assert everything() == everything()
