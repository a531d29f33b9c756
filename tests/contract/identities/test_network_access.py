"""Who may reach an instance: its public entry, its allow list, private networks and links to them."""

import asyncio

import pytest
import sqlalchemy as sa
from msgspec.structs import replace
from working import work_until

from entrepot.capabilities.instances.allow_list import (
    MAX_DESCRIPTION,
    AddAllowed,
    ModifyAllowed,
    NewAllowed,
    RemoveAllowed,
    Which,
    add_allowed,
    get_allow_list,
    modify_allowed,
    remove_allowed,
)
from entrepot.capabilities.instances.editions import edition_named, give_limits
from entrepot.capabilities.instances.entries import SetEntry, get_entry, set_entry
from entrepot.capabilities.instances.links import (
    OneLink,
    SetLinkNames,
    create_link,
    delete_link,
    list_links,
    private_address,
    set_link_names,
)
from entrepot.capabilities.instances.managed import OfInstance
from entrepot.capabilities.instances.networks import (
    CreateNetwork,
    create_network,
    delete_network,
    list_networks,
)
from entrepot.config import Source, load
from entrepot.metadata import entries, epochs, instances, links, tenants
from entrepot.metadata.schema import instances as instance_rows
from entrepot.model.access import ANONYMOUS
from entrepot.model.errors import (
    Forbidden,
    InstanceUnknown,
    NameTaken,
    Protected,
    QuotaExceeded,
    TenantUnknown,
    Unauthenticated,
    ValueInvalid,
)
from entrepot.model.network_access import (
    AllowedUnknown,
    EntryClosed,
    EntryStatus,
    LinkNamed,
    LinkStatus,
    LinkTaken,
    LinkUnknown,
    LinkUnready,
    NetworkLinked,
    NetworkRepeated,
    NetworkUnknown,
    VersionOutdated,
)
from entrepot.model.tenancy import InstanceKind

pytestmark = pytest.mark.broad


@pytest.fixture
def settings(settings):
    """Jobs begin at once: nothing runs here unless a test lets it."""
    return replace(
        settings,
        instances=replace(
            settings.instances, step_time=type(settings.instances.step_time).parse("0s")
        ),
    )


@pytest.fixture
def instance(world, cast):
    """A dedicated instance of acme, closed, of the smallest edition."""
    return found(world, cast.acme, "acme-own")


def found(world, tenant, name, entry=EntryStatus.CLOSED, edition="basic"):
    def write(conn):
        region = tenants.list_regions(conn)[0]
        instance = instances.insert_instance(
            conn,
            InstanceKind.DEDICATED,
            name,
            tenant=tenant.id,
            region=region.id,
            edition=edition,
            entry=entry,
        )
        give_limits(conn, instance.id, edition_named(world.ctx.settings, edition))
        return instance

    return world.ctx.db.write_sync(write)


def opened(world, instance):
    world.run(set_entry, world.operator, SetEntry(instance.id, opened=True))
    work_until(world, lambda conn: status(conn, instance) is EntryStatus.OPENED)


def status(conn, instance):
    return entries.entry_status(conn, instance.id)


def cidrs(listed):
    return [(entry.index, entry.cidr.entered) for entry in listed.entries]


def add(world, caller, instance, *texts, **more):
    new = [NewAllowed(text) for text in texts]
    return world.run(add_allowed, caller, AddAllowed(instance.id, new, **more))


# -- the public entry -------------------------------------------------------------------------------------------------


def test_an_entry_opens_by_a_job_and_closes_at_once(world, cast, instance):
    seen = [world.run(get_entry, cast.owner, OfInstance(instance.id))]
    seen.append(world.run(set_entry, cast.owner, SetEntry(instance.id, opened=True)))
    seen.append(world.run(get_entry, cast.owner, OfInstance(instance.id)))
    work_until(world, lambda conn: status(conn, instance) is EntryStatus.OPENED)
    seen.append(world.run(set_entry, cast.owner, SetEntry(instance.id, opened=False)))
    seen.append(world.run(get_entry, cast.owner, OfInstance(instance.id)))

    assert seen == ["closed", "opening", "opening", "closed", "closed"]


