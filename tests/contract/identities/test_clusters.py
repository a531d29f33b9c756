"""Clusters of a tenant: taken in with a kubeconfig that is held against its rules, sealed, and never shown."""

import base64
from ipaddress import ip_network

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from entrepot.capabilities.access.identities.keys import reseal_secrets
from entrepot.capabilities.access.identities.tenants import delete_tenant
from entrepot.capabilities.access.sealing import MasterKeys, Sealer
from entrepot.capabilities.instances.requested import RegionUnknown
from entrepot.capabilities.policies.clusters import (
    CreateCluster,
    ModifyCluster,
    NamedCluster,
    create_cluster,
    delete_cluster,
    get_cluster,
    list_clusters,
    modify_cluster,
    open_access,
)
from entrepot.metadata.schema import audit, clusters
from entrepot.model.access import ANONYMOUS
from entrepot.model.clusters import ClusterUnknown, KubeconfigInvalid
from entrepot.model.errors import Forbidden, NameTaken, Unauthenticated, ValueInvalid
from services.kubernetes import TOKEN, Kubernetes

pytestmark = pytest.mark.broad


@pytest.fixture
def settings(settings):
    networks = (ip_network("169.254.0.0/16"), ip_network("fd00:ec2::254/128"))
    return replace(settings, outbound=replace(settings.outbound, forbidden_networks=networks))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Never asked here: nobody has to answer."""
    made = Kubernetes(tmp_path_factory.mktemp("kubernetes"))
    yield made
    made._server.server_close()


def command(cast, cluster, **other):
    values = {
        "tenant": cast.acme.id,
        "name": "factory",
        "registry": "registry.acme.example:5000",
        "kubeconfig": cluster.kubeconfig(),
        "namespaces": ["*"],
    }
    return CreateCluster(**(values | other))


def access_of(world, made):
    return world.read(lambda conn: open_access(conn, world.ctx.access.sealer, made))


def test_a_cluster_is_kept_with_what_counts_of_its_kubeconfig(world, cast, cluster):
    made = world.run(
        create_cluster, cast.admin, command(cast, cluster, namespaces=["shop", "shop"])
    )

    assert made == world.run(get_cluster, cast.admin, NamedCluster(cast.acme.id, made.public_id))
    assert made == world.run(get_cluster, cast.admin, NamedCluster(cast.acme.id, "factory"))
    assert (made.server, made.region, made.is_default) == (cluster.url, "here-1", False)
    assert made.namespaces == ("shop",)
    assert made.admits("shop")
    assert not made.admits("default")
    access = access_of(world, made)
    assert (access.server, access.token, access.authorities) == (
        cluster.url,
        TOKEN,
        cluster.authority.pem,
    )


def test_no_secret_of_it_is_stored_in_the_clear_shown_or_noted(world, cast, cluster):
    given = command(cast, cluster)
    made = world.run(create_cluster, cast.admin, given)

    rows = world.read(
        lambda conn: [*conn.execute(sa.select(clusters)), *conn.execute(sa.select(audit))]
    )
    for text in (repr(given), repr(made), repr(rows), repr(access_of(world, made))):
        assert TOKEN not in text
        assert base64.b64encode(TOKEN.encode()).decode() not in text


def test_only_who_runs_the_tenant_sets_clusters_down(world, cast, cluster):
    made = world.run(create_cluster, cast.owner, command(cast, cluster))
    which = NamedCluster(cast.acme.id, made.public_id)

    for use_case, asked in (
        (create_cluster, command(cast, cluster, name="other")),
        (modify_cluster, ModifyCluster(which, name="other")),
        (delete_cluster, which),
        (get_cluster, which),
        (list_clusters, cast.acme.id),
    ):
        for caller in (cast.member, cast.stranger):
            with pytest.raises(Forbidden):
                world.run(use_case, caller, asked)
        with pytest.raises(Unauthenticated):
            world.run(use_case, ANONYMOUS, asked)


def test_a_cluster_of_another_tenant_is_not_there(world, cast, cluster):
    made = world.run(create_cluster, cast.owner, command(cast, cluster))
    other = cast.stranger.tenant

    for name in (made.public_id, made.name):
        with pytest.raises(ClusterUnknown):
            world.run(get_cluster, cast.stranger, NamedCluster(other, name))
    twin = command(cast, cluster, tenant=other, public_id=made.public_id)
    assert world.run(create_cluster, cast.stranger, twin).tenant == other
    assert len(world.run(list_clusters, cast.stranger, other)) == 1


def test_one_cluster_is_the_default_one_of_a_region(world, cast, cluster):
    first = world.run(create_cluster, cast.owner, command(cast, cluster, is_default=True))
    second = world.run(
        create_cluster, cast.owner, command(cast, cluster, name="b", is_default=True)
    )

    assert second.is_default
    assert [c.is_default for c in world.run(list_clusters, cast.owner, cast.acme.id)] == [
        True,
        False,
    ]
    back = ModifyCluster(NamedCluster(cast.acme.id, first.public_id), is_default=True)
    assert world.run(modify_cluster, cast.owner, back).is_default
    none = ModifyCluster(NamedCluster(cast.acme.id, first.public_id), is_default=False)
    assert not world.run(modify_cluster, cast.owner, none).is_default


def test_what_a_change_does_not_name_stays(world, cast, cluster):
    made = world.run(create_cluster, cast.owner, command(cast, cluster, namespaces=["shop"]))
    which = NamedCluster(cast.acme.id, made.public_id)

    renamed = world.run(modify_cluster, cast.owner, ModifyCluster(which, name="works"))
    assert (renamed.name, renamed.namespaces, renamed.registry) == (
        "works",
        ("shop",),
        made.registry,
    )
    assert access_of(world, renamed).token == TOKEN
    config = cluster.kubeconfig(user=cluster.client_pair())
    changed = ModifyCluster(which, kubeconfig=config, namespaces=["*"], registry="r.example")
    changed = world.run(modify_cluster, cast.owner, changed)
    assert (changed.namespaces, changed.registry) == (("*",), "r.example")
    assert changed.admits("anything")
    access = access_of(world, changed)
    assert access.token == ""
    assert "PRIVATE KEY" in access.key
    assert "CERTIFICATE" in access.certificate


def test_names_are_a_tenants_own(world, cast, cluster):
    made = world.run(create_cluster, cast.owner, command(cast, cluster))
    other = world.run(create_cluster, cast.owner, command(cast, cluster, name="other"))

    with pytest.raises(NameTaken):
        world.run(create_cluster, cast.owner, command(cast, cluster))
    taken = command(cast, cluster, name="third", public_id=made.public_id)
    with pytest.raises(NameTaken):
        world.run(create_cluster, cast.owner, taken)
    which = NamedCluster(cast.acme.id, other.public_id)
    with pytest.raises(NameTaken):
        world.run(modify_cluster, cast.owner, ModifyCluster(which, name="factory"))
    world.run(delete_cluster, cast.owner, NamedCluster(cast.acme.id, made.public_id))
    again = command(cast, cluster, public_id=made.public_id)
    assert world.run(create_cluster, cast.owner, again).id != made.id


def test_a_deleted_cluster_keeps_no_secret(world, cast, cluster):
    made = world.run(create_cluster, cast.owner, command(cast, cluster))

    world.run(delete_cluster, cast.owner, NamedCluster(cast.acme.id, made.public_id))

    sealed = sa.select(clusters.c.access_sealed).where(clusters.c.id == made.id)
    assert world.read(lambda conn: bytes(conn.execute(sealed).scalar_one())) == b""
    with pytest.raises(ClusterUnknown):
        world.run(get_cluster, cast.owner, NamedCluster(cast.acme.id, made.public_id))


def test_a_deleted_tenant_takes_its_clusters_along(world, cast, cluster):
    made = world.run(create_cluster, cast.owner, command(cast, cluster, is_default=True))

    world.run(delete_tenant, world.operator, cast.acme.id)

    row = sa.select(clusters).where(clusters.c.id == made.id)
    row = world.read(lambda conn: conn.execute(row).one())
    assert row.deleted_at is not None
    assert not row.is_default
    assert bytes(row.access_sealed) == b""


def test_kubeconfigs_are_resealed_with_a_new_master_key(world, cast, cluster):
    made = world.run(create_cluster, cast.owner, command(cast, cluster))
    newer = Sealer.of(MasterKeys((b"n" * 32, b"k" * 32)))
    world.ctx.access.sealer = newer

    assert world.run(reseal_secrets, world.operator) >= 1

    only_new = Sealer.of(MasterKeys((b"n" * 32,)))
    assert world.read(lambda conn: open_access(conn, only_new, made)).token == TOKEN
    lost = Sealer.of(MasterKeys((b"x" * 32,)))
    assert world.read(lambda conn: open_access(conn, lost, made)) is None


def test_a_cluster_is_of_a_region_that_is_served_here(world, cast, cluster):
    with pytest.raises(RegionUnknown):
        world.run(create_cluster, cast.owner, command(cast, cluster, region="elsewhere"))


WRONG = [
    ("name", ""),
    ("name", "a/b"),
    ("name", "x" * 129),
    ("registry", ""),
    ("registry", "registry"),  # would be the first part of a name
    ("registry", "https://registry.example"),
    ("registry", "registry.example:0"),
    ("registry", "registry.example:70000"),
    ("registry", "registry.example/path"),
    ("registry", "999.1.1.1"),
    ("namespaces", ["UPPER"]),
    ("namespaces", ["a/b"]),
    ("namespaces", [f"n{i}" for i in range(101)]),
    ("namespaces", []),
    ("namespaces", ["*", "shop"]),
    ("public_id", "../x"),
]
HOSTS = ["localhost", "localhost:5000", "10.0.0.1", "[fd00::1]:5000", "a.b:443", "r:5000"]


def test_values_out_of_bounds_are_refused(world, cast, cluster):
    for field, value in WRONG:
        with pytest.raises(ValueInvalid) as refused:
            world.run(create_cluster, cast.owner, command(cast, cluster, **{field: value}))
        assert refused.value.field == {"public_id": "id"}.get(field, field)
    assert world.run(list_clusters, cast.owner, cast.acme.id) == []


def test_registries_by_every_kind_of_host_are_taken(world, cast, cluster):
    for number, registry in enumerate(HOSTS):
        given = command(cast, cluster, name=f"c{number}", registry=registry)
        assert world.run(create_cluster, cast.owner, given).registry == registry


def test_a_kubeconfig_that_is_refused_changes_nothing(world, cast, cluster):
    made = world.run(create_cluster, cast.owner, command(cast, cluster))
    bad = cluster.kubeconfig(user={"exec": {"command": "/bin/sh"}})

    with pytest.raises(KubeconfigInvalid):
        world.run(create_cluster, cast.owner, command(cast, cluster, name="b", kubeconfig=bad))
    which = NamedCluster(cast.acme.id, made.public_id)
    with pytest.raises(KubeconfigInvalid):
        world.run(modify_cluster, cast.owner, ModifyCluster(which, name="c", kubeconfig=bad))
    assert world.run(list_clusters, cast.owner, cast.acme.id) == [made]
