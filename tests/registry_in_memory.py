"""A registry without wires for tests of what runs behind it: real metadata, blobs in memory, one namespace, and time that moves.

Time moves by ageing: every moment in the rows and in the store is shifted into the past. All decisions compare such moments with
now, so this is what waiting would do.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from entrepot.capabilities.access.state import AccessState
from entrepot.capabilities.content import deleting, linking, pulling, pushing, uploading
from entrepot.capabilities.content.hashers import LiveHashers
from entrepot.capabilities.content.place import Place
from entrepot.capabilities.content.pushing import PushManifest
from entrepot.capabilities.context import Context
from entrepot.config import Source, load, parse_assignments
from entrepot.metadata.database import Database
from entrepot.metadata.hot import HotReads
from entrepot.metadata.migrate import known_revisions
from entrepot.metadata.schema import (
    SCHEMA,
    blobs,
    instances,
    namespaces,
    regions,
    schema_info,
    tenants,
)
from entrepot.model.access import SYSTEM
from entrepot.model.ids import InstanceId
from entrepot.model.tenancy import Instance, InstanceKind
from entrepot.oci.descriptor import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from entrepot.oci.digest import Digest
from entrepot.oci.reference import RepositoryName
from entrepot.storage.memory import MemoryStore

LAYER = "application/vnd.oci.image.layer.v1.tar"


def descriptor(media_type: str, content: bytes) -> dict[str, object]:
    """Of the content."""
    return {
        "mediaType": media_type,
        "digest": str(Digest.of(content)),
        "size": len(content),
    }


def image(
    layers: Sequence[bytes], *, config: bytes = b"{}", subject: bytes | None = None, note: str = ""
) -> bytes:
    """An image manifest, perhaps a referrer of the manifest `subject`."""
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(OCI_CONFIG, config),
        "layers": [descriptor(LAYER, layer) for layer in layers],
        "annotations": {"note": note},
    }
    if subject is not None:
        document["subject"] = descriptor(OCI_MANIFEST, subject)
    return json.dumps(document).encode()


def index(children: Sequence[bytes], *, note: str = "") -> bytes:
    """An index of image manifests."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [descriptor(OCI_MANIFEST, child) for child in children],
            "annotations": {"note": note},
        }
    ).encode()


