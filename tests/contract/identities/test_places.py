"""Namespaces, grants on them, quotas, instances and their host names."""

from dataclasses import replace

import pytest
import sqlalchemy as sa
from msgspec.structs import replace as replace_settings

from entrepot.capabilities.access.identities.grants import (
    RemoveGrant,
    SetGrant,
    list_grants,
    remove_grant,
    set_grant,
)
from entrepot.capabilities.access.identities.tenants import delete_tenant
from entrepot.capabilities.access.targets import Target
from entrepot.capabilities.instances.changing import DeleteInstance, delete_instance
from entrepot.capabilities.instances.creating import CreateInstance, create_instance
from entrepot.capabilities.instances.instances import (
    InstanceHost,
    NamedInstance,
    add_host,
    find_instance,
    list_instances,
    read_host_table,
    remove_host,
)
from entrepot.capabilities.instances.limits import (
    QuotaShown,
    SetQuota,
    Subject,
    set_quota,
    show_quota,
)
from entrepot.capabilities.instances.namespaces import (
    CreateNamespace,
    ListNamespaces,
    ModifyNamespace,
    NamedNamespace,
    create_namespace,
    delete_namespace,
    get_namespace,
    list_namespaces,
    modify_namespace,
)
from entrepot.http.routing import HostKind, HostTable
from entrepot.metadata import access, epochs, namespaces
from entrepot.metadata.schema import events
from entrepot.model.access import Level
from entrepot.model.errors import (
    Forbidden,
    InstanceUnknown,
    NameInvalid,
    NamespaceUnknown,
    NameTaken,
    NotEmpty,
    Protected,
    QuotaExceeded,
    UserUnknown,
    ValueInvalid,
)
from entrepot.model.events import EventKind
from entrepot.model.identities import GrantUnknown, HostUnknown
from entrepot.model.instances import NameReserved
from entrepot.model.network_access import EntryStatus

pytestmark = pytest.mark.broad

SUFFIX = "entrepot.localhost"


def make(world, tenant, name, caller=None, **fields):
    command = CreateNamespace(world.shared.id, tenant.id, name, **fields)
    return world.run(create_namespace, caller or world.operator, command)


def put_repository(world, namespace, path="app"):
    return world.ctx.db.write_sync(
        lambda conn: namespaces.insert_repository(conn, namespace, path, created_by=None)
    )


def names(world, caller, **fields):
    return [
        n.name
        for n in world.run(list_namespaces, caller, ListNamespaces(world.shared.id, **fields))
    ]


# -- namespaces -------------------------------------------------------------------------------------------------------


def test_a_new_namespace_is_an_event_and_an_audit_row(world, cast):
    space = make(world, cast.acme, "team", cast.owner, is_public=True)

    query = sa.select(events.c.kind, events.c.actor, events.c.namespace_id, events.c.details)
    (row,) = world.read(lambda conn: conn.execute(query).all())
    assert tuple(row[:3]) == (EventKind.NAMESPACE_CREATED.value, "owner", space.id)
    assert row.details == {"name": "team", "public": True}
    assert world.audited("namespace.create") == [("owner", "team", "done")]


def test_a_name_in_the_shared_instance_is_unique_among_all_tenants(world, cast):
    make(world, cast.acme, "team")

    with pytest.raises(NameTaken):
        make(world, world.root, "team")


@pytest.mark.parametrize("name", ["", "Team", "1team", "a..b", "manage", "te/am", "a" * 65])
def test_names_follow_the_grammar_of_the_instance(world, cast, name):
    with pytest.raises(NameInvalid):
        make(world, cast.acme, name)


def test_the_shared_instance_gives_a_tenant_five_namespaces_unless_more_are_set(world, cast):
    for number in range(5):
        make(world, cast.acme, f"team-{number}")
    with pytest.raises(QuotaExceeded):
        make(world, cast.acme, "team-5")
    make(world, world.root, "others")

    quota = SetQuota(Subject("tenant", "acme"), "namespaces", 6)
    world.run(set_quota, world.operator, quota)
    make(world, cast.acme, "team-5")
    with pytest.raises(QuotaExceeded):
        make(world, cast.acme, "team-6")


