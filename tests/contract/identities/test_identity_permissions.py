"""Who may use which use case: a table of everybody against everything."""

import json

import pytest
from msgspec.structs import replace

from entrepot.capabilities.access.callers import Credential, CredentialKind
from entrepot.capabilities.access.identities.grants import (
    RemoveGrant,
    SetGrant,
    list_grants,
    remove_grant,
    set_grant,
)
from entrepot.capabilities.access.identities.groups import (
    ListGroups,
    Membership,
    NamedGroup,
    add_member,
    create_group,
    delete_group,
    list_groups,
    list_members,
    remove_member,
)
from entrepot.capabilities.access.identities.keys import (
    EnableKey,
    KeysOf,
    NamedKey,
    create_key,
    delete_key,
    enable_key,
    list_keys,
    reseal_secrets,
    rotate_signing_key,
)
from entrepot.capabilities.access.identities.policies import (
    AttachPolicy,
    ListPolicies,
    NamedPolicy,
    WritePolicy,
    attach_policy,
    create_policy,
    delete_policy,
    detach_policy,
    get_policy,
    list_policies,
    update_policy,
)
from entrepot.capabilities.access.identities.tenants import (
    CreateTenant,
    ListTenants,
    create_tenant,
    delete_tenant,
    get_tenant,
    list_projects,
    list_tenants,
)
from entrepot.capabilities.access.identities.users import (
    CreateUser,
    EnableUser,
    ListUsers,
    NamedUser,
    SetPassword,
    SetRole,
    create_user,
    delete_user,
    enable_user,
    get_user,
    list_users,
    set_password,
    set_role,
)
from entrepot.capabilities.access.targets import Target
from entrepot.capabilities.instances.buckets import (
    RestoreBucket,
    list_buckets,
    purge_bucket,
    restore_bucket,
)
from entrepot.capabilities.instances.changing import (
    DeleteInstance,
    ModifyInstance,
    RenewInstance,
    delete_instance,
    modify_instance,
    renew_instance,
)
from entrepot.capabilities.instances.creating import CreateInstance, create_instance
from entrepot.capabilities.instances.describing import (
    ListInstances,
    describe_instances,
    get_instance,
)
from entrepot.capabilities.instances.instances import (
    InstanceHost,
    add_host,
    list_instances,
    remove_host,
)
from entrepot.capabilities.instances.limits import SetQuota, Subject, set_quota, show_quota
from entrepot.capabilities.instances.managed import OfInstance
from entrepot.capabilities.instances.namespaces import (
    CreateNamespace,
    ModifyNamespace,
    NamedNamespace,
    create_namespace,
    delete_namespace,
    get_namespace,
    modify_namespace,
)
from entrepot.capabilities.instances.naming import CheckName, check_name
from entrepot.model.access import ANONYMOUS, Level, Role
from entrepot.model.errors import Forbidden, RegistryError, Unauthenticated
from entrepot.model.instances import Content

