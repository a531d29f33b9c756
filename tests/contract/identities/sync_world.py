"""Two organizations of acme's, images in one of them, and the use cases of sync as their callers would run them."""

from dataclasses import dataclass

import sqlalchemy as sa

from entrepot.bootstrap.duties import make_duties
from entrepot.capabilities.access.identities.grants import SetGrant, set_grant
from entrepot.capabilities.access.targets import Target
from entrepot.capabilities.content.browsing import Rows
from entrepot.capabilities.content.place import Place
from entrepot.capabilities.instances.namespaces import CreateNamespace, create_namespace
from entrepot.capabilities.operations.work import JobContext
from entrepot.capabilities.policies import sync_now, syncing
from entrepot.capabilities.policies.sync_now import ListJobs, SyncTags
from entrepot.capabilities.policies.syncing import DropRule, PutRule
from entrepot.jobs.failures import failure
from entrepot.metadata import leases, manifests, namespaces, tags, work
from entrepot.metadata.browsing import Slice
from entrepot.metadata.leases import Offer, Succeeded
from entrepot.metadata.schema import blobs, events, quotas, tasks
from entrepot.model.access import Level
from entrepot.model.syncing import SyncJob, SyncTarget
from entrepot.model.work import NewTask
from entrepot.oci.reference import RepositoryName
from registry_in_memory import Registry, image, index

REGION = "here-1"  # of the deployment, by the fixture's settings
KINDS = ("events.fanout", "sync.")