def test_zero_organizations_in_the_settings_means_unlimited(world, cast):
    quota = replace_settings(world.ctx.settings.quota, swr_organizations=0)
    world.ctx = replace(world.ctx, settings=replace_settings(world.ctx.settings, quota=quota))

    for number in range(7):
        make(world, cast.acme, f"team-{number}")

    assert len(names(world, cast.owner)) == 7


def test_a_member_who_may_create_manages_what_they_made(world, cast):
    from entrepot.capabilities.access.identities.policies import (  # noqa: PLC0415
        AttachPolicy,
        WritePolicy,
        attach_policy,
        create_policy,
    )

    text = '{"statements":[{"effect":"allow","actions":["namespace:create"],"resources":["*"]}]}'
    world.run(create_policy, cast.admin, WritePolicy(cast.acme.id, "makers", text))
    world.run(attach_policy, cast.admin, AttachPolicy(cast.acme.id, "makers", user="member"))

    space = make(world, cast.acme, "team", cast.member)
    by_admin = make(world, cast.acme, "staff", cast.admin)

    levels, _ = world.read(lambda conn: access.grant_levels(conn, cast.member.user))
    assert levels == {space.id: Level.MANAGE}
    assert world.read(lambda conn: access.grant_levels(conn, cast.admin.user)) == ({}, {})
    assert names(world, cast.member) == ["team"]
    assert space.created_by == cast.member.user
    assert by_admin.created_by == cast.admin.user


def test_lists_show_what_the_caller_may_see_page_by_page(world, cast):
    for name in ("alpha", "beta", "gamma"):
        make(world, cast.acme, name)
    make(world, world.root, "roots", is_public=True)
    world.run(set_grant, cast.admin, SetGrant(target(world, "beta"), "member", Level.READ))

    assert names(world, cast.admin) == ["alpha", "beta", "gamma"]
    assert names(world, cast.admin, after="alpha", limit=1) == ["beta"]
    assert names(world, cast.member) == ["beta"]
    assert names(world, cast.disabled) == []
    assert names(world, cast.stranger) == []
    assert names(world, cast.stranger, tenant=cast.acme.id) == []
    assert names(world, world.operator) == ["alpha", "beta", "gamma", "roots"]


def test_a_changed_visibility_counts_at_once(world, cast):
    make(world, cast.acme, "team")
    named = NamedNamespace(world.shared.id, "team")
    before = world.epoch(epochs.of_tenant(cast.acme.id))

    changed = world.run(modify_namespace, cast.admin, ModifyNamespace(named, is_public=True))

    assert changed.is_public
    assert world.run(get_namespace, cast.admin, named).is_public
    assert world.epoch(epochs.of_tenant(cast.acme.id)) > before


def test_only_an_empty_namespace_is_deleted_and_its_name_is_free_again(world, cast):
    space = make(world, cast.acme, "team")
    named = NamedNamespace(world.shared.id, "team")
    app = put_repository(world, space)
    with pytest.raises(NotEmpty):
        world.run(delete_namespace, cast.admin, named)
    world.ctx.db.write_sync(lambda c: namespaces.tombstone_repository(c, app.id, app.id))

    world.run(delete_namespace, cast.admin, named)

    with pytest.raises(NamespaceUnknown):
        world.run(get_namespace, cast.admin, named)
    assert make(world, cast.acme, "team").id != space.id


# -- grants -----------------------------------------------------------------------------------------------------------


def target(world, namespace, path=None):
    return Target(world.shared.id, namespace, path)


def test_a_grant_is_changed_listed_and_taken_back(world, cast):
    space = make(world, cast.acme, "team")
    put_repository(world, space, "web/app")
    for where, level in ((target(world, "team"), Level.READ), (target(world, "team"), Level.EDIT)):
        world.run(set_grant, cast.admin, SetGrant(where, "member", level))
    world.run(
        set_grant, cast.admin, SetGrant(target(world, "team", "web/app"), "member", Level.MANAGE)
    )

    listed = world.run(list_grants, cast.admin, target(world, "team"))
    assert [(g.path, g.user_name, g.level) for g in listed] == [
        ("", "member", Level.EDIT),
        ("web/app", "member", Level.MANAGE),
    ]
    world.run(remove_grant, cast.admin, RemoveGrant(target(world, "team"), "member"))
    listed = world.run(list_grants, cast.admin, target(world, "team"))
    assert [g.path for g in listed] == ["web/app"]
    with pytest.raises(GrantUnknown):
        world.run(remove_grant, cast.admin, RemoveGrant(target(world, "team"), "member"))


