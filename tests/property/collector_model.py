"""Random work on a registry beside a model of what its users expect, and the checks that compare the two.

The model knows what users did, not what the collector does. Of manifests it derives which ones must be there: what a tag reaches
through indexes and referrers, and everything else too where untagged manifests are kept. What need not be there may vanish.
"""

import asyncio
import json
import random
from dataclasses import dataclass, field

import sqlalchemy as sa

from entrepot.capabilities.content import pulling
from entrepot.capabilities.operations import doctor, undelete
from entrepot.capabilities.operations.collector import collect
from entrepot.capabilities.operations.reconcile import COUNTED
from entrepot.metadata import counters
from entrepot.metadata.schema import (
    blobs,
    manifest_references,
    manifests,
    repositories,
    repository_blobs,
    reviews,
    tags,
)
from entrepot.model.access import SYSTEM
from entrepot.model.errors import (
    BlobUnknown,
    ManifestIndexed,
    ManifestUnknown,
    NameTaken,
    ReferencesUnknown,
    RepositoryUnknown,
    StorageUnavailable,
)
from entrepot.oci.digest import Digest
from registry_in_memory import Registry, image, index

HOUR = 3600.0
DELAY, KEEP, UNTAGGED = 24 * HOUR, 48 * HOUR, 36 * HOUR
PATHS = ("a", "b", "deep/c")
TAGS = ("v1", "v2", "latest")
LAYERS = [f"layer {number}".encode() for number in range(12)]


@dataclass(slots=True)
class Repository:
    """As its users see it. Moments are the model's clock."""

    tags: dict[str, str] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    linked: dict[bytes, float] = field(default_factory=dict)  # pushed or mounted, when
    deleted: dict[str, tuple[bytes, float]] = field(default_factory=dict)


def digest_of(payload: bytes) -> str:
    return str(Digest.of(payload))


def names(payload: bytes) -> tuple[set[str], set[str], str | None]:
    """Blobs, children and subject of a document."""
    document = json.loads(payload)
    needed = [document.get("config"), *document.get("layers", ())]
    subject = document.get("subject")
    return (
        {one["digest"] for one in needed if one},
        {one["digest"] for one in document.get("manifests", ())},
        subject and subject["digest"],
    )


