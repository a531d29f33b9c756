"""A deployment on real files and a real database, used by the operator; what it serves, and whether it is whole."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from entrepot.bootstrap.context import open_context
from entrepot.capabilities.content import uploading
from entrepot.capabilities.content.uploading import Chunk
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.namespaces import CreateNamespace, create_namespace
from entrepot.capabilities.operations import collector, doctor, expiry, reconcile
from entrepot.config import Settings, Source, load, parse_assignments
from entrepot.metadata import counters, instances, namespaces, schema, tenants
from entrepot.model.access import SYSTEM
from entrepot.model.errors import BlobUnknown, RegistryError, UploadUnknown
from entrepot.oci.digest import Algorithm, Digest
from registry_in_memory import Registry

WEEK = 7 * 86400.0
AGEING = (  # rows that time changes the meaning of; keys and logins stay as they are
    "blobs", "events", "manifests", "repositories", "repository_blobs", "reviews", "tags", "tasks", "upload_sessions",
)  # fmt: skip


def settings_for(folder: Path, url: str, *, delay: str = "1h", keep: str = "2h") -> Settings:
    """Of a deployment whose collector waits an hour and whose history is two."""
    assignments = {
        "data.folder": folder / "data",
        "metadata.url": url,
        "gc.delay": delay,
        "history.keep": keep,
        "uploads.expire_after": "1h",
        "quota.swr_organizations": 0,
    }
    words = [f"{name}={value}" for name, value in assignments.items()]
    return load(Source(None, parse_assignments(words), {}))


@dataclass(slots=True)
class World(Registry):
    """The registry of the other suites, over an opened deployment."""

    folder: Path = Path()
    url: str = ""
    memory: dict[str, Any] = field(default_factory=dict)  # what the client knows: acknowledged
    lost: frozenset[str] = frozenset()  # digests whose bytes are gone: nobody asks for them

    # -- the client ---------------------------------------------------------------------------------------------------

    async def start(self, path: str) -> str:
        session = await uploading.start_upload(self.ctx, SYSTEM, self.place(path), Algorithm.SHA256)
        return session.id

    async def send(self, path: str, upload: str, content: bytes, *, upto: int) -> None:
        """Send what the server says is missing up to there."""
        session = await uploading.get_upload(self.ctx, SYSTEM, self.place(path), upload)
        assert session.offset <= upto
        part = content[session.offset : upto]
        await uploading.append(
            self.ctx, SYSTEM, self.place(path), upload,
            feed=feeding(part), chunk=Chunk(session.offset, len(part)),
        )  # fmt: skip

    async def commit(self, path: str, upload: str, content: bytes) -> None:
        session = await uploading.get_upload(self.ctx, SYSTEM, self.place(path), upload)
        part = content[session.offset :]
        blob = await uploading.commit(
            self.ctx, SYSTEM, self.place(path), upload,
            digest=Digest.of(content), feed=feeding(part), chunk=Chunk(session.offset, len(part)),
        )  # fmt: skip
        assert blob.size == len(content)

    async def has_blob(self, path: str, content: bytes) -> bool:
        try:
            await self.pull_blob(path, str(Digest.of(content)))
        except (BlobUnknown, RegistryError):
            return False
        return True

    # -- time ---------------------------------------------------------------------------------------------------------

    async def age(self, seconds: float = WEEK) -> None:
        """Let so much time pass, for rows and files."""
        micros = int(seconds * 1e6)

        def write(conn: sa.Connection) -> None:
            for name in AGEING:
                table = schema.SCHEMA.tables[name]
                moments = [
                    c for c in table.c if c.name.endswith(("_at", "_after", "_until", "_from"))
                ]
                conn.execute(sa.update(table).values({c: c - micros for c in moments}))

        await self.ctx.db.write(write)
        for found in (self.folder / "data").rglob("*"):
            if found.parent.name == "uploads" or found.parent.parent.name == "blobs":
                status = found.stat()
                os.utime(found, (status.st_atime - seconds, status.st_mtime - seconds))

    # -- what is there ------------------------------------------------------------------------------------------------

    async def served(self) -> dict[str, Any]:
        """What clients can see, and the counts that lists show."""
        return await self.ctx.db.read(_served)

    async def pull_blob(self, path: str, digest: str) -> bytes:
        if digest in self.lost:
            return b""
        return await Registry.pull_blob(self, path, digest)

    async def pull_everything(self) -> None:
        """Every tag, manifest and blob that is shown, by its bytes."""
        for name, shown in (await self.served()).items():
            path = name.partition("/")[2]
            for tag, digest in shown["tags"].items():
                assert Digest.of(await self.pull(path, tag)) == Digest.parse(digest)
            for digest in shown["manifests"]:
                await self.pull(path, digest)
            for digest in shown["blobs"]:
                await self.pull_blob(path, digest)

    async def faults(self, *, allowed: frozenset[str] = frozenset()) -> list[str]:
        """What the doctor finds, but for the codes that are allowed; and blobs whose bytes are others."""
        report = await doctor.examine(self.ctx, settle_seconds=0.0)
        wrong = [
            f"{found.code}: {found.message} {found.subjects}"
            for found in report.findings
            if found.code not in allowed
        ]
        for row in await self.ctx.db.read(lambda conn: conn.execute(sa.select(schema.blobs)).all()):
            if row.state == "live" and row.digest not in self.lost:
                wrong += _damage(self.ctx.blobs, row)
        return wrong

    async def clean_up(self) -> None:
        """A week later expiry, collector and reconciliation have run, with hardly a delay."""
        await self.age()
        ctx = self.hurried()
        await expiry.expire_sessions(ctx)
        await collector.collect(ctx)
        await reconcile.reconcile(ctx, settle_seconds=0.0)

    def hurried(self) -> Context:
        """Where nothing has to wait."""
        tiny = settings_for(self.folder, self.url, delay="0s", keep="0s")
        return replace(self.ctx, settings=tiny)

    async def leftovers(self) -> list[str]:
        """What is there although nothing needs it any more."""
        rows = await self.ctx.db.read(lambda conn: conn.execute(sa.select(schema.blobs)).all())
        sessions = await self.ctx.db.read(
            lambda conn: conn.execute(sa.select(schema.upload_sessions)).all()
        )
        keys = {row.object_key for row in rows}
        return [
            *(f"object {one.key}" for one in self.ctx.blobs.list() if one.key not in keys),
            *(f"upload {one.key}" for one in self.ctx.blobs.list_uploads()),
            *(f"{row.state} blob {row.digest}" for row in rows if row.state != "live"),
            *(f"session {session.id}" for session in sessions),
        ]


def feeding(content: bytes) -> Callable[..., Any]:
    """A body in pieces of 1000 bytes, each through the pool like the wire's."""

    async def feed(sink: Any, _limit: int | None) -> int:
        for start in range(0, len(content), 1000):
            await asyncio.to_thread(sink.write, memoryview(content)[start : start + 1000])
        return len(content)

    return feed