def test_who_manages_a_repository_grants_on_it_and_not_on_its_namespace(world, cast):
    space = make(world, cast.acme, "team")
    put_repository(world, space)
    world.user(cast.acme, "other")
    app = target(world, "team", "app")
    world.run(set_grant, cast.admin, SetGrant(app, "member", Level.MANAGE))

    world.run(set_grant, cast.member, SetGrant(app, "other", Level.READ))

    with pytest.raises(Forbidden):
        world.run(set_grant, cast.member, SetGrant(target(world, "team"), "other", Level.READ))


def test_grants_are_for_users_of_the_owning_tenant_and_for_real_levels(world, cast):
    make(world, cast.acme, "team")
    with pytest.raises(UserUnknown):
        world.run(set_grant, cast.admin, SetGrant(target(world, "team"), "root", Level.READ))
    with pytest.raises(ValueInvalid):
        world.run(set_grant, cast.admin, SetGrant(target(world, "team"), "member", Level.NONE))
    with pytest.raises(NamespaceUnknown):
        world.run(set_grant, cast.admin, SetGrant(target(world, "none"), "member", Level.READ))


# -- quotas -----------------------------------------------------------------------------------------------------------


def test_quotas_show_limits_and_what_is_used(world, cast):
    make(world, cast.acme, "team")
    subject = Subject("tenant", "acme")
    world.run(set_quota, world.operator, SetQuota(subject, "bytes", 1000))

    shown = world.run(show_quota, cast.root, subject)

    assert shown == [
        QuotaShown("instances", 20, 0, is_default=True),
        QuotaShown("namespaces", 5, 1, is_default=True),
        QuotaShown("repositories", None, 0, is_default=True),
        QuotaShown("bytes", 1000, 0, is_default=False),
    ]
    world.run(set_quota, world.operator, SetQuota(subject, "bytes", None))
    assert world.run(show_quota, cast.root, subject)[3].is_default
    assert len(world.run(show_quota, cast.root, Subject("namespace", "team"))) == 3
    assert len(world.run(show_quota, cast.root, Subject("instance", world.shared.name))) == 8


@pytest.mark.parametrize(
    ("subject", "resource", "limit"),
    [
        (Subject("tenant", "root"), "tags", 1),
        (Subject("namespace", "team"), "namespaces", 1),
        (Subject("planet", "earth"), "bytes", 1),
        (Subject("tenant", "root"), "bytes", -1),
        (Subject("tenant", "root"), "bytes", 2**63),
    ],
)
def test_quotas_that_mean_nothing_are_refused(world, subject, resource, limit):
    with pytest.raises(ValueInvalid):
        world.run(set_quota, world.operator, SetQuota(subject, resource, limit))


# -- instances --------------------------------------------------------------------------------------------------------


def hosts(world) -> HostTable:
    data = world.read(lambda conn: read_host_table(conn, world.ctx.settings))
    return HostTable(
        suffix=data.suffix,
        default=data.default,
        by_name=data.by_name,
        hosts=data.hosts,
        default_names=data.default_names,
    )


def own(world, tenant, name="acme-own"):
    command = CreateInstance(tenant.id, name, entry=EntryStatus.OPENED, at_once=True)
    return world.run(create_instance, world.operator, command)


def end(world, instance):
    command = DeleteInstance(instance.id, at_once=True)
    world.run(delete_instance, world.operator, command)


def test_a_new_instance_answers_under_its_name_until_it_is_deleted(world, cast):
    before = world.epoch(epochs.ROUTING)
    made = own(world, cast.acme)
    assert world.epoch(epochs.ROUTING) > before
    assert made.public_id.startswith("tcr-")
    assert len(made.public_id) == 12

    table = hosts(world)
    assert table.resolve(f"acme-own.{SUFFIX}") == (HostKind.INSTANCE, made)
    assert table.resolve("localhost") == (HostKind.DEFAULT, world.shared)
    assert table.resolve(f"swr.here-1.{SUFFIX}") == (HostKind.INSTANCE, world.shared)
    before = world.epoch(epochs.ROUTING)
    end(world, made)
    assert world.epoch(epochs.ROUTING) > before
    assert hosts(world).resolve(f"acme-own.{SUFFIX}") == (HostKind.UNKNOWN, None)