class World:
    """One registry, its model, and a source of chance."""

    def __init__(self, registry: Registry, seed: int) -> None:
        self.registry = registry
        self.random = random.Random(seed)
        self.keeps_untagged = registry.ctx.settings.gc.untagged_after is None
        self.clock = 0.0
        self.living: dict[str, Repository] = {}
        self.buried: dict[str, tuple[Repository, float]] = {}
        self.done: dict[str, int] = {}
        self.serial = 0

    # -- what users do ------------------------------------------------------------------------------------------------

    async def act(self) -> None:
        actions = {
            self.push_image: 8, self.push_slowly: 3, self.push_index: 3, self.push_referrer: 3,
            self.retag: 3, self.untag: 4, self.mount: 3, self.ask: 2, self.delete_manifest: 5,
            self.delete_repository: 1, self.restore_tag: 3, self.restore_manifest: 4,
            self.restore_repository: 2, self.push_again: 2,
        }  # fmt: skip
        (action,) = self.random.choices(list(actions), list(actions.values()))
        await action()
        self.done[action.__name__] = self.done.get(action.__name__, 0) + 1

    def open(self, path: str | None = None) -> tuple[str, Repository]:
        path = path or self.random.choice(PATHS)
        return path, self.living.setdefault(path, Repository())

    def some(self, of: Repository | None) -> str | None:
        return self.random.choice(sorted(of.manifests)) if of and of.manifests else None

    def layers(self) -> list[bytes]:
        return self.random.sample(LAYERS, self.random.randint(1, 3))

    async def blob(self, path: str, content: bytes) -> None:
        await self.registry.push_blob(path, content)
        self.living.setdefault(path, Repository()).linked[content] = self.clock

    async def manifest(self, path: str, payload: bytes, *wanted: str) -> None:
        digest = await self.registry.push_manifest(path, payload, *wanted)
        repository = self.living[path]
        repository.manifests[digest] = payload
        repository.deleted.pop(digest, None)
        repository.tags.update(dict.fromkeys(wanted, digest))

    def tags_or_none(self) -> list[str]:
        return self.random.choice([[], [self.random.choice(TAGS)]])

    def note(self) -> str:
        self.serial += 1
        return str(self.serial if self.random.random() < 0.7 else 0)

    async def push_image(self) -> None:
        path, _ = self.open()
        layers = self.layers()
        for content in {*layers, b"{}"}:
            await self.blob(path, content)
        await self.manifest(path, image(layers, note=self.note()), *self.tags_or_none())

    async def push_slowly(self) -> None:
        """Blobs now, the manifest within the delay."""
        path, _ = self.open()
        layers = self.layers()
        for content in {*layers, b"{}"}:
            await self.blob(path, content)
        for _ in range(3):
            await self.wait(DELAY / 4)
            await self.collect()
        await self.manifest(path, image(layers, note=self.note()), *self.tags_or_none())

    async def push_again(self) -> None:
        """The same document once more: it may have been deleted meanwhile."""
        path, repository = self.open()
        known = [*repository.manifests.values(), *(gone for gone, _ in repository.deleted.values())]
        images = [one for one in known if b'"layers"' in one]
        if images:
            payload = self.random.choice(images)
            needed, _, _ = names(payload)
            for content in {one for one in [*LAYERS, b"{}"] if digest_of(one) in needed}:
                await self.blob(path, content)
            await self.manifest(path, payload, *self.tags_or_none())

    async def push_index(self) -> None:
        path, repository = self.open()
        plain = [p for p in repository.manifests.values() if b'"subject"' not in p]
        if plain:
            children = self.random.sample(plain, min(len(plain), 2))
            if all(digest_of(child) in self.reached(repository) for child in children):
                payload = index(children, note=self.note())
                await self.manifest(path, payload, *self.tags_or_none())

    async def push_referrer(self) -> None:
        path, repository = self.open()
        subject = self.some(repository)
        if subject is not None:
            layers = self.layers()[:1]
            for content in {*layers, b"{}"}:
                await self.blob(path, content)
            payload = image(layers, subject=repository.manifests[subject], note=self.note())
            await self.manifest(path, payload, *self.random.choice([[], [], self.tags_or_none()]))

    async def retag(self) -> None:
        path, repository = self.open()
        found = self.some(repository)
        if found in self.reached(repository):
            await self.manifest(path, repository.manifests[found], self.random.choice(TAGS))

    async def untag(self) -> None:
        path, repository = self.open()
        if repository.tags:
            tag = self.random.choice(sorted(repository.tags))
            await self.registry.delete_tag(path, tag)
            del repository.tags[tag]

    async def mount(self) -> None:
        source, repository = self.open()
        held = {
            content for content in [*LAYERS, b"{}"]
            for digest in self.reached(repository)
            if digest_of(content) in names(repository.manifests[digest])[0]
        }  # fmt: skip
        if held:
            content = self.random.choice(sorted(held))
            target = self.random.choice(PATHS)
            assert await self.registry.mount(target, digest_of(content), source)
            self.open(target)[1].linked[content] = self.clock

    async def ask(self) -> None:
        """HEAD a blob; told that it is there, push a manifest with it half the delay later."""
        path, repository = self.open()
        content = self.random.choice(LAYERS)
        digest = Digest.parse(digest_of(content))
        try:
            await pulling.confirm_blob(self.registry.ctx, SYSTEM, self.registry.place(path), digest)
        except (BlobUnknown, RepositoryUnknown):
            return
        await self.blob(path, b"{}")
        await self.wait(DELAY / 2 - HOUR)
        await self.collect()
        repository.linked[content] = self.clock
        await self.manifest(path, image([content], note=self.note()), *self.tags_or_none())

    async def delete_manifest(self) -> None:
        path, repository = self.open()
        found = self.some(repository)
        if found is None:
            return
        try:
            await self.registry.delete_manifest(path, found)
        except ManifestIndexed:
            return
        except ManifestUnknown:
            assert found not in self.reached(repository)
            repository.manifests.pop(found)
            return
        repository.deleted[found] = (repository.manifests.pop(found), self.clock)
        repository.tags = {tag: one for tag, one in repository.tags.items() if one != found}

    async def delete_repository(self) -> None:
        path, repository = self.open()
        if repository.linked and self.random.random() < 0.5:
            await self.registry.delete_repository(path)
            self.buried[path] = (self.living.pop(path), self.clock)

    async def restore_tag(self) -> None:
        path, repository = self.open()
        tag = self.random.choice(TAGS)
        place = self.registry.place(path)
        try:
            await undelete.restore_tag(self.registry.ctx, SYSTEM, place, tag)
        except NameTaken:
            assert tag in repository.tags
            return
        except (ManifestUnknown, ReferencesUnknown, RepositoryUnknown):
            return
        assert tag not in repository.tags
        await self.learn(path)

    async def restore_manifest(self) -> None:
        path, repository = self.open()
        if not repository.deleted:
            return
        digest = self.random.choice(sorted(repository.deleted))
        payload, at = repository.deleted[digest]
        place = self.registry.place(path)
        try:
            await undelete.restore_manifest(self.registry.ctx, SYSTEM, place, Digest.parse(digest))
        except (ManifestUnknown, ReferencesUnknown):
            children = names(payload)[1] - self.reached(repository)
            assert self.clock - at >= KEEP - 1 or children, "history forgot too early"
            repository.deleted.pop(digest)
            return
        await self.learn(path)

    async def restore_repository(self) -> None:
        if not self.buried:
            return
        path = self.random.choice(sorted(self.buried))
        repository, at = self.buried.pop(path)
        place = self.registry.place(path)
        try:
            await undelete.restore_repository(self.registry.ctx, SYSTEM, place)
        except NameTaken:
            assert path in self.living
        except RepositoryUnknown:
            assert self.clock - at >= KEEP - 1, "history forgot too early"
        else:
            gone = self.living.get(path)
            assert gone is None or not gone.linked
            self.living[path] = repository
            await self.learn(path)

    async def learn(self, path: str) -> None:
        """What an undelete brought back beyond what was asked for: children, tags."""
        await self.forget_vanished()
        repository = self.living[path]
        rows, current = await self.registry.ctx.db.read(lambda conn: _content(conn, path))
        for digest, payload in rows.items():
            repository.manifests[digest] = payload
            repository.deleted.pop(digest, None)
        assert repository.tags.items() <= current.items()
        repository.tags = current

    # -- time and the collector ---------------------------------------------------------------------------------------

    async def wait(self, seconds: float) -> None:
        self.clock += seconds
        await self.registry.age(seconds)

    async def collect(self) -> None:
        """A run; sometimes the store does not delete, sometimes the run dies half-way."""
        chance = self.random.random()
        if chance < 0.15:
            whole = self.registry.store.delete
            self.registry.store.delete = _failing
            try:
                await collect(self.registry.ctx)
            finally:
                self.registry.store.delete = whole
        elif chance < 0.3:
            run = asyncio.ensure_future(collect(self.registry.ctx))
            for _ in range(self.random.randint(1, 40)):
                await asyncio.sleep(0)
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
        else:
            await collect(self.registry.ctx)

    # -- checks -------------------------------------------------------------------------------------------------------

    def reached(self, repository: Repository) -> set[str]:
        """Manifests that must be there."""
        documents = {digest: names(payload) for digest, payload in repository.manifests.items()}
        found = set(repository.tags.values())
        if self.keeps_untagged:
            found |= {digest for digest, (_, _, subject) in documents.items() if subject is None}
        while True:
            more = {child for digest in found for child in documents[digest][1]}
            more |= {digest for digest, (_, _, subject) in documents.items() if subject in found}
            more &= documents.keys()
            if more <= found:
                return found
            found |= more

    def is_whole(self, repository: Repository, digest: str) -> bool:
        """Whether users have left it all its children."""
        payload = repository.manifests.get(digest)
        return payload is not None and all(
            self.is_whole(repository, child) for child in names(payload)[1]
        )

    async def forget_vanished(self) -> None:
        """The model forgets what the collector took, which must be nothing that had to stay."""
        for path, repository in self.living.items():
            rows, _ = await self.registry.ctx.db.read(lambda conn, path=path: _content(conn, path))
            gone = repository.manifests.keys() - rows.keys()
            assert not gone & self.reached(repository), f"taken too early in {path}"
            for digest in gone:
                del repository.manifests[digest]

    async def check(self) -> None:
        """Reachable is pullable, and the counts are true."""
        await self.forget_vanished()
        for path, repository in self.living.items():
            for digest in self.reached(repository):
                if self.is_whole(repository, digest):
                    payload = await self.registry.pull(path, digest)
                    assert payload == repository.manifests[digest]
            for tag, digest in repository.tags.items():
                place = self.registry.place(path)
                found = await pulling.get_manifest(self.registry.ctx, SYSTEM, place, tag)
                assert found.digest == digest
            for content, at in repository.linked.items():
                if self.clock - at < DELAY - HOUR:
                    assert await self.registry.pull_blob(path, digest_of(content)) == content
        await self.registry.ctx.db.read(_check_counts)

    async def drain(self) -> None:
        """Nobody does anything for long. What nothing reaches is gone then, rows and objects."""
        doomed = await self.registry.ctx.db.read(_doomed)
        for _ in range(8):
            await self.wait(max(DELAY, KEEP, UNTAGGED) + HOUR)
            await collect(self.registry.ctx)
        self.buried.clear()
        for repository in self.living.values():
            repository.deleted.clear()
            repository.linked.clear()
        await self.check()
        await self.registry.ctx.db.read(lambda conn: self._check_gone(conn, doomed))
        report = await doctor.examine(self.registry.ctx, settle_seconds=0)
        assert report.findings == ()

    def _check_gone(self, conn, doomed: set[int]) -> None:
        rows = conn.execute(
            sa.select(
                manifests.c.id, manifests.c.digest, manifests.c.deleted_at, repositories.c.full_name
            ).join(repositories, repositories.c.id == manifests.c.repository_id)
        ).all()
        for row in rows:
            assert row.deleted_at is None
            assert row.id not in doomed
            repository = self.living[row.full_name.removeprefix("team/")]
            if not self.keeps_untagged:
                assert row.digest in self.reached(repository)
        dead = sa.select(sa.func.count()).where(repositories.c.deleted_at.is_not(None))
        assert conn.execute(dead).scalar_one() == 0
        past = sa.select(sa.func.count()).where(tags.c.valid_until.is_not(None))
        assert conn.execute(past).scalar_one() == 0
        needed = _pairs(
            conn.execute(
                sa.select(manifest_references.c.repository_id, manifest_references.c.digest).where(
                    manifest_references.c.role.in_(("config", "layer"))
                )
            )
        )
        linked = _pairs(
            conn.execute(
                sa.select(repository_blobs.c.repository_id, blobs.c.digest).join(
                    blobs, blobs.c.id == repository_blobs.c.blob_id
                )
            )
        )
        assert linked == needed, (linked - needed, needed - linked)
        stored = {row.object_key: row for row in conn.execute(sa.select(blobs))}
        assert {row.digest for row in stored.values()} == {digest for _, digest in needed}
        assert {row.state for row in stored.values()} <= {"live"}
        assert stored.keys() == self.registry.store.objects.keys()
        assert conn.execute(sa.select(sa.func.count()).select_from(reviews)).scalar_one() == 0