def _served(conn: sa.Connection) -> dict[str, Any]:
    t = schema
    shown: dict[str, Any] = {}
    names: dict[int, str] = {}
    for row in conn.execute(sa.select(t.repositories).where(t.repositories.c.deleted_at.is_(None))):
        names[row.id] = row.full_name
        counted = {n: counters.value(conn, "repository", row.id, n) for n in ("bytes", "tags")}
        shown[row.full_name] = {"tags": {}, "manifests": [], "blobs": [], "counted": counted}
    manifests = conn.execute(
        sa.select(t.manifests.c.id, t.manifests.c.repository_id, t.manifests.c.digest)
        .where(t.manifests.c.deleted_at.is_(None))
        .order_by(t.manifests.c.digest)
    ).all()
    digests = {m.id: m.digest for m in manifests}
    for m in manifests:
        if m.repository_id in names:
            shown[names[m.repository_id]]["manifests"].append(m.digest)
    for tag in conn.execute(sa.select(t.tags).where(t.tags.c.valid_until.is_(None))):
        if tag.repository_id in names:
            shown[names[tag.repository_id]]["tags"][tag.name] = digests.get(tag.manifest_id, "")
    links = (
        sa.select(t.repository_blobs.c.repository_id, t.blobs.c.digest)
        .join(t.blobs, t.blobs.c.id == t.repository_blobs.c.blob_id)
        .order_by(t.blobs.c.digest)
    )
    for link in conn.execute(links):
        if link.repository_id in names:
            shown[names[link.repository_id]]["blobs"].append(link.digest)
    return shown


def _damage(store: Any, row: Any) -> list[str]:
    if store.stat(row.object_key) is None:
        return [f"blob {row.digest} has no object"]
    with store.open(row.object_key) as reader:
        actual = hashlib.sha256(b"".join(bytes(piece) for piece in reader.chunks())).hexdigest()
    right = (reader.size, f"sha256:{actual}") == (row.size, row.digest)
    return [] if right else [f"blob {row.digest} has other bytes"]


@asynccontextmanager
async def open_world(folder: Path, url: str) -> AsyncIterator[World]:
    """Open the deployment as a process does when it starts; makes the namespace `team` the first time."""
    async with open_context(settings_for(folder, url)) as (ctx, _first):
        instance = await ctx.db.read(lambda conn: instances.load_hosts(conn).default)
        namespace = await ctx.db.read(lambda c: namespaces.find_namespace(c, instance.id, "team"))
        if namespace is None:
            tenant = await ctx.db.read(tenants.root_tenant)
            command = CreateNamespace(instance.id, tenant.id, "team")
            namespace = await create_namespace(ctx, SYSTEM, command)
        yield World(ctx, None, instance, namespace.id, folder=folder, url=url)


async def restart_upload_of(world: World, path: str, content: bytes, upload: str | None) -> str:
    """What a client does that lost its connection: go on where the server says, or begin anew. The session's id."""
    if upload is not None:
        try:
            await uploading.get_upload(world.ctx, SYSTEM, world.place(path), upload)
        except UploadUnknown:
            return await world.start(path)
        return upload
    return await world.start(path)
