"""A repository and a cluster, for triggers between them."""

from ipaddress import ip_network

import pytest
from msgspec.structs import replace
from trigger_stage import REGISTRY

from entrepot.capabilities.content import place
from entrepot.capabilities.content.place import Place
from entrepot.capabilities.instances.namespaces import CreateNamespace, create_namespace
from entrepot.capabilities.policies.clusters import (
    CreateCluster,
    create_cluster,
)
from entrepot.metadata import namespaces
from entrepot.model.access import SYSTEM
from entrepot.oci.reference import RepositoryName
from services.kubernetes import Kubernetes, workload


@pytest.fixture
def settings(settings):
    """Clusters of tests are on this machine."""
    networks = (ip_network("169.254.0.0/16"),)
    return replace(settings, outbound=replace(settings.outbound, forbidden_networks=networks))


@pytest.fixture(scope="module")
def kubernetes(tmp_path_factory):
    with Kubernetes(tmp_path_factory.mktemp("kubernetes")).running() as running:
        yield running


@pytest.fixture
def cluster(kubernetes):
    """The running one, without what another test left."""
    for left in (kubernetes.objects, kubernetes.closed_namespaces, kubernetes.troubles):
        left.clear()
    kubernetes.requests.clear()
    kubernetes.put("deployments", "default", "web", workload(("app", f"{REGISTRY}/works/app:v1")))
    return kubernetes


@pytest.fixture
def app(world, cast):
    """The address of a repository of acme in the shared instance."""
    world.run(create_namespace, cast.owner, CreateNamespace(world.shared.id, cast.acme.id, "works"))
    here = Place(world.shared, RepositoryName("works", "app"))

    def write(conn):
        namespace = namespaces.find_namespace(conn, here.instance.id, "works")
        return place.create(conn, namespace, "app", caller=SYSTEM)

    world.ctx.db.write_sync(write)
    return here


@pytest.fixture
def joined(world, cast, cluster):
    """The cluster as acme's default one."""
    given = CreateCluster(
        cast.acme.id, "factory", REGISTRY, cluster.kubeconfig(), ["*"], is_default=True
    )
    return world.run(create_cluster, cast.owner, given)