def _pairs(rows) -> set[tuple[int, str]]:
    return {(number, digest) for number, digest in rows}


def _failing(_key: object) -> None:
    raise StorageUnavailable("deleting an object: the disk is away")


def _content(conn, path: str) -> tuple[dict[str, bytes], dict[str, str]]:
    """Living manifests and present tags of a living repository."""
    living = sa.and_(
        repositories.c.full_name == f"team/{path}", repositories.c.deleted_at.is_(None)
    )
    rows = conn.execute(
        sa.select(manifests.c.digest, manifests.c.payload)
        .join(repositories, repositories.c.id == manifests.c.repository_id)
        .where(living, manifests.c.deleted_at.is_(None))
    )
    current = conn.execute(
        sa.select(tags.c.name, manifests.c.digest)
        .join(manifests, manifests.c.id == tags.c.manifest_id)
        .join(repositories, repositories.c.id == tags.c.repository_id)
        .where(living, tags.c.valid_until.is_(None))
    )
    return (
        {digest: bytes(payload) for digest, payload in rows},
        {row.name: row.digest for row in current},
    )


def _doomed(conn) -> set[int]:
    """Untagged referrers of subjects that are deleted and not pushed again: they go with them."""
    subjects = manifests.alias("subjects")
    again = manifests.alias("again")
    tagged = sa.exists().where(tags.c.manifest_id == manifests.c.id, tags.c.valid_until.is_(None))
    living = sa.exists().where(
        again.c.repository_id == subjects.c.repository_id,
        again.c.digest == subjects.c.digest,
        again.c.deleted_at.is_(None),
    )
    rows = conn.execute(
        sa.select(manifests.c.id)
        .join(
            subjects,
            sa.and_(
                subjects.c.repository_id == manifests.c.repository_id,
                subjects.c.digest == manifests.c.subject_digest,
            ),
        )
        .where(subjects.c.deleted_at.is_not(None), sa.not_(living), sa.not_(tagged))
    )
    return {number for (number,) in rows}


def _check_counts(conn) -> None:
    for one in COUNTED:
        for subject in one.subjects(conn, 0, 1000):
            counted = counters.value(conn, one.subject_kind, subject, one.name)
            assert counted == one.truths(conn, [subject])[subject], (
                one.subject_kind,
                subject,
                one.name,
            )
