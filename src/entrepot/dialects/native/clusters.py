"""Kubernetes clusters of a tenant, whose workloads triggers change; their kubeconfigs are sealed and never shown."""

from typing import Final

from entrepot.capabilities.policies import clusters
from entrepot.dialects.native.endpoints import Endpoint
from entrepot.dialects.native.shapes import (
    Answers,
    Limit,
    Moment,
    Nothing,
    OfTenant,
    Paged,
    Windowed,
    on,
    shown,
    windowed,
)
from entrepot.dialects.operation import Asked, Operation
from entrepot.model.clusters import Cluster
from entrepot.model.ids import TenantId


class OfCluster(OfTenant, frozen=True, kw_only=True):
    """A request about a cluster of the tenant, by id or name."""

    cluster: str

    def named(self, asked: Asked) -> clusters.NamedCluster:
        """Of the tenant."""
        return clusters.NamedCluster(asked.tenant, self.cluster)


class ListClusters(OfTenant, frozen=True, kw_only=True):
    """List the tenant's clusters, by name."""

    after: str = ""
    limit: Limit = 100

    def to_command(self, asked: Asked) -> Windowed[TenantId]:
        """All of them."""
        return on(self, asked.tenant)


class CreateCluster(OfTenant, frozen=True, kw_only=True):
    """Set down a cluster. `kubeconfig`: YAML or JSON with everything inside it, no file and no program named. `registry`: host by which
    its nodes pull from here. `namespaces` of Kubernetes that may be changed, `["*"]`: all. `id`: what triggers call it; none: one is made
    up. `region`: none: the default one."""

    name: str
    registry: str
    kubeconfig: str
    namespaces: list[str]
    region: str = ""
    is_default: bool = False
    id: str = ""

    def to_command(self, asked: Asked) -> clusters.CreateCluster:
        """Of the tenant."""
        return clusters.CreateCluster(
            asked.tenant,
            self.name,
            self.registry,
            self.kubeconfig,
            self.namespaces,
            region=self.region,
            is_default=self.is_default,
            public_id=self.id,
        )


class GetCluster(OfCluster, frozen=True, kw_only=True):
    """Show a cluster."""

    def to_command(self, asked: Asked) -> clusters.NamedCluster:
        """By id or name."""
        return self.named(asked)


class ModifyCluster(OfCluster, frozen=True, kw_only=True):
    """Change a cluster. What is not given stays."""

    name: str | None = None
    registry: str | None = None
    kubeconfig: str | None = None
    namespaces: list[str] | None = None
    is_default: bool | None = None

    def to_command(self, asked: Asked) -> clusters.ModifyCluster:
        """By id or name."""
        return clusters.ModifyCluster(
            self.named(asked),
            name=self.name,
            registry=self.registry,
            kubeconfig=self.kubeconfig,
            namespaces=self.namespaces,
            is_default=self.is_default,
        )


class DeleteCluster(OfCluster, frozen=True, kw_only=True):
    """Forget a cluster; triggers that name it fail from now on."""

    def to_command(self, asked: Asked) -> clusters.NamedCluster:
        """By id or name."""
        return self.named(asked)


class ClusterShown(Answers, frozen=True, kw_only=True):
    """A cluster. `server`: its API server; `is_default`: of the tenant in the region."""

    id: str
    name: str
    region: str
    server: str
    registry: str
    namespaces: list[str]
    is_default: bool
    created: Moment
    updated: Moment

    @classmethod
    def of(cls, result: Cluster, _asked: Asked) -> "ClusterShown":
        """As it is."""
        return cls(
            id=result.public_id,
            name=result.name,
            region=result.region,
            server=result.server,
            registry=result.registry,
            namespaces=list(result.namespaces),
            is_default=result.is_default,
            created=shown(result.created_at),
            updated=shown(result.updated_at),
        )


class ClusterList(Answers, frozen=True, kw_only=True):
    """A page of clusters."""

    items: list[ClusterShown]
    next: str | None = None

    @classmethod
    def of(cls, result: Paged[Cluster], asked: Asked) -> "ClusterList":
        """By name."""
        return cls(items=[ClusterShown.of(row, asked) for row in result.rows], next=result.next)


_ALL: Final = "/tenants/{tenant}/clusters"
_ONE: Final = f"{_ALL}/{{cluster}}"
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        _ALL,
        Operation(
            "ListClusters",
            ListClusters,
            windowed(clusters.list_clusters, lambda found: found.name),
            ClusterList,
        ),
    ),
    Endpoint(
        "POST",
        _ALL,
        Operation(
            "CreateCluster", CreateCluster, clusters.create_cluster, ClusterShown, changes=True
        ),
        201,
    ),
    Endpoint("GET", _ONE, Operation("GetCluster", GetCluster, clusters.get_cluster, ClusterShown)),
    Endpoint(
        "PATCH",
        _ONE,
        Operation(
            "ModifyCluster", ModifyCluster, clusters.modify_cluster, ClusterShown, changes=True
        ),
    ),
    Endpoint(
        "DELETE",
        _ONE,
        Operation("DeleteCluster", DeleteCluster, clusters.delete_cluster, Nothing, changes=True),
        204,
    ),
)