def test_the_same_target_again_changes_nothing(world, cast, instance):
    before = world.epoch(epochs.ROUTING)

    assert world.run(set_entry, cast.owner, SetEntry(instance.id, opened=False)) == "closed"
    assert world.epoch(epochs.ROUTING) == before
    opened(world, instance)
    before = world.epoch(epochs.ROUTING)
    assert world.run(set_entry, cast.owner, SetEntry(instance.id, opened=True)) == "opened"
    assert world.epoch(epochs.ROUTING) == before
    assert len(world.audited("entry.open")) == 1
    assert world.audited("entry.close") == []


def test_an_entry_closed_while_it_opens_stays_closed(world, cast, instance):
    other = found(world, cast.acme, "acme-other")
    world.run(set_entry, cast.owner, SetEntry(instance.id, opened=True))
    world.run(set_entry, cast.owner, SetEntry(instance.id, opened=False))

    opened(world, other)  # its task is behind the first one's

    assert world.read(lambda conn: status(conn, instance)) == "closed"


def test_the_shared_instance_is_open_to_everybody_and_stays_so(world, cast):
    shared = world.shared.id

    assert world.run(get_entry, cast.owner, OfInstance(shared)) == "opened"
    everybody = world.run(get_allow_list, cast.owner, OfInstance(shared))
    assert cidrs(everybody) == [(0, "0.0.0.0/0"), (1, "::/0")]
    for caller in (cast.owner, world.operator):
        with pytest.raises(Protected):
            world.run(set_entry, caller, SetEntry(shared, opened=False, tenant=cast.acme.id))


def test_every_change_of_who_may_come_is_in_the_trail_and_raises_the_epoch(world, cast, instance):
    opened(world, instance)
    steps = (
        ("allow-list.add", lambda: add(world, cast.owner, instance, "10.0.0.0/8")),
        (
            "allow-list.modify",
            lambda: world.run(
                modify_allowed,
                cast.owner,
                ModifyAllowed(instance.id, Which(index=0), "10.1.0.0/16"),
            ),
        ),
        (
            "allow-list.remove",
            lambda: world.run(
                remove_allowed, cast.owner, RemoveAllowed(instance.id, [Which(index=0)])
            ),
        ),
        (
            "entry.close",
            lambda: world.run(set_entry, cast.owner, SetEntry(instance.id, opened=False)),
        ),
    )
    for action, step in steps:
        before = world.epoch(epochs.ROUTING)
        step()
        assert world.epoch(epochs.ROUTING) > before, action
        assert world.audited(action) == [("owner", "acme-own", "done")]


# -- the allow list ---------------------------------------------------------------------------------------------------


def test_entries_are_given_back_as_entered_with_their_places_and_the_version_grows(
    world, cast, instance
):
    opened(world, instance)

    first = add(world, cast.owner, instance, "127.0.0.1/24")
    second = add(world, cast.owner, instance, "192.0.2.7", "2001:db8::1/32", version=first.version)

    assert cidrs(second) == [(0, "127.0.0.1/24"), (1, "192.0.2.7"), (2, "2001:db8::1/32")]
    networks = [entry.cidr.network for entry in second.entries]
    assert networks == ["127.0.0.0/24", "192.0.2.7/32", "2001:db8::/32"]
    assert second.version == first.version + 1
    assert world.run(get_allow_list, cast.owner, OfInstance(instance.id)) == second


def test_places_shift_when_an_entry_goes(world, cast, instance):
    opened(world, instance)
    add(world, cast.owner, instance, "10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16")

    which = [Which(cidr="10.0.0.9/8", index=3), Which(index=2)]
    left = world.run(remove_allowed, cast.owner, RemoveAllowed(instance.id, which))

    assert cidrs(left) == [(0, "10.1.0.0/16"), (1, "10.3.0.0/16")]