@dataclass(slots=True)
class Registry:
    """What the tests do with it. Everything is done as the operator, who may do everything."""

    ctx: Context
    store: MemoryStore
    instance: Instance
    namespace: int

    def place(self, path: str) -> Place:
        return Place(self.instance, RepositoryName.parse(f"team/{path}"))

    async def push_blob(self, path: str, content: bytes) -> str:
        async def feed(sink, limit):
            sink.write(memoryview(content))
            return len(content)

        digest = Digest.of(content)
        await uploading.upload_whole(
            self.ctx, SYSTEM, self.place(path), digest=digest, feed=feed, length=len(content)
        )
        return str(digest)

    async def push_manifest(self, path: str, payload: bytes, *tags: str) -> str:
        media_type = json.loads(payload)["mediaType"]
        command = PushManifest(media_type, payload, None, tags)
        pushed = await pushing.push_manifest(self.ctx, SYSTEM, self.place(path), command)
        return str(pushed.digest)

    async def push_image(self, path: str, layers: Sequence[bytes], *tags: str, **fields) -> bytes:
        """Blobs and manifest; the manifest's bytes."""
        for content in {*layers, fields.get("config", b"{}")}:
            await self.push_blob(path, content)
        payload = image(layers, **fields)
        await self.push_manifest(path, payload, *tags)
        return payload

    async def mount(self, path: str, digest: str, source: str) -> bool:
        found = await linking.mount_blob(
            self.ctx,
            SYSTEM,
            self.place(path),
            Digest.parse(digest),
            RepositoryName.parse(f"team/{source}"),
        )
        return found is not None

    async def delete_manifest(self, path: str, digest: str) -> None:
        await deleting.delete_manifest(self.ctx, SYSTEM, self.place(path), Digest.parse(digest))

    async def delete_tag(self, path: str, tag: str) -> None:
        await deleting.delete_tag(self.ctx, SYSTEM, self.place(path), tag)

    async def delete_repository(self, path: str) -> None:
        await deleting.delete_repository(self.ctx, SYSTEM, self.place(path))

    async def pull(self, path: str, reference: str) -> bytes:
        """The manifest, after everything it needs was pulled too and had the digest it should have."""
        wanted = Digest.parse(reference) if ":" in reference else reference
        found = await pulling.get_manifest(self.ctx, SYSTEM, self.place(path), wanted)
        assert str(Digest.of(found.payload)) == found.digest
        document = json.loads(found.payload)
        for child in document.get("manifests", ()):
            await self.pull(path, child["digest"])
        for one in [document.get("config"), *document.get("layers", ())]:
            if one is not None:
                await self.pull_blob(path, one["digest"])
        return found.payload

    async def pull_blob(self, path: str, digest: str) -> bytes:
        blob = await pulling.find_blob(self.ctx, SYSTEM, self.place(path), Digest.parse(digest))
        with await pulling.open_blob(self.ctx, blob) as reader:
            content = b"".join(bytes(piece) for piece in reader.chunks())
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == digest
        return content

    async def age(self, seconds: float) -> None:
        """Let so much time pass."""
        micros = int(seconds * 1e6)

        def write(conn):
            for table in SCHEMA.tables.values():
                moments = [
                    c
                    for c in table.c
                    if c.name.endswith(("_at", "_after", "_until"))
                    or (table.name == "tags" and c.name == "valid_from")
                ]
                if moments:
                    conn.execute(sa.update(table).values({c: c - micros for c in moments}))

        await self.ctx.db.write(write)
        with self.store.lock:
            for found in self.store.objects.values():
                found.modified_at -= micros

    async def blob_rows(self) -> dict[str, str]:
        """State by digest."""
        rows = await self.ctx.db.read(
            lambda conn: conn.execute(sa.select(blobs.c.digest, blobs.c.state)).all()
        )
        return {row.digest: row.state for row in rows}


@asynccontextmanager
async def open_registry(db: Database, folder: Path, **assignments: str) -> AsyncIterator[Registry]:
    """Over a database with tables. Settings by path with `__` for the dot: `gc__delay="1h"`."""
    flags = [f"{name.replace('__', '.')}={value}" for name, value in assignments.items()]
    settings = load(Source(None, parse_assignments([f"data.folder={folder / 'data'}", *flags]), {}))
    settings.data.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pool = ThreadPoolExecutor(4)
    store = MemoryStore()
    access = await asyncio.to_thread(AccessState.open, settings, db)
    ctx = Context(
        settings=settings,
        db=db,
        blobs=store,
        pool=pool,
        access=access,
        hot=HotReads(db),
        hashers=LiveHashers(),
    )
    instance, namespace = await db.write(_found)
    try:
        yield Registry(ctx, store, instance, namespace)
    finally:
        pool.shutdown()
        await access.stop()


def _found(conn) -> tuple[Instance, int]:
    """A tenant, the shared instance, and the namespace `team`; and what migrations would have noted."""

    def add(table, **values):
        return conn.execute(sa.insert(table).values(**values).returning(table.c.id)).scalar_one()

    revisions = " ".join(sorted(known_revisions()))
    conn.execute(sa.insert(schema_info).values(key="revisions", value=revisions))
    tenant = add(
        tenants, public_id="0" * 32, uin="1" * 12, app_id="1" * 10, name="root", is_root=True,
        created_at=0,
    )  # fmt: skip
    region = add(
        regions, number=1, name="local-1", display_name="Local", kind="local", is_default=True,
        created_at=0,
    )  # fmt: skip
    instance = add(
        instances, public_id="tcr-shared", kind="shared", region_id=region, name="shared",
        is_default=True, created_at=0,
    )  # fmt: skip
    namespace = add(
        namespaces, instance_id=instance, tenant_id=tenant, name="team", is_public=False,
        created_at=0,
    )  # fmt: skip
    shared = Instance(
        InstanceId(instance), "tcr-shared", InstanceKind.SHARED, None, "shared", is_default=True
    )
    return shared, namespace
