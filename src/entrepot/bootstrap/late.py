"""Adapters that are loaded when somebody first needs them, by the worker alone: what they import takes memory that most never use."""

from entrepot.config import Settings
from entrepot.ports.cluster import (
    ClusterAccess,
    ClusterApi,
    Workload,
    WorkloadChange,
    WorkloadName,
)


class LateCluster:
    """See `ports.cluster.ClusterApi`."""

    def __init__(self, settings: Settings) -> None:
        self._outbound = settings.outbound

    async def workload(self, access: ClusterAccess, name: WorkloadName) -> Workload:
        """As Kubernetes has it."""
        return await self._port().workload(access, name)

    async def change(
        self, access: ClusterAccess, name: WorkloadName, change: WorkloadChange
    ) -> None:
        """In Kubernetes."""
        await self._port().change(access, name, change)

    def _port(self) -> ClusterApi:
        from entrepot.remotes.kubernetes import KubernetesCluster  # noqa: PLC0415

        return KubernetesCluster(
            self._outbound.forbidden_networks,
            connect_seconds=self._outbound.connect_timeout.seconds,
            silence_seconds=self._outbound.silence_timeout.seconds,
        )
