"""Tenants, users, groups, keys, policies: what each use case does, and what it must not do."""

import json

import pytest
from msgspec.structs import replace

from entrepot.capabilities.access.accounts import CreateToken, create_token
from entrepot.capabilities.access.callers import Credential, CredentialKind
from entrepot.capabilities.access.identities.grants import SetGrant, set_grant
from entrepot.capabilities.access.identities.groups import (
    Membership,
    NamedGroup,
    add_member,
    create_group,
    delete_group,
    list_members,
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
)
from entrepot.capabilities.access.identities.policies import (
    AttachPolicy,
    NamedPolicy,
    WritePolicy,
    attach_policy,
    create_policy,
    delete_policy,
    get_policy,
    update_policy,
)
from entrepot.capabilities.access.identities.tenants import (
    CreateTenant,
    create_tenant,
    delete_tenant,
    get_tenant,
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
from entrepot.capabilities.access.sealing import MasterKeys, Sealer
from entrepot.capabilities.access.secrets import key_context
from entrepot.capabilities.access.targets import Target
from entrepot.capabilities.instances.namespaces import CreateNamespace, create_namespace
from entrepot.metadata import access as standings
from entrepot.metadata import access_keys, accounts, epochs, identities, namespaces, tenants
from entrepot.model.access import AccountKind, Level, Permission, Resource, Role
from entrepot.model.errors import (
    Forbidden,
    KeyUnknown,
    NameInvalid,
    NameTaken,
    NotEmpty,
    Protected,
    QuotaExceeded,
    TenantUnknown,
    Unauthenticated,
    UserUnknown,
    ValueInvalid,
)
from entrepot.model.identities import Attachment
from entrepot.model.ids import TenantId

pytestmark = pytest.mark.broad


def document(effect: str, action: str, resource: str = "*") -> str:
    rule = {"effect": effect, "actions": [action], "resources": [resource]}
    return json.dumps({"statements": [rule]})


# -- tenants ----------------------------------------------------------------------------------------------------------


def test_a_tenant_comes_with_its_identifiers_an_owner_and_a_project(world):
    made = world.run(create_tenant, world.operator, CreateTenant("acme", "boss"))

    tenant = made.tenant
    assert (len(tenant.uin), len(tenant.app_id), len(tenant.public_id)) == (12, 10, 32)
    assert tenant.uin.isdecimal()
    assert tenant.app_id.isdecimal()
    assert (made.owner.name, made.owner.role, made.owner.uin) == ("boss", Role.OWNER, tenant.uin)
    (project,) = world.read(lambda conn: tenants.list_projects(conn, tenant.id))
    assert project.region == "here-1"
    stored, _ = world.read(lambda conn: identities.password_of(conn, made.owner.id))
    assert world.do(world.ctx.access.passwords.verify(stored, made.password))
    assert made.password not in repr(made)
    assert world.audited("tenant.create") == [("operator:test", "acme", "done")]


def test_a_tenants_name_is_taken_while_it_lives(world):
    tenant, _ = world.tenant("acme")
    with pytest.raises(NameTaken):
        world.tenant("acme")

    world.run(delete_tenant, world.operator, tenant.id)

    again, _ = world.tenant("acme")
    assert again.id != tenant.id


@pytest.mark.parametrize(
    "name", ["", "a/b", "a@b", "a:b", "-a", "123456789012", "a" * 65, "ä", "a\n"]
)
def test_names_that_would_confuse_a_login_are_refused(world, name):
    with pytest.raises(NameInvalid):
        world.run(create_tenant, world.operator, CreateTenant(name, password="long enough"))
    with pytest.raises(NameInvalid):
        world.run(create_user, world.operator, CreateUser(world.root.id, name))


def test_deleting_a_tenant_ends_all_that_gave_rights(world, cast):
    acme, op = cast.acme, world.operator
    key = world.run(create_key, op, KeysOf(acme.id, "member")).key
    command = CreateToken(world.shared, AccountKind.LONGTERM, user=cast.member.user)
    account = world.run(create_token, op, command).account
    world.run(create_namespace, op, CreateNamespace(world.shared.id, acme.id, "team"))
    before = world.epoch(epochs.of_tenant(acme.id))

    world.run(delete_tenant, op, acme.id)

    assert world.epoch(epochs.of_tenant(acme.id)) > before
    assert world.read(lambda c: tenants.find_tenant(c, "acme")) is None
    shared = world.shared.id
    assert world.read(lambda c: namespaces.find_namespace(c, shared, "team")) is None
    assert not world.read(lambda c: standings.user_standing(c, cast.owner.user)).is_active
    assert not world.read(lambda c: standings.account_standing(c, account.id)).is_active
    assert world.read(lambda c: accounts.find_key(c, key.access_key_id)) is None
    with pytest.raises(Unauthenticated):
        world.run(list_users, cast.owner, ListUsers(acme.id))


def test_a_tenant_with_a_repository_stays_whole(world, cast):
    shared = world.shared
    space = world.run(
        create_namespace, world.operator, CreateNamespace(shared.id, cast.acme.id, "team")
    )
    world.ctx.db.write_sync(
        lambda conn: namespaces.insert_repository(conn, space, "app", created_by=None)
    )

    with pytest.raises(NotEmpty):
        world.run(delete_tenant, world.operator, cast.acme.id)

    assert world.read(lambda c: namespaces.find_namespace(c, shared.id, "team")) == space
    assert world.run(get_tenant, cast.member, "acme") == cast.acme


def test_the_root_tenant_cannot_be_deleted(world):
    with pytest.raises(Protected):
        world.run(delete_tenant, world.operator, world.root.id)
    with pytest.raises(TenantUnknown):
        world.run(delete_tenant, world.operator, TenantId(9999))


# -- users ------------------------------------------------------------------------------------------------------------


def test_a_user_exists_once_in_a_tenant_and_may_in_another(world, cast):
    with pytest.raises(NameTaken):
        world.user(cast.acme, "member")

    assert world.user(world.root, "member").tenant == world.root.id


def test_user_lists_are_paged_by_name(world, cast):
    first = world.run(list_users, cast.admin, ListUsers(cast.acme.id, limit=2))
    rest = world.run(list_users, cast.admin, ListUsers(cast.acme.id, after=first[-1].name))

    assert [u.name for u in [*first, *rest]] == ["admin", "disabled", "member", "owner"]


def test_a_disabled_user_is_refused_at_once_and_let_in_again(world, cast):
    def enable(*, enabled):
        world.run(enable_user, cast.admin, EnableUser(cast.acme.id, "member", enabled))

    enable(enabled=False)
    with pytest.raises(Unauthenticated):
        world.run(list_keys, cast.member, KeysOf(cast.acme.id, "member"))
    enable(enabled=True)

    assert world.run(list_keys, cast.member, KeysOf(cast.acme.id, "member")) == []


def test_deleting_a_user_ends_keys_tokens_and_grants_but_not_the_robots_they_made(world, cast):
    acme, op, shared = cast.acme, world.operator, world.shared
    key = world.run(create_key, op, KeysOf(acme.id, "member")).key
    command = CreateToken(shared, AccountKind.LONGTERM, user=cast.member.user)
    account = world.run(create_token, op, command).account
    space = world.run(create_namespace, op, CreateNamespace(shared.id, acme.id, "team"))
    world.run(set_grant, op, SetGrant(Target(shared.id, "team"), "member", Level.MANAGE))
    robot = world.ctx.db.write_sync(
        lambda conn: accounts.insert(
            conn,
            accounts.NewAccount(
                public_id="robot",
                kind=AccountKind.SERVICE,
                instance=shared.id,
                tenant=acme.id,
                user=cast.member.user,
                username="tcr$robot",
                secret_sha256=b"0" * 32,
            ),
        )
    )

    world.run(delete_user, cast.admin, NamedUser(acme.id, "member"))

    assert world.read(lambda c: accounts.find_key(c, key.access_key_id)) is None
    assert not world.read(lambda c: standings.account_standing(c, account.id)).is_active
    assert world.read(lambda c: standings.account_standing(c, robot)).is_active
    levels = world.read(lambda c: standings.grant_levels(c, cast.member.user, space.id))
    assert levels == ({}, {})
    with pytest.raises(UserUnknown):
        world.run(delete_user, cast.admin, NamedUser(acme.id, "member"))
    assert world.user(acme, "member").id != cast.member.user


def test_the_owner_can_be_neither_demoted_nor_deleted(world, cast):
    acme = cast.acme
    with pytest.raises(Protected):
        world.run(delete_user, cast.owner, NamedUser(acme.id, "owner"))
    with pytest.raises(Protected):
        world.run(set_role, cast.owner, SetRole(acme.id, "owner", Role.MEMBER))
    with pytest.raises(Protected):
        world.run(set_role, cast.owner, SetRole(acme.id, "member", Role.OWNER))
    with pytest.raises(Protected):
        world.run(create_user, cast.owner, CreateUser(acme.id, "second", Role.OWNER))
    with pytest.raises(Protected):
        world.run(enable_user, cast.owner, EnableUser(acme.id, "owner", enabled=False))


def test_administrators_may_not_touch_the_owner(world, cast):
    with pytest.raises(Forbidden):
        world.run(set_password, cast.admin, SetPassword(cast.acme.id, "owner", "long enough"))
    with pytest.raises(Forbidden):
        world.run(create_key, cast.admin, KeysOf(cast.acme.id, "owner"))


def test_a_member_who_may_manage_identities_cannot_become_more(world, cast):
    acme, op = cast.acme, world.operator
    allow = WritePolicy(acme.id, "hr", document("allow", "identity:manage"))
    world.run(create_policy, op, allow)
    world.run(attach_policy, op, AttachPolicy(acme.id, "hr", user="member"))
    bind = WritePolicy(acme.id, "bind", document("deny", "repository:delete"))
    world.run(create_policy, op, bind)
    world.run(attach_policy, op, AttachPolicy(acme.id, "bind", user="admin"))
    hr = cast.member

    made = world.run(create_user, hr, CreateUser(acme.id, "newcomer")).user
    assert made.role is Role.MEMBER
    for use_case, command in (
        (create_user, CreateUser(acme.id, "crony", Role.ADMINISTRATOR)),
        (set_role, SetRole(acme.id, "member", Role.ADMINISTRATOR)),
        (set_password, SetPassword(acme.id, "admin", "long enough")),
        (create_key, KeysOf(acme.id, "admin")),
        (delete_user, NamedUser(acme.id, "admin")),
        (enable_user, EnableUser(acme.id, "admin", enabled=False)),
        (delete_policy, NamedPolicy(acme.id, "bind")),
        (update_policy, WritePolicy(acme.id, "bind", document("allow", "*"))),
    ):
        with pytest.raises(Forbidden):
            world.run(use_case, hr, command)


# -- passwords --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("password", ["", "seven77", "x" * 1025])
def test_passwords_are_long_enough_and_not_too_long(world, cast, password):
    with pytest.raises(ValueInvalid):
        world.run(set_password, world.operator, SetPassword(cast.acme.id, "member", password))


def test_a_new_password_ends_what_logged_in_with_the_old(world, cast):
    stale = world.caller(world.run(get_user, cast.owner, NamedUser(cast.acme.id, "admin")))
    made = world.run(set_password, world.operator, SetPassword(cast.acme.id, "admin"))

    stored, _ = world.read(lambda conn: identities.password_of(conn, stale.user))
    assert world.do(world.ctx.access.passwords.verify(stored, made))
    with pytest.raises(Unauthenticated):
        world.run(list_users, stale, ListUsers(cast.acme.id))


def test_whoever_changes_their_own_password_says_the_current_one(world, cast):
    acme = cast.acme
    world.run(set_password, world.operator, SetPassword(acme.id, "member", "the first one"))
    user = world.run(get_user, cast.owner, NamedUser(acme.id, "member"))
    member = world.caller(user)
    for current in (None, "a wrong one"):
        with pytest.raises(Forbidden):
            world.run(
                set_password, member, SetPassword(acme.id, "member", "the second one", current)
            )

    command = SetPassword(acme.id, "member", "the second one", "the first one")
    assert world.run(set_password, member, command) is None

    stored, version = world.read(lambda conn: identities.password_of(conn, user.id))
    assert version == member.credential.version + 1
    assert world.do(world.ctx.access.passwords.verify(stored, "the second one"))


def test_no_command_shows_a_password(cast):
    for command in (
        SetPassword(cast.acme.id, "member", "visible?", "visible?"),
        CreateUser(cast.acme.id, "member", password="visible?"),
        CreateTenant("x", password="visible?"),
    ):
        assert "visible?" not in repr(command)


# -- keys -------------------------------------------------------------------------------------------------------------


def test_a_user_makes_two_keys_of_their_own_and_no_third(world, cast):
    own = KeysOf(cast.acme.id, "member")
    made = [world.run(create_key, cast.member, own) for _ in range(2)]
    with pytest.raises(QuotaExceeded):
        world.run(create_key, cast.member, own)

    world.run(delete_key, cast.member, NamedKey(cast.acme.id, made[0].key.access_key_id))
    made.append(world.run(create_key, cast.member, own))

    listed = world.run(list_keys, cast.member, own)
    assert [k.access_key_id for k in listed] == [m.key.access_key_id for m in made[1:]]
    assert all(m.secret not in repr(m) for m in made)


def test_a_policy_may_deny_even_own_matters(world, cast):
    deny = WritePolicy(cast.acme.id, "no", document("deny", "identity:manage"))
    world.run(create_policy, world.operator, deny)
    world.run(attach_policy, world.operator, AttachPolicy(cast.acme.id, "no", user="member"))

    with pytest.raises(Forbidden):
        world.run(create_key, cast.member, KeysOf(cast.acme.id, "member"))


def test_a_registry_token_makes_no_keys_for_its_user(world, cast):
    command = CreateToken(world.shared, AccountKind.LONGTERM)
    account = world.run(create_token, cast.member, command).account
    version = world.read(lambda c: standings.account_standing(c, account.id)).version
    credential = Credential(CredentialKind.ACCOUNT, account.id, version)
    by_token = replace(cast.member, account=account.id, credential=credential)

    with pytest.raises(Forbidden):
        world.run(create_key, by_token, KeysOf(cast.acme.id, "member"))


def test_a_disabled_key_is_refused_and_a_deleted_one_is_gone_with_its_secret(world, cast):
    key = world.run(create_key, cast.member, KeysOf(cast.acme.id, "member")).key
    by_key = replace(cast.member, credential=Credential(CredentialKind.KEY, key.id))
    own = KeysOf(cast.acme.id, "member")
    assert world.run(list_keys, by_key, own) == [key]

    world.run(enable_key, cast.member, EnableKey(cast.acme.id, key.access_key_id, enabled=False))
    with pytest.raises(Unauthenticated):
        world.run(list_keys, by_key, own)
    named = NamedKey(cast.acme.id, key.access_key_id)
    world.run(delete_key, cast.member, named)

    assert world.run(list_keys, cast.member, own) == []
    with pytest.raises(KeyUnknown):
        world.run(delete_key, cast.admin, named)


def test_a_rotated_master_key_seals_every_secret_anew(world, cast):
    secrets = {
        made.key.access_key_id: made.secret
        for made in (
            world.run(create_key, world.operator, KeysOf(cast.acme.id, name))
            for name in ("member", "admin", "owner")
        )
    }
    newer = Sealer.of(MasterKeys((b"n" * 32, b"k" * 32)))
    world.ctx.access.sealer = newer

    resealed = world.run(reseal_secrets, world.operator)

    only_new = Sealer.of(MasterKeys((b"n" * 32,)))
    kept = world.read(lambda c: access_keys.sealed_secrets(c, after=0, limit=100))
    assert resealed == len(kept) + 1  # and the key of bearer tokens
    opened = {name: only_new.open(sealed, key_context(name)).decode() for _, name, sealed in kept}
    assert secrets.items() <= opened.items()
    assert world.run(reseal_secrets, world.operator) == 0


# -- groups and policies ----------------------------------------------------------------------------------------------


def allowed(world, caller, permission, namespace):
    shared = world.shared.id
    resource = Resource(caller.tenant, shared, namespace_name=namespace)
    judge = world.ctx.access.judge
    return world.ctx.db.read_sync(lambda c: judge.allowed(c, caller, permission, resource))


def test_members_of_a_group_have_what_its_policies_give_until_they_do_not(world, cast):
    acme, admin = cast.acme, cast.admin
    text = document("allow", "namespace:create", "team-*")
    world.run(create_policy, admin, WritePolicy(acme.id, "makers", text))
    world.run(create_group, admin, NamedGroup(acme.id, "staff"))
    world.run(attach_policy, admin, AttachPolicy(acme.id, "makers", group="staff"))
    assert not allowed(world, cast.member, Permission.NAMESPACE_CREATE, "team-a")
    before = world.epoch(epochs.of_tenant(acme.id))

    world.run(add_member, admin, Membership(acme.id, "staff", "member"))

    assert world.epoch(epochs.of_tenant(acme.id)) > before
    assert [u.name for u in world.run(list_members, admin, NamedGroup(acme.id, "staff"))] == [
        "member"
    ]
    assert allowed(world, cast.member, Permission.NAMESPACE_CREATE, "team-a")
    assert not allowed(world, cast.member, Permission.NAMESPACE_CREATE, "other")
    shown = world.run(get_policy, admin, NamedPolicy(acme.id, "makers"))
    assert shown.attachments == (Attachment("group", "staff"),)
    world.run(delete_group, admin, NamedGroup(acme.id, "staff"))
    assert not allowed(world, cast.member, Permission.NAMESPACE_CREATE, "team-a")


def test_a_changed_policy_counts_at_once(world, cast):
    acme, admin = cast.acme, cast.admin
    world.run(create_policy, admin, WritePolicy(acme.id, "p", document("deny", "*")))
    world.run(attach_policy, admin, AttachPolicy(acme.id, "p", user="member"))

    text = document("allow", "namespace:read")
    changed = world.run(update_policy, admin, WritePolicy(acme.id, "p", text))

    assert changed.document == text
    assert allowed(world, cast.member, Permission.NAMESPACE_READ, "team")
    world.run(delete_policy, admin, NamedPolicy(acme.id, "p"))
    assert not allowed(world, cast.member, Permission.NAMESPACE_READ, "team")


@pytest.mark.parametrize(
    ("dialect", "text"),
    [("entrepot", "{}"), ("entrepot", "nonsense"), ("klingon", '{"statements": []}')],
)
def test_a_document_that_says_nothing_clear_is_not_stored(world, cast, dialect, text):
    with pytest.raises(ValueInvalid):
        world.run(create_policy, cast.admin, WritePolicy(cast.acme.id, "p", text, dialect))


def test_a_policy_is_attached_to_a_user_or_a_group(world, cast):
    world.run(create_policy, cast.admin, WritePolicy(cast.acme.id, "p", '{"statements": []}'))
    for user, group in ((None, None), ("member", "staff")):
        with pytest.raises(ValueInvalid):
            world.run(attach_policy, cast.admin, AttachPolicy(cast.acme.id, "p", user, group))
