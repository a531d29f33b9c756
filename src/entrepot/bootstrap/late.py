"""Adapters that are loaded when somebody first needs them, by the worker alone: what they import takes memory that most never use."""

from contextlib import AbstractAsyncContextManager

from entrepot.config import Settings
from entrepot.ports.cluster import (
    ClusterAccess,
    ClusterApi,
    Workload,
    WorkloadChange,
    WorkloadName,
)
from entrepot.ports.registry import (
    ConnectionRules,
    RegistryAddress,
    RegistryOpener,
    RemoteRegistry,
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


def late_registries(settings: Settings) -> RegistryOpener:
    """See `ports.registry.RegistryOpener`; by the operator's rules."""
    outbound = settings.outbound
    rules = ConnectionRules(
        outbound.forbidden_networks,
        outbound.onward_networks,
        connect_seconds=outbound.connect_timeout.seconds,
        silence_seconds=outbound.silence_timeout.seconds,
    )

    def open_(address: RegistryAddress) -> AbstractAsyncContextManager[RemoteRegistry]:
        from entrepot.remotes.registry import open_registry  # noqa: PLC0415

        return open_registry(address, rules)

    return open_