def test_an_entry_is_modified_in_its_place(world, cast, instance):
    opened(world, instance)
    first = add(world, cast.owner, instance, "10.0.0.0/8", "10.1.0.0/16")

    by_place = ModifyAllowed(instance.id, Which(index=0), "192.0.2.1", "a host", first.version)
    second = world.run(modify_allowed, cast.owner, by_place)
    by_network = ModifyAllowed(instance.id, Which(cidr="10.1.0.0/16"), "10.1.2.3/16")
    third = world.run(modify_allowed, cast.owner, by_network)

    assert cidrs(third) == [(0, "192.0.2.1"), (1, "10.1.2.3/16")]
    assert third.entries[0].description == "a host"
    assert [first.version, second.version, third.version] == [1, 2, 3]


def test_of_a_request_with_something_wrong_nothing_is_kept(world, cast, instance):
    opened(world, instance)

    with pytest.raises(ValueInvalid):
        add(world, cast.owner, instance, "10.9.0.0/16", "10.0.0.0/33")
    with pytest.raises(ValueInvalid):
        add(world, cast.owner, instance)

    assert world.run(get_allow_list, cast.owner, OfInstance(instance.id)).entries == ()


@pytest.mark.parametrize(
    ("present", "again"),
    [
        ("10.0.0.0/8", "10.9.9.9/8"),
        ("10.0.0.1", "10.0.0.1/32"),
        ("10.0.0.0/8", "::ffff:10.0.0.0/104"),
        ("2001:DB8::/32", "2001:db8:0::1/32"),
    ],
)
def test_the_same_network_twice_is_refused_in_whatever_spelling(
    world, cast, instance, present, again
):
    opened(world, instance)
    before = add(world, cast.owner, instance, present, "192.0.2.0/24")

    with pytest.raises(NetworkRepeated):
        add(world, cast.owner, instance, "198.51.100.0/24", again)
    with pytest.raises(NetworkRepeated):
        add(world, cast.owner, instance, "198.51.100.0/24", "198.51.100.9/24")
    with pytest.raises(NetworkRepeated):
        world.run(modify_allowed, cast.owner, ModifyAllowed(instance.id, Which(index=1), again))

    assert world.run(get_allow_list, cast.owner, OfInstance(instance.id)) == before


def test_adding_needs_the_entry_opened(world, cast, instance):
    with pytest.raises(EntryClosed):
        add(world, cast.owner, instance, "10.0.0.0/8")
    world.run(set_entry, cast.owner, SetEntry(instance.id, opened=True))
    with pytest.raises(EntryClosed):
        add(world, cast.owner, instance, "10.0.0.0/8")


def test_a_version_that_is_not_the_lists_is_refused(world, cast, instance):
    opened(world, instance)
    now = add(world, cast.owner, instance, "10.0.0.0/8")
    stale = now.version - 1
    for use_case, command in (
        (add_allowed, AddAllowed(instance.id, [NewAllowed("10.1.0.0/16")], stale)),
        (modify_allowed, ModifyAllowed(instance.id, Which(index=0), "10.1.0.0/16", None, stale)),
        (remove_allowed, RemoveAllowed(instance.id, [Which(index=0)], stale)),
    ):
        with pytest.raises(VersionOutdated):
            world.run(use_case, cast.owner, command)

    assert world.run(get_allow_list, cast.owner, OfInstance(instance.id)) == now


def test_unknown_entries_are_told_and_nothing_is_removed(world, cast, instance):
    opened(world, instance)
    now = add(world, cast.owner, instance, "10.0.0.0/8")

    for which in (Which(index=1), Which(index=-1), Which(cidr="10.0.0.0/9")):
        with pytest.raises(AllowedUnknown):
            world.run(
                remove_allowed, cast.owner, RemoveAllowed(instance.id, [Which(index=0), which])
            )
        with pytest.raises(AllowedUnknown):
            world.run(modify_allowed, cast.owner, ModifyAllowed(instance.id, which, "10.1.0.0/16"))
    for command in (RemoveAllowed(instance.id, []), RemoveAllowed(instance.id, [Which()])):
        with pytest.raises(ValueInvalid):
            world.run(remove_allowed, cast.owner, command)

    assert world.run(get_allow_list, cast.owner, OfInstance(instance.id)) == now


