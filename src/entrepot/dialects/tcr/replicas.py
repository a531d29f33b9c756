"""Replica instances. None can be made yet; clients that manage an instance ask for them all the same before they delete it."""

from typing import Final

from entrepot.capabilities.instances import describing
from entrepot.capabilities.instances.managed import OfInstance
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.tcr.shapes import Answers, Limit, Offset, OfRegistry
from entrepot.model.instances import InstanceDetails


class DescribeReplicationInstances(OfRegistry, frozen=True, kw_only=True):
    """A page of an instance's replicas."""

    offset: Offset = None
    limit: Limit = None

    def to_command(self, asked: Asked) -> OfInstance:
        """Of one instance."""
        return OfInstance(asked.instance.id, asked.tenant)


class ReplicationRegistry(Answers, frozen=True, kw_only=True):
    """A replica."""

    registry_id: str
    replication_registry_id: str
    replication_region_id: int
    replication_region_name: str
    status: str
    created_at: str


class ReplicasDescribed(Answers, frozen=True, kw_only=True):
    """A page."""

    total_count: int
    replication_registries: list[ReplicationRegistry]

    @classmethod
    def of(cls, _result: InstanceDetails, _asked: Asked) -> "ReplicasDescribed":
        """An instance has none while none can be made."""
        return cls(total_count=0, replication_registries=[])


OPERATIONS: Final = (
    Operation(
        "DescribeReplicationInstances",
        DescribeReplicationInstances,
        describing.get_instance,
        ReplicasDescribed,
        needs_running=False,
    ),
)