NOTHING = json.dumps({"statements": []})
DEPLOYMENT = {  # only who runs the deployment
    "create_tenant": lambda w, c: (create_tenant, CreateTenant("new", password="long enough")),
    "list_tenants": lambda w, c: (list_tenants, ListTenants()),
    "delete_tenant": lambda w, c: (delete_tenant, c.acme.id),
    "list_buckets": lambda w, c: (list_buckets,),
    "restore_bucket": lambda w, c: (restore_bucket, RestoreBucket(w.bucket)),
    "purge_bucket": lambda w, c: (purge_bucket, w.rest),
    "add_host": lambda w, c: (add_host, InstanceHost("acme-here", "registry.test")),
    "remove_host": lambda w, c: (remove_host, InstanceHost("acme-here", "acme.test")),
    "list_all_instances": lambda w, c: (list_instances,),
    "set_quota": lambda w, c: (set_quota, SetQuota(Subject("tenant", "acme"), "bytes", 1)),
    "show_quota": lambda w, c: (show_quota, Subject("tenant", "acme")),
    "reseal_secrets": lambda w, c: (reseal_secrets,),
    "rotate_signing_key": lambda w, c: (rotate, 60.0),
}
TENANT = {  # the tenant's administrators
    "create_user": lambda w, c: (create_user, CreateUser(c.acme.id, "new")),
    "list_users": lambda w, c: (list_users, ListUsers(c.acme.id)),
    "get_user": lambda w, c: (get_user, NamedUser(c.acme.id, "other")),
    "enable_user": lambda w, c: (enable_user, EnableUser(c.acme.id, "other", enabled=False)),
    "set_role": lambda w, c: (set_role, SetRole(c.acme.id, "other", Role.ADMINISTRATOR)),
    "set_password": lambda w, c: (set_password, SetPassword(c.acme.id, "other", "long enough")),
    "delete_user": lambda w, c: (delete_user, NamedUser(c.acme.id, "other")),
    "create_group": lambda w, c: (create_group, NamedGroup(c.acme.id, "new")),
    "list_groups": lambda w, c: (list_groups, ListGroups(c.acme.id)),
    "list_members": lambda w, c: (list_members, NamedGroup(c.acme.id, "staff")),
    "add_member": lambda w, c: (add_member, Membership(c.acme.id, "staff", "member")),
    "remove_member": lambda w, c: (remove_member, Membership(c.acme.id, "staff", "other")),
    "delete_group": lambda w, c: (delete_group, NamedGroup(c.acme.id, "staff")),
    "create_key": lambda w, c: (create_key, KeysOf(c.acme.id, "other")),
    "list_keys": lambda w, c: (list_keys, KeysOf(c.acme.id, "other")),
    "enable_key": lambda w, c: (enable_key, EnableKey(c.acme.id, w.key, enabled=False)),
    "delete_key": lambda w, c: (delete_key, NamedKey(c.acme.id, w.key)),
    "create_policy": lambda w, c: (create_policy, WritePolicy(c.acme.id, "new", NOTHING)),
    "list_policies": lambda w, c: (list_policies, ListPolicies(c.acme.id)),
    "get_policy": lambda w, c: (get_policy, NamedPolicy(c.acme.id, "rules")),
    "update_policy": lambda w, c: (update_policy, WritePolicy(c.acme.id, "rules", NOTHING)),
    "attach_policy": lambda w, c: (attach_policy, AttachPolicy(c.acme.id, "rules", user="member")),
    "detach_policy": lambda w, c: (detach_policy, AttachPolicy(c.acme.id, "rules", user="other")),
    "delete_policy": lambda w, c: (delete_policy, NamedPolicy(c.acme.id, "rules")),
    "create_namespace": lambda w, c: (
        create_namespace,
        CreateNamespace(w.shared.id, c.acme.id, "new"),
    ),
    "get_namespace": lambda w, c: (get_namespace, NamedNamespace(w.shared.id, "team")),
    "modify_namespace": lambda w, c: (
        modify_namespace,
        ModifyNamespace(NamedNamespace(w.shared.id, "team"), is_public=True),
    ),
    "delete_namespace": lambda w, c: (delete_namespace, NamedNamespace(w.shared.id, "team")),
    "check_name": lambda w, c: (check_name, CheckName("acme-two", c.acme.id)),
    "describe_instances": lambda w, c: (describe_instances, ListInstances(tenant=c.acme.id)),
    "get_instance": lambda w, c: (get_instance, OfInstance(w.here.id, c.acme.id)),
    "set_grant": lambda w, c: (
        set_grant,
        SetGrant(Target(w.shared.id, "team"), "member", Level.READ),
    ),
    "list_grants": lambda w, c: (list_grants, Target(w.shared.id, "team")),
    "remove_grant": lambda w, c: (remove_grant, RemoveGrant(Target(w.shared.id, "team"), "other")),
}
INSTANCES = {  # the tenant's administrators, and who runs the deployment
    "create_instance": lambda w, c: (create_instance, CreateInstance(c.acme.id, "acme-new")),
    "modify_instance": lambda w, c: (
        modify_instance,
        ModifyInstance(w.here.id, c.acme.id, is_protected=False),
    ),
    "renew_instance": lambda w, c: (renew_instance, RenewInstance(w.here.id, None, c.acme.id)),
    "delete_instance": lambda w, c: (delete_instance, DeleteInstance(w.here.id, c.acme.id)),
}
EVERYBODY = {  # every user of the tenant, and who runs the deployment
    "get_tenant": lambda w, c: (get_tenant, "acme"),
    "list_projects": lambda w, c: (list_projects, c.acme.id),
}
# What others still need is deleted last.
LAST = {
    name: 1
    for table in (DEPLOYMENT, TENANT, INSTANCES)
    for name in table
    if name.startswith("delete")
}
LAST |= dict.fromkeys(("delete_user", "delete_tenant", "delete_namespace"), 2)
NOBODY = ("disabled", "stranger", "outdated", "anonymous")


async def rotate(ctx, caller, keep_seconds):
    """Positional, as the table calls it."""
    return await rotate_signing_key(ctx, caller, keep_seconds=keep_seconds)