def test_the_edition_limits_the_list_and_the_words(world, cast, instance):
    opened(world, instance)
    full = add(world, cast.owner, instance, *[f"10.0.{n}.0/24" for n in range(50)])

    with pytest.raises(QuotaExceeded):
        add(world, cast.owner, instance, "192.0.2.1")
    long = NewAllowed("192.0.2.1", "x" * (MAX_DESCRIPTION + 1))
    with pytest.raises(ValueInvalid):
        world.run(add_allowed, cast.owner, AddAllowed(instance.id, [long]))

    assert len(full.entries) == 50


def at_once(world, use_case, caller, commands):
    """What came of several at the same time, errors by their kind."""

    async def run():
        running = (use_case(world.ctx, caller, command) for command in commands)
        return await asyncio.gather(*running, return_exceptions=True)

    return [type(one) if isinstance(one, Exception) else None for one in world.do(run())]


def test_of_several_who_enter_the_same_at_once_one_succeeds(world, cast, instance):
    opened(world, instance)
    network(world)
    same = AddAllowed(instance.id, [NewAllowed("10.0.0.0/8")])
    link = OneLink(instance.id, "vpc-1", "subnet-1")

    for use_case, command, error in (
        (add_allowed, same, NetworkRepeated),
        (create_link, link, LinkTaken),
    ):
        came = at_once(world, use_case, cast.owner, [command] * 5)
        assert sorted(came, key=str) == sorted([None, *[error] * 4], key=str)
    others = [AddAllowed(instance.id, [NewAllowed(f"10.{n}.0.0/16")]) for n in range(5)]
    assert at_once(world, add_allowed, cast.owner, others) == [None] * 5
    listed = world.run(get_allow_list, cast.owner, OfInstance(instance.id))
    assert (len(listed.entries), listed.version) == (6, 6)


# -- private networks and links ---------------------------------------------------------------------------------------


def network(world, name="vpc-1", tenant=None, *, cidr="127.0.0.9/32"):
    return world.run(create_network, world.operator, CreateNetwork(name, [cidr], tenant))


def link(world, caller, instance, name="vpc-1", subnet="subnet-1"):
    return world.run(create_link, caller, OneLink(instance.id, name, subnet))


def running(instance):
    return lambda conn: all(
        one.status is LinkStatus.RUNNING for one in links.list_links(conn, instance.id)
    )


def rules(world, instance):
    return world.read(entries.load_rules)[instance.id]


def test_a_link_is_created_runs_at_a_listeners_address_and_goes(world, cast, instance):
    network(world)
    made = link(world, cast.owner, instance)
    assert (made.status, made.address) == ("creating", "")
    assert rules(world, instance).linked == ()

    work_until(world, running(instance))
    (shown,) = world.run(list_links, cast.owner, OfInstance(instance.id))
    assert (shown.status, shown.address, shown.has_names) == ("running", "127.0.0.1", False)
    assert (shown.network, shown.subnet) == ("vpc-1", "subnet-1")
    assert rules(world, instance).linked == ("127.0.0.9/32",)

    ended = world.run(delete_link, cast.owner, OneLink(instance.id, "vpc-1", "subnet-1"))
    assert ended.status == "deleting"
    assert rules(world, instance).linked == ()
    work_until(world, lambda conn: not links.list_links(conn, instance.id))
    with pytest.raises(LinkUnknown):
        world.run(delete_link, cast.owner, OneLink(instance.id, "vpc-1", "subnet-1"))


def test_a_link_is_made_once_for_each_subnet(world, cast, instance):
    network(world)
    link(world, cast.owner, instance, subnet="subnet-1")
    link(world, cast.owner, instance, subnet="subnet-2")

    with pytest.raises(LinkTaken):
        link(world, cast.owner, instance, subnet="subnet-1")
    with pytest.raises(QuotaExceeded):  # two in this edition
        link(world, cast.owner, instance, subnet="subnet-3")


def test_a_link_made_again_is_not_moved_by_the_former_ones_jobs(world, cast, instance):
    network(world)
    link(world, cast.owner, instance)
    one = OneLink(instance.id, "vpc-1", "subnet-1")
    world.run(delete_link, cast.owner, one)
    world.run(delete_link, cast.owner, one)  # it is under way: no change
    work_until(world, lambda conn: not links.list_links(conn, instance.id))
    link(world, cast.owner, instance)
    work_until(world, running(instance))

    assert len(world.audited("link.delete")) == 1
    assert len(world.audited("link.create")) == 2


