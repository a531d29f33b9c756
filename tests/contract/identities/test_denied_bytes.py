"""Whoever is denied to pull or to push is denied copies too, whatever the operation is called that makes them; on both engines."""

import pytest
from msgspec.structs import replace
from people_of import bind, cap, native, swr, tcr
from sync_world import SyncWorld

from entrepot.capabilities.content.copying import DuplicateImage, duplicate_image
from entrepot.capabilities.content.place import Place
from entrepot.capabilities.policies.peers import CreatePeer, create_peer
from entrepot.model.errors import Forbidden
from entrepot.oci.reference import RepositoryName

SYNC, RULE, UNRULE, RETAG = (
    f"swr:repo:{name}"
    for name in (
        "createManualSyncRepoJob",
        "createAutoSyncRepoJob",
        "deleteAutoSyncRepoJob",
        "createRepoTag",
    )
)
NO_PULL = [
    swr(("deny", ["swr:repo:download"])),
    tcr(("deny", ["tcr:PullRepository"])),
    native(("deny", ["repository:pull"])),
]
NO_PUSH = [
    swr(("deny", ["swr:repo:upload"])),
    tcr(("deny", ["tcr:PushRepository"])),
    native(("deny", ["repository:push"])),
]
DIALECTS = ["swr", "tcr", "entrepot"]


class Copies(SyncWorld):
    """A sync world whose editor has policies."""

    def __post_init__(self):
        super().__post_init__()
        self.push()
        self.editor()

    def bind(self, document):
        """A policy of the editor's."""
        bind(self.world, self.cast, "member", document)

    def doing(self, operation):
        """The editor, asking by that name."""
        return replace(self.cast.member, operation=operation)

    def retag(self, caller, namespace="team", tag="v2"):
        target = Place(self.shared, RepositoryName(namespace, "app"))
        command = DuplicateImage(self.place, "v1", target, tag)
        self.world.run(duplicate_image, caller, command)


@pytest.fixture
def copies(world, cast) -> Copies:
    return Copies(world, cast)


def test_who_is_denied_nothing_copies(copies):
    copies.bind(swr(("allow", ["swr:repo:createManualSyncRepoJob"])))

    assert copies.sync(copies.doing(SYNC), "v1") == []
    copies.retag(copies.doing(RETAG))


@pytest.mark.parametrize("document", NO_PULL, ids=DIALECTS)
def test_a_denial_to_pull_is_one_to_copy(copies, document):
    copies.put_rule(copies.doing(RULE))
    copies.bind(document)

    with pytest.raises(Forbidden):
        copies.sync(copies.doing(SYNC), "v1")
    with pytest.raises(Forbidden):
        copies.put_rule(copies.doing(RULE))
    with pytest.raises(Forbidden):
        copies.retag(copies.doing(RETAG))
    with pytest.raises(Forbidden):
        copies.retag(copies.doing("tcr:DuplicateImage"), "copies")
    copies.push("v3")
    copies.work()
    assert copies.digest_there("v3") is None
    if "repo:download" in document:  # the others deny more, where nothing is called by their names
        copies.drop_rule(copies.doing(UNRULE))


@pytest.mark.parametrize("document", NO_PUSH, ids=DIALECTS)
def test_a_denial_to_push_is_one_to_be_copied_to(copies, document):
    copies.bind(document)

    with pytest.raises(Forbidden):
        copies.retag(copies.doing(RETAG))
    try:
        assert copies.sync(copies.doing(SYNC), "v1") == ["v1"]
    except Forbidden:  # as in their words changing the source is pushing to it
        assert "upload" not in document
    assert copies.digest_there("v1") is None


def test_a_denial_to_make_repositories_is_one_to_have_them_made(copies):
    copies.bind(swr(("deny", ["swr:repo:createRepo"])))

    assert copies.sync(copies.doing(SYNC), "v1") == ["v1"]
    with pytest.raises(Forbidden):
        copies.retag(copies.doing(RETAG), "copies")
    copies.retag(copies.doing(RETAG))


def test_what_no_cap_lets_be_pulled_is_not_copied(copies):
    cap(copies.world, copies.cast, swr(("allow", ["swr:repo:create*", "swr:repo:upload"])))

    with pytest.raises(Forbidden):
        copies.sync(copies.doing(SYNC), "v1")
    with pytest.raises(Forbidden):
        copies.retag(copies.doing(RETAG))


def test_a_denial_to_pull_is_one_to_send_to_a_peer(copies):
    away = CreatePeer(copies.cast.acme.id, "away", "https://away.example", "robot", "secret")
    copies.world.run(create_peer, copies.cast.owner, away)
    assert copies.sync(copies.doing(SYNC), "v1", region="away") == []
    copies.bind(swr(("deny", ["swr:repo:download"])))

    with pytest.raises(Forbidden):
        copies.sync(copies.doing(SYNC), "v1", region="away")
    copies.work()
    (job,) = copies.jobs(copies.cast.owner).rows
    assert job.status == "failed"