def test_further_hosts_are_one_instances_each(world, cast):
    made = own(world, cast.acme)
    other = own(world, cast.acme, "acme-two")
    stored = world.run(add_host, world.operator, InstanceHost("acme-own", "Registry.Example."))
    assert stored == "registry.example"
    assert hosts(world).resolve("registry.example") == (HostKind.INSTANCE, made)
    with pytest.raises(NameTaken):
        world.run(add_host, world.operator, InstanceHost("acme-two", "registry.example"))
    with pytest.raises(HostUnknown):
        world.run(remove_host, world.operator, InstanceHost("acme-two", "registry.example"))

    end(world, made)
    world.run(add_host, world.operator, InstanceHost("acme-two", "registry.example"))
    assert hosts(world).resolve("registry.example") == (HostKind.INSTANCE, other)
    world.run(remove_host, world.operator, InstanceHost("acme-two", "registry.example"))
    assert hosts(world).resolve("registry.example") == (HostKind.UNKNOWN, None)


@pytest.mark.parametrize("host", [f"x.{SUFFIX}", SUFFIX, "localhost", "127.0.0.1", "a:80", "a_b"])
def test_names_that_mean_something_else_already_are_no_further_hosts(world, cast, host):
    own(world, cast.acme)

    with pytest.raises(ValueInvalid):
        world.run(add_host, world.operator, InstanceHost("acme-own", host))


@pytest.mark.parametrize("name", ["tcr", "Acm", "acme-", "a--b12", "acmé-own", "a_b-c", "a" * 51])
def test_instance_names_are_host_labels(world, cast, name):
    with pytest.raises(NameInvalid):
        own(world, cast.acme, name)


def test_service_names_and_taken_names_are_refused(world, cast):
    own(world, cast.acme)
    for name in ("acme-own", "Acme-Own"):
        with pytest.raises(NameTaken):
            own(world, cast.acme, name)
    for name in ("swr-api", "console", "admin", "tcr-abcd1234", world.shared.name):
        with pytest.raises(NameReserved):
            own(world, cast.acme, name)


def test_a_dedicated_instance_exists_for_its_tenant_only(world, cast):
    made = own(world, cast.acme)

    assert world.run(find_instance, cast.owner, NamedInstance("acme-own")) == made
    assert world.run(find_instance, cast.stranger, NamedInstance("")) == world.shared
    with pytest.raises(InstanceUnknown):
        world.run(find_instance, cast.stranger, NamedInstance("acme-own"))
    command = CreateNamespace(made.id, cast.stranger.tenant, "theirs")
    with pytest.raises(InstanceUnknown):
        world.run(create_namespace, cast.stranger, command)
    seen = world.run(list_instances, cast.stranger, cast.stranger.tenant)
    assert [shown.instance for shown in seen] == [world.shared]
    every = world.run(list_instances, world.operator)
    assert {shown.instance.name for shown in every} == {"acme-own", world.shared.name}


def test_dedicated_instances_have_namespaces_without_a_default_limit(world, cast):
    made = own(world, cast.acme)
    for number in range(7):
        command = CreateNamespace(made.id, cast.acme.id, f"1st-{number}")
        world.run(create_namespace, cast.owner, command)

    with pytest.raises(NotEmpty):
        end(world, made)


def test_the_shared_instance_stays(world):
    with pytest.raises(Protected):
        end(world, world.shared)


def test_a_deleted_tenant_takes_its_instances_along(world, cast):
    made = own(world, cast.acme)
    world.run(create_namespace, cast.owner, CreateNamespace(made.id, cast.acme.id, "team"))
    before = world.epoch(epochs.ROUTING)

    world.run(delete_tenant, world.operator, cast.acme.id)

    assert world.epoch(epochs.ROUTING) > before
    assert hosts(world).resolve(f"acme-own.{SUFFIX}") == (HostKind.UNKNOWN, None)