def test_names_need_a_running_link_and_keep_it(world, cast, instance):
    network(world)
    link(world, cast.owner, instance)
    on, off = (SetLinkNames(instance.id, "vpc-1", has_names) for has_names in (True, False))
    with pytest.raises(LinkUnready):
        world.run(set_link_names, cast.owner, on)
    work_until(world, running(instance))

    assert [one.has_names for one in world.run(set_link_names, cast.owner, on)] == [True]
    with pytest.raises(LinkNamed):
        world.run(delete_link, cast.owner, OneLink(instance.id, "vpc-1", "subnet-1"))
    assert [one.has_names for one in world.run(set_link_names, cast.owner, off)] == [False]
    world.run(delete_link, cast.owner, OneLink(instance.id, "vpc-1", "subnet-1"))
    with pytest.raises(LinkUnknown):
        world.run(set_link_names, cast.owner, replace_network(on))


def replace_network(command):
    return SetLinkNames(command.instance, "vpc-none", command.has_names)


def test_a_network_of_another_tenant_does_not_exist(world, cast, instance):
    network(world, "vpc-others", cast.stranger.tenant)
    network(world, "vpc-acme", cast.acme.id)
    network(world, "vpc-all")

    with pytest.raises(NetworkUnknown):
        link(world, cast.owner, instance, "vpc-others")
    with pytest.raises(NetworkUnknown):
        link(world, cast.owner, instance, "vpc-none")
    link(world, cast.owner, instance, "vpc-acme")

    seen = world.run(list_networks, cast.owner, cast.acme.id)
    assert [one.public_id for one in seen] == ["vpc-acme", "vpc-all"]
    assert len(world.run(list_networks, world.operator)) == 3


def test_a_linked_network_stays_and_a_name_can_be_used_again(world, cast, instance):
    network(world)
    link(world, cast.owner, instance)
    with pytest.raises(NetworkLinked):
        world.run(delete_network, world.operator, "vpc-1")
    work_until(world, running(instance))
    world.run(delete_link, cast.owner, OneLink(instance.id, "vpc-1", "subnet-1"))
    work_until(world, lambda conn: not links.list_links(conn, instance.id))

    world.run(delete_network, world.operator, "vpc-1")
    with pytest.raises(NetworkUnknown):
        world.run(delete_network, world.operator, "vpc-1")
    again = network(world, "vpc-1", cast.acme.id, cidr="10.0.0.0/8")

    assert (again.cidrs, again.tenant) == (("10.0.0.0/8",), cast.acme.id)
    assert rules(world, instance).linked == ()


def test_the_links_of_a_deleted_instance_do_not_come_back_with_a_network_of_that_name(
    world, cast, instance
):
    network(world)
    link(world, cast.owner, instance)
    work_until(world, running(instance))
    mark = sa.update(instance_rows).where(instance_rows.c.id == instance.id)
    world.ctx.db.write_sync(lambda conn: conn.execute(mark.values(deleted_at=1)).rowcount)
    world.run(delete_network, world.operator, "vpc-1")
    network(world, "vpc-1", cidr="0.0.0.0/0")
    world.ctx.db.write_sync(lambda conn: conn.execute(mark.values(deleted_at=None)).rowcount)

    assert rules(world, instance).linked == ()


@pytest.mark.parametrize(
    ("name", "ranges", "error"),
    [
        ("", ["10.0.0.0/8"], ValueInvalid),
        ("a b", ["10.0.0.0/8"], ValueInvalid),
        ("vpc", [], ValueInvalid),
        ("vpc", ["10"], ValueInvalid),
    ],
)
def test_networks_that_cannot_be(world, name, ranges, error):
    with pytest.raises(error):
        world.run(create_network, world.operator, CreateNetwork(name, ranges))


def test_networks_have_names_of_their_own_and_tenants_that_are_there(world):
    network(world)
    with pytest.raises(NameTaken):
        network(world)
    with pytest.raises(TenantUnknown):
        network(world, "vpc-2", 999_999)


