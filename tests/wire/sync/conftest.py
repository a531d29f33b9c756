"""A registry that images are copied to, and a proxy before it."""

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from faulty_proxy import FaultyProxy, standing
from started import Operator, Started

from entrepot.capabilities.access.identities.tenants import CreateTenant, create_tenant
from entrepot.capabilities.content import pulling
from entrepot.capabilities.content.place import Place
from entrepot.capabilities.instances.namespaces import CreateNamespace, create_namespace
from entrepot.metadata import instances
from entrepot.model.access import SYSTEM
from entrepot.model.errors import BlobUnknown, ManifestUnknown, RepositoryUnknown
from entrepot.oci.digest import Digest
from entrepot.oci.reference import RepositoryName
from entrepot.ports.registry import ConnectionRules, RegistryAddress
from entrepot.remotes.registry import open_registry

PASSWORD = "of-the-0wner"


@dataclass
class There:
    """The registry copied to: tenant `copied` with a namespace of this test's own."""

    registry: Started
    operator: Operator
    proxy: FaultyProxy
    namespace: str

    @property
    def address(self) -> RegistryAddress:
        """By the proxy, as the owner of copied."""
        return RegistryAddress(self.proxy.url, "copied/owner", PASSWORD)

    def name(self, path: str = "app") -> str:
        return f"{self.namespace}/{path}"

    def document(self, path: str, reference: str) -> bytes | None:
        """The manifest there; None if there is none."""
        shared = self.operator.read(instances.default_instance)
        place = Place(shared, RepositoryName(self.namespace, path))
        wanted = Digest.parse(reference) if ":" in reference else reference
        try:
            found = self.operator.do(pulling.get_manifest(self.operator.ctx, SYSTEM, place, wanted))
        except (RepositoryUnknown, ManifestUnknown):
            return None
        return found.payload

    def blob(self, path: str, content: bytes) -> bool:
        """Whether the repository there has these very bytes."""
        shared = self.operator.read(instances.default_instance)
        place = Place(shared, RepositoryName(self.namespace, path))
        ctx = self.operator.ctx

        async def read() -> bytes:
            blob = await pulling.find_blob(ctx, SYSTEM, place, Digest.of(content))
            with await pulling.open_blob(ctx, blob) as reader:
                return b"".join(bytes(piece) for piece in reader.chunks())

        return self.operator.do(read()) == content

    def blob_is_there(self, path: str, content: bytes) -> bool:
        try:
            return self.blob(path, content)
        except (RepositoryUnknown, BlobUnknown):
            return False

    def ask(self, scenario, *, address: RegistryAddress | None = None, **rules):
        """Run a scenario, a coroutine that is given a client."""

        async def run():
            patience = {"connect_seconds": 5.0, "silence_seconds": 20.0, **rules}
            async with open_registry(
                address or self.address, ConnectionRules(**patience)
            ) as remote:
                return await scenario(remote)

        return asyncio.run(run())


@pytest.fixture(scope="session")
def copied(operator: Operator):
    return operator.run(create_tenant, CreateTenant("copied", password=PASSWORD)).tenant


@pytest.fixture
def there(registry: Started, operator: Operator, copied) -> Iterator[There]:
    namespace = f"n{secrets.token_hex(5)}"
    shared = operator.read(instances.default_instance)
    operator.run(create_namespace, CreateNamespace(shared.id, copied.id, namespace))
    with standing(FaultyProxy(registry.url)) as proxy:
        yield There(registry, operator, proxy, namespace)
