"""Deleting and copying content: in the audit trail with who, from where and by which operation, and only with rights that still stand."""

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from entrepot.capabilities.access.callers import RepositoryScope, TokenCaller
from entrepot.capabilities.access.identities.grants import SetGrant, set_grant
from entrepot.capabilities.access.targets import Target
from entrepot.capabilities.content import deleting
from entrepot.capabilities.content.copying import DuplicateImage, duplicate_image
from entrepot.capabilities.content.deleting import DeleteRepository, EndTags
from entrepot.capabilities.instances.namespaces import CreateNamespace, create_namespace
from entrepot.metadata import counters, namespaces
from entrepot.metadata.schema import audit, grants
from entrepot.model.access import Level, Permission
from entrepot.model.errors import Denied, ManifestUnknown, NotEmpty
from entrepot.oci.digest import Digest
from registry_in_memory import Registry

pytestmark = pytest.mark.broad

ALL = frozenset({Permission.PULL, Permission.PUSH, Permission.DELETE})


class Stage:
    """Namespace `team` of acme's with `app`, and a member who may manage it."""

    def __init__(self, world, cast):
        self.world = world
        self.shared = world.shared
        world.run(
            create_namespace, world.operator, CreateNamespace(self.shared.id, cast.acme.id, "team")
        )
        self.registry = Registry(world.ctx, world.ctx.blobs, self.shared, 0)
        grant = SetGrant(Target(self.shared.id, "team"), cast.member.name, Level.MANAGE)
        world.run(set_grant, cast.owner, grant)
        at = {"source": "192.0.2.7", "request_id": "r1", "operation": "swr:some:thing"}
        self.plain = cast.member
        self.member = replace(cast.member, **at)
        self.place = self.registry.place("app")

    def push(self, *tags, layer=b"layer"):
        return Digest.of(self.world.do(self.registry.push_image("app", [layer], *tags)))

    def repository(self):
        name = "team/app"
        return self.world.read(lambda c: namespaces.find_repository(c, self.shared.id, name))

    def noted(self):
        """The changes of content in the trail."""
        kinds = ("tag.", "manifest.", "blob.", "repository.delete")
        query = sa.select(audit).order_by(audit.c.id)
        rows = self.world.read(lambda conn: conn.execute(query).all())
        return [row for row in rows if row.action.startswith(kinds)]

    def token(self) -> TokenCaller:
        """The member by a token that this process trusts: it has heard of nothing that came later."""
        name, scope = "team/app", RepositoryScope(ALL, self.repository().id)
        return TokenCaller(
            subject=self.plain.subject,
            name=self.plain.name,
            tenant=self.plain.tenant,
            user=self.plain.user,
            credential=self.plain.credential,
            epoch=2**40,
            instance=self.shared.id,
            repositories={name: scope},
        )

    def take_rights(self):
        """As another process does it, a moment ago."""
        self.world.ctx.db.write_sync(lambda conn: conn.execute(sa.delete(grants)))


@pytest.fixture
def stage(world, cast):
    world.do(world.ctx.access.epochs.refresh())
    return Stage(world, cast)


def test_what_is_deleted_or_copied_is_in_the_trail_with_who_whence_and_how(stage):
    run, member, place = stage.world.run, stage.member, stage.place
    digest = stage.push("v1", "v2", "v3")
    run(duplicate_image, member, DuplicateImage(place, "v1", place, "copy"))
    run(duplicate_image, member, DuplicateImage(place, "v1", stage.registry.place("other"), "v1"))
    run(deleting.end_tags, member, EndTags(place, ("v1", "v2")))
    run(deleting.delete_manifest, member, place, digest)
    stage.world.do(stage.registry.push_blob("app", b"alone"))
    run(deleting.delete_blob, member, place, Digest.of(b"alone"))
    run(deleting.remove_repository, member, DeleteRepository(place))

    rows = stage.noted()
    assert [(row.action, row.resource) for row in rows] == [
        ("tag.copy", "team/app:copy"),
        ("tag.copy", "team/other:v1"),
        ("tag.delete", "team/app:v1"),
        ("tag.delete", "team/app:v2"),
        ("manifest.delete", f"team/app@{digest}"),
        ("blob.delete", f"team/app@{Digest.of(b'alone')}"),
        ("repository.delete", "team/app"),
    ]
    for row in rows:
        told = (row.actor, row.source, row.request_id, row.tenant_id, row.outcome)
        assert told == ("member", "192.0.2.7", "r1", stage.plain.tenant, "done")
        assert row.details["operation"] == "swr:some:thing"
    assert rows[1].details["source"] == "team/app:v1"
    assert (rows[1].details["digest"], rows[1].details["all_referrers"]) == (str(digest), True)
    assert rows[4].details["tags"] == 2


def test_what_fails_is_not_told_as_done(stage):
    stage.push("v1")
    with pytest.raises(ManifestUnknown):
        stage.world.run(deleting.end_tags, stage.member, EndTags(stage.place, ("v1", "absent")))

    assert stage.noted() == []


@pytest.mark.parametrize("what", ["tags", "manifest", "blob", "copy"])
def test_a_right_that_was_taken_back_a_moment_ago_changes_nothing(stage, what):
    digest = stage.push("v1")
    stage.world.do(stage.registry.push_blob("app", b"alone"))
    place, alone = stage.place, Digest.of(b"alone")
    asked = {
        "tags": (deleting.end_tags, EndTags(place, ("v1",))),
        "manifest": (deleting.delete_manifest, place, digest),
        "blob": (deleting.delete_blob, place, alone),
        "copy": (duplicate_image, DuplicateImage(place, "v1", place, "copy")),
    }
    use_case, *arguments = asked[what]
    token = stage.token()
    stage.take_rights()

    with pytest.raises(Denied):
        stage.world.run(use_case, token, *arguments)

    assert stage.noted() == []
    assert stage.world.do(stage.registry.pull("app", "v1"))
    assert stage.world.do(stage.registry.pull_blob("app", str(alone)))


def test_a_token_still_deletes_what_its_scope_and_rights_let_it(stage):
    stage.push("v1")
    stage.world.run(deleting.end_tags, stage.token(), EndTags(stage.place, ("v1",)))
    assert [row.action for row in stage.noted()] == ["tag.delete"]


@pytest.mark.parametrize("drift", [-1, 1])
def test_whether_a_repository_is_empty_its_rows_say(stage, drift):
    stage.push("v1")
    command = DeleteRepository(stage.place, only_empty=True)
    number = stage.repository().id
    stage.world.ctx.db.write_sync(
        lambda conn: counters.add(conn, "repository", number, "tags", drift)
    )
    with pytest.raises(NotEmpty):
        stage.world.run(deleting.remove_repository, stage.member, command)
    stage.world.run(deleting.end_tags, stage.member, EndTags(stage.place, ("v1",)))
    stage.world.run(deleting.remove_repository, stage.member, command)

    assert stage.repository() is None