@pytest.mark.parametrize(
    ("listen", "private", "expected"),
    [
        ("127.0.0.1:5000", "", "127.0.0.1"),
        ("[::1]:5000", "", "::1"),
        ("localhost:5000", "", "127.0.0.1"),
        ("0.0.0.0:5000", "", "127.0.0.1"),  # on the way to the network
        ("0.0.0.0:5000", "10.0.0.5", "10.0.0.5"),
        ("unix:/run/e.sock", "registry.internal", "registry.internal"),
    ],
)
def test_a_link_is_told_an_address_that_is_listened_on(world, tmp_path, listen, private, expected):
    flags = {"data.folder": str(tmp_path / "d"), "http.listen": listen, "http.insecure": "true"}
    if private:
        flags["instances.private_address"] = private

    assert private_address(load(Source(None, flags, {})), network(world)) == expected


def test_where_nothing_tells_the_address_it_must_be_set(world, tmp_path):
    flags = {"data.folder": str(tmp_path / "d"), "http.listen": "unix:/run/e.sock"}
    with pytest.raises(ValueInvalid):
        private_address(load(Source(None, flags, {})), network(world))


# -- who may ----------------------------------------------------------------------------------------------------------

READS = {
    "get_entry": lambda i: (get_entry, OfInstance(i)),
    "get_allow_list": lambda i: (get_allow_list, OfInstance(i)),
    "list_links": lambda i: (list_links, OfInstance(i)),
}
CHANGES = {
    "add_allowed": lambda i: (add_allowed, AddAllowed(i, [NewAllowed("10.7.0.0/16")])),
    "modify_allowed": lambda i: (modify_allowed, ModifyAllowed(i, Which(index=0), "10.8.0.0/16")),
    "remove_allowed": lambda i: (remove_allowed, RemoveAllowed(i, [Which(index=0)])),
    "set_entry": lambda i: (set_entry, SetEntry(i, opened=False)),
    "create_link": lambda i: (create_link, OneLink(i, "vpc-1", "s")),
    "set_link_names": lambda i: (set_link_names, SetLinkNames(i, "vpc-2", has_names=False)),
    "delete_link": lambda i: (delete_link, OneLink(i, "vpc-2", "s")),
}
DEPLOYMENT = {
    "create_network": lambda i: (create_network, CreateNetwork("vpc-3", ["10.0.0.0/8"])),
    "delete_network": lambda i: (delete_network, "vpc-4"),
    "list_all_networks": lambda i: (list_networks,),
}
EVERYBODY = ("owner", "admin", "member", "disabled", "stranger", "root", "anonymous", "operator")


@pytest.fixture
def furnished(world, cast):
    """An opened instance with an entry in its list and a link."""
    made = found(world, cast.acme, "acme-full", EntryStatus.OPENED)
    for name in ("vpc-1", "vpc-2", "vpc-4"):
        network(world, name)
    link(world, world.operator, made, "vpc-2", "s")
    return made


MANAGERS = ("owner", "admin", "operator")
REFUSALS = {"member": Forbidden, "disabled": Unauthenticated, "anonymous": Unauthenticated}


def caller_of(world, cast, who):
    return {"anonymous": ANONYMOUS, "operator": world.operator}.get(who) or getattr(cast, who)


@pytest.mark.parametrize("who", EVERYBODY)
def test_who_may_see_and_change_who_comes(world, cast, furnished, who):
    """The tenant's owner and administrators, and the operator. For other tenants the instance does not exist."""
    caller = caller_of(world, cast, who)
    for make in (*READS.values(), *CHANGES.values()):
        use_case, command = make(furnished.id)
        if who in MANAGERS:
            world.run(use_case, caller, command)
        else:
            with pytest.raises(REFUSALS.get(who, InstanceUnknown)):
                world.run(use_case, caller, command)


@pytest.mark.parametrize("who", EVERYBODY)
def test_networks_are_the_operators(world, cast, furnished, who):
    caller = caller_of(world, cast, who)
    for make in DEPLOYMENT.values():
        use_case, *arguments = make(furnished.id)
        if who in ("root", "operator"):
            world.run(use_case, caller, *arguments)
        else:
            with pytest.raises((Forbidden, Unauthenticated)):
                world.run(use_case, caller, *arguments)