@dataclass
class SyncWorld:
    """What the tests do. `team` holds the images, `copies` is where they go; both are acme's."""

    world: object
    cast: object

    def __post_init__(self):
        self.shared = self.world.shared
        self.namespace("team")
        self.namespace("copies")
        self.registry = Registry(self.world.ctx, self.world.ctx.blobs, self.shared, 0)
        self.handlers = {
            kind: one
            for kind, one in make_duties(self.world.ctx).handlers.items()
            if kind.startswith(KINDS)
        }

    def namespace(self, name, tenant=None):
        command = CreateNamespace(self.shared.id, tenant or self.cast.acme.id, name)
        self.world.run(create_namespace, self.world.operator, command)

    def grant(self, caller, namespace, level):
        command = SetGrant(Target(self.shared.id, namespace), caller.name, level)
        self.world.run(set_grant, self.cast.owner, command)

    def editor(self):
        """A member who may edit what is in both."""
        for namespace in ("team", "copies"):
            self.grant(self.cast.member, namespace, Level.EDIT)
        return self.cast.member

    def limit_bytes(self, namespace, limit):
        def write(conn):
            found = namespaces.find_namespace(conn, self.shared.id, namespace)
            values = {"subject_kind": "namespace", "subject_id": found.id, "resource": "bytes"}
            conn.execute(sa.insert(quotas).values(**values, limit=limit))

        self.world.ctx.db.write_sync(write)

    # -- images -------------------------------------------------------------------------------------------------------

    def push(self, tag="v1", layer=b"a layer", **fields) -> bytes:
        return self.world.do(self.registry.push_image("app", [layer], tag, **fields))

    def push_signed_index(self, tag="v1") -> dict[str, bytes]:
        """An index of two images, one signed by a referrer, the index by cosign's tag; all documents by what they are."""
        do, registry = self.world.do, self.registry
        children = [do(registry.push_image("app", [b"amd64"], note="1"))]
        children.append(do(registry.push_image("app", [b"arm64"], note="2")))
        whole = index(children)
        do(registry.push_manifest("app", whole, tag))
        signature = do(registry.push_image("app", [b"of a child"], subject=children[0]))
        name = digest(whole).replace(":", "-") + ".sig"
        cosign = do(registry.push_image("app", [b"of the index"], name, note="cosign"))
        return {
            "index": whole, "first": children[0], "second": children[1],
            "signature": signature, "cosign": cosign,
        }  # fmt: skip

    def digest_there(self, tag="v1", namespace="copies"):
        """What the tag means in the copy; None if there is none."""

        def read(conn):
            found = namespaces.find_repository(conn, self.shared.id, f"{namespace}/app")
            number = found and tags.current(conn, found.id, tag)
            manifest = manifests.get(conn, number) if number else None
            return manifest and manifest.digest

        return self.world.read(read)

    def documents_there(self, namespace="copies") -> set[str]:
        """Digests of the copy's manifests."""

        def read(conn):
            found = namespaces.find_repository(conn, self.shared.id, f"{namespace}/app")
            query = sa.text("SELECT digest FROM manifests WHERE repository_id = :r")
            return set(conn.execute(query, {"r": found.id}).scalars()) if found else set()

        return self.world.read(read)

    def blob_rows(self) -> set[int]:
        return self.world.read(lambda conn: set(conn.execute(sa.select(blobs.c.id)).scalars()))

    def pushes(self) -> int:
        query = sa.select(sa.func.count()).where(events.c.kind == "manifest.pushed")
        return self.world.read(lambda conn: conn.execute(query).scalar_one())

    # -- sync ---------------------------------------------------------------------------------------------------------

    @property
    def place(self) -> Place:
        return Place(self.shared, RepositoryName("team", "app"))

    def put_rule(self, caller, *, region=REGION, namespace="copies", place=None, **options):
        options = {"is_automatic": True, "overrides": False, **options}
        command = PutRule(place or self.place, SyncTarget(region, namespace), **options)
        self.world.run(syncing.put_rule, caller, command)

    def rules(self, caller):
        return self.world.run(syncing.list_rules, caller, self.place).rules

    def drop_rule(self, caller, *, region=REGION, namespace="copies"):
        command = DropRule(self.place, SyncTarget(region, namespace))
        self.world.run(syncing.drop_rule, caller, command)

    def sync(self, caller, *names, region=REGION, namespace="copies", overrides=False):
        command = SyncTags(self.place, names, SyncTarget(region, namespace), overrides)
        return self.world.run(sync_now.sync_tags, caller, command)

    def jobs(self, caller, *, offset=0, limit=100, **options) -> Rows[SyncJob]:
        command = ListJobs(self.place, Slice(offset, limit), **options)
        return self.world.run(sync_now.list_jobs, caller, command).page

    def statuses(self) -> list[tuple[str, str]]:
        """(tag, status) of the jobs, oldest first."""
        return [(j.tag, j.status.value) for j in self.jobs(self.cast.owner, is_rising=True).rows]

    # -- the worker ---------------------------------------------------------------------------------------------------

    def work(self) -> int:
        """Run tasks of sync, one at a time, until none waits; how many there were."""
        done = 0
        while self.step():
            done += 1
            assert done < 100, "it does not end"
        return done

    def start(self, kind) -> None:
        """A lone task of the kind, and what waits beside it of that kind alone."""
        self.world.ctx.db.write_sync(lambda conn: work.defer(conn, NewTask(kind)))
        others = tuple(one for one in self.handlers if one != kind)
        while self.step(but=others):
            pass

    def plan(self) -> None:
        """Up to where copying would begin."""
        while self.step(but=("sync.copy",)):
            pass

    def step(self, but=()) -> bool:
        offers = [Offer(kind, 60.0, None, None) for kind in self.handlers if kind not in but]

        def claim(conn):
            conn.execute(tasks.update().where(tasks.c.status == "pending").values(run_after=0))
            return leases.claim(conn, offers, limit=1)

        claimed = self.world.ctx.db.write_sync(claim)
        for task in claimed:
            self.world.do(self._run(task))
        return bool(claimed)

    async def _run(self, task):
        db = self.world.ctx.db
        job = JobContext(db, task)
        try:
            outcome = Succeeded(await self.handlers[task.kind].run(job) or {})
        except Exception as error:  # as the runtime does
            outcome = failure(error)
        if not job.is_finished:
            await db.write(lambda conn: leases.finish(conn, task, outcome))


def digest(document: bytes) -> str:
    from entrepot.oci.digest import Digest  # noqa: PLC0415

    return str(Digest.of(document))


__all__ = ["SyncWorld", "digest", "image"]