@pytest.fixture
def furnished(world, cast):
    """Everything the table names is there."""
    op, acme = world.operator, cast.acme
    world.user(acme, "other")
    world.run(create_group, op, NamedGroup(acme.id, "staff"))
    world.run(add_member, op, Membership(acme.id, "staff", "other"))
    world.run(create_policy, op, WritePolicy(acme.id, "rules", NOTHING))
    world.run(attach_policy, op, AttachPolicy(acme.id, "rules", user="other"))
    world.run(create_namespace, op, CreateNamespace(world.shared.id, acme.id, "team"))
    world.run(set_grant, op, SetGrant(Target(world.shared.id, "team"), "other", Level.EDIT))
    world.here = world.run(create_instance, op, CreateInstance(acme.id, "acme-here", at_once=True))
    world.run(add_host, op, InstanceHost("acme-here", "acme.test"))
    world.key = world.run(create_key, op, KeysOf(acme.id, "other")).key.access_key_id
    world.bucket = kept(world, acme, "acme-kept")
    world.rest = kept(world, acme, "acme-rest")
    return world


def kept(world, tenant, name):
    """The id of a deleted instance whose content is kept."""
    op = world.operator
    made = world.run(create_instance, op, CreateInstance(tenant.id, name, at_once=True))
    world.run(create_namespace, op, CreateNamespace(made.id, tenant.id, "team"))
    command = DeleteInstance(made.id, content=Content.KEEP, at_once=True)
    world.run(delete_instance, op, command)
    return made.public_id


def callers(cast):
    outdated = replace(
        cast.owner, credential=Credential(CredentialKind.USER, cast.owner.user, version=0)
    )
    return {
        "owner": cast.owner,
        "admin": cast.admin,
        "member": cast.member,
        "disabled": cast.disabled,
        "stranger": cast.stranger,
        "outdated": outdated,  # logged in before the password was changed
        "anonymous": ANONYMOUS,
        "root": cast.root,
    }


def error_of(world, caller, call):
    """What was raised, or None where it was done."""
    use_case, *arguments = call
    try:
        world.run(use_case, caller, *arguments)
    except RegistryError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("table", "may"),
    [
        pytest.param(DEPLOYMENT, ("root",), id="deployment"),
        pytest.param(TENANT, ("owner",), id="tenant-owner"),
        pytest.param(TENANT, ("admin",), id="tenant-administrator"),
        pytest.param(INSTANCES, ("owner",), id="instances-owner"),
        pytest.param(INSTANCES, ("admin",), id="instances-administrator"),
        pytest.param(INSTANCES, ("root",), id="instances-operator"),
        pytest.param(EVERYBODY, ("member", "owner", "root"), id="everybody"),
    ],
)
def test_who_may_do_it_and_nobody_else(furnished, cast, table, may):
    everybody = callers(cast)
    refused = {*NOBODY, *((set(everybody) - set(may)) - {"owner", "admin"})}
    if table is DEPLOYMENT:
        refused |= {"owner", "admin"}
    elif table is INSTANCES:
        refused = {*NOBODY, "member"}
    elif table is EVERYBODY:
        refused = set(NOBODY)
    for name in sorted(refused):
        for action, call in table.items():
            found = error_of(furnished, everybody[name], call(furnished, cast))
            is_known = name in ("stranger", "member", "root", "owner", "admin")
            wanted = Forbidden if is_known else Unauthenticated
            assert type(found) is wanted, (name, action)
    for action, call in sorted(table.items(), key=lambda entry: LAST.get(entry[0], 0)):
        for name in may:
            assert error_of(furnished, everybody[name], call(furnished, cast)) is None, (
                name,
                action,
            )


def test_what_is_denied_is_in_the_audit_trail(furnished, cast):
    with pytest.raises(Forbidden):
        furnished.run(delete_user, cast.member, NamedUser(cast.acme.id, "other"))

    assert furnished.audited("user.delete") == [("member", f"tenant {cast.acme.id}", "denied")]


def test_a_stranger_cannot_tell_what_exists(furnished, cast):
    for name in ("other", "nobody"):
        with pytest.raises(Forbidden):
            furnished.run(get_user, cast.stranger, NamedUser(cast.acme.id, name))
    for name in ("acme", "nothing"):
        with pytest.raises(Forbidden):
            furnished.run(get_tenant, cast.stranger, name)
    for name in (furnished.key, "AKIDnothing"):
        with pytest.raises(Forbidden):
            furnished.run(delete_key, cast.stranger, NamedKey(cast.acme.id, name))
