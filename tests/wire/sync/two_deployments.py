"""A deployment that copies to another: its server, its worker as a process of its own, and what is pushed to it over HTTP."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import transport
from started import Operator, Started

from entrepot.capabilities.access.identities.tenants import CreateTenant, create_tenant
from entrepot.capabilities.content.place import Place
from entrepot.capabilities.instances.namespaces import CreateNamespace, create_namespace
from entrepot.capabilities.policies import sync_now, syncing
from entrepot.capabilities.policies.peers import CreatePeer, create_peer
from entrepot.capabilities.policies.sync_now import ListJobs, SyncTags
from entrepot.capabilities.policies.syncing import PutRule
from entrepot.metadata import instances
from entrepot.model.syncing import SyncTarget
from entrepot.oci.digest import Digest
from entrepot.oci.reference import RepositoryName
from entrepot.ports.registry import BlobToSend, ConnectionRules, RegistryAddress
from entrepot.remotes.registry import open_registry
from registry_in_memory import image

PASSWORD = "of-the-0wner"
OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
MIB = 1 << 20
OWN = {
    "ENTREPOT_JOBS_EMBEDDED": "false",
    "ENTREPOT_JOBS_LEASE": "2s",
    "ENTREPOT_JOBS_POLL": "50ms",
    "ENTREPOT_OUTBOUND_FORBIDDEN_NETWORKS": "203.0.113.0/24",
}


def authorities() -> str:
    """PEM of who vouches for the registries of these tests; empty where there is no TLS."""
    return (
        Path(transport.settings()["ENTREPOT_HTTP_TLS_CERTIFICATE"]).read_text()
        if transport.TLS
        else ""
    )


@dataclass
class Here:
    """Tenant `acme`, its namespace `team`, and the repository `team/app`."""

    registry: Started
    operator: Operator
    workers: list[subprocess.Popen] = field(default_factory=list)

    def __post_init__(self) -> None:
        tenant = self.operator.run(create_tenant, CreateTenant("acme", password=PASSWORD)).tenant
        self.tenant = tenant.id
        self.shared = self.operator.read(instances.default_instance)
        command = CreateNamespace(self.shared.id, self.tenant, "team")
        self.operator.run(create_namespace, command)

    # -- pushing ------------------------------------------------------------------------------------------------------

    def push(self, *documents: tuple[bytes, str], blobs: tuple[bytes, ...] = ()) -> None:
        """Blobs, then documents under a tag, or under their digest where that is empty."""
        address = RegistryAddress(self.registry.url, "acme/owner", PASSWORD, authorities())

        async def run():
            async with open_registry(address, ConnectionRules()) as remote:
                for content in (*blobs, b"{}"):
                    await remote.send_blob("team/app", blob_of(content), sent=lambda _: None)
                for payload, tag in documents:
                    kind = INDEX if INDEX.encode() in payload else OCI
                    reference = tag or str(Digest.of(payload))
                    await remote.put_manifest(
                        "team/app", reference, media_type=kind, payload=payload
                    )

        asyncio.run(run())

    def push_image(self, tag: str, layer: bytes) -> bytes:
        payload = image([layer])
        self.push((payload, tag), blobs=(layer,))
        return payload

    # -- sync ---------------------------------------------------------------------------------------------------------

    def peer(self, name: str, url: str, *, pem: str = "", secret: str = PASSWORD) -> None:
        command = CreatePeer(self.tenant, name, url, "copied/owner", secret, pem)
        self.operator.run(create_peer, command)

    @property
    def place(self) -> Place:
        return Place(self.shared, RepositoryName("team", "app"))

    def rule(self, region: str, namespace: str, *, overrides: bool = False) -> None:
        target = SyncTarget(region, namespace)
        command = PutRule(self.place, target, is_automatic=True, overrides=overrides)
        self.operator.run(syncing.put_rule, command)

    def sync(self, region: str, namespace: str, *tags: str, overrides: bool = False) -> list[str]:
        command = SyncTags(self.place, tags, SyncTarget(region, namespace), overrides)
        return self.operator.run(sync_now.sync_tags, command)

    def jobs(self, namespace: str) -> dict[str, str]:
        """Status of the newest job of each tag to the namespace."""
        found = self.operator.run(sync_now.list_jobs, ListJobs(self.place, is_rising=True))
        rows = found.page.rows
        return {job.tag: job.status.value for job in rows if job.target.namespace == namespace}

    def wait(self, namespace: str, *tags: str, status: str = "success") -> None:
        """Until the newest job of each of the tags has the status."""
        deadline = time.monotonic() + 40
        while any(self.jobs(namespace).get(tag) != status for tag in tags):
            assert time.monotonic() < deadline, (self.jobs(namespace), self.log.read_text()[-3000:])
            time.sleep(0.05)

    # -- the worker ---------------------------------------------------------------------------------------------------

    @property
    def log(self) -> Path:
        return self.registry.folder / "worker.log"

    def start_worker(self) -> None:
        with self.log.open("ab") as output:
            started = subprocess.Popen(
                [sys.executable, "-m", "entrepot", "worker"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.registry.environment,
                cwd=self.registry.folder,
                start_new_session=True,
            )
        self.workers.append(started)

    def kill_worker(self) -> None:
        """As a power cut would."""
        worker = self.workers.pop()
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(10)

    def stop_worker(self) -> None:
        for worker in self.workers:
            worker.terminate()
            assert worker.wait(20) == 0, self.log.read_text()[-3000:]
        self.workers.clear()


def blob_of(content: bytes) -> BlobToSend:
    async def pieces(start: int):
        for offset in range(start, len(content), MIB):
            yield content[offset : offset + MIB]

    return BlobToSend(str(Digest.of(content)), len(content), pieces)
