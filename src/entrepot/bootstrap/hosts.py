"""The host table of this process: read again when the `routing` epoch moved, never older than rights may be."""

from urllib.parse import urlsplit

from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.auditing import AuditLog
from entrepot.http.admission import Admissions
from entrepot.http.messages import Request, split_host
from entrepot.http.routing import HostTable
from entrepot.metadata import epochs, instances
from entrepot.model.errors import InstanceUnknown
from entrepot.model.network_access import AddressRefused
from entrepot.model.tenancy import Instance


class InstanceHosts:
    """See `http.app.Hosts`."""

    def __init__(self, ctx: Context, audit: AuditLog) -> None:
        self._ctx = ctx
        self._audit = audit
        self._table: HostTable | None = None
        self._epoch = -1
        http = ctx.settings.http
        names = {str(name).lower() for name in http.default_hosts}
        if http.external_url is not None:
            names.add(split_host(urlsplit(http.external_url.reveal()).netloc))
        self._default_names = frozenset(names)

    def known(self) -> HostTable | None:
        """The table, while nothing about instances and their names has changed."""
        if self._ctx.access.epochs.value(epochs.ROUTING) != self._epoch:
            return None
        return self._table

    async def table(self) -> HostTable:
        """The table as instances and their names are now. Raises InstanceUnknown before the first start."""
        epoch = self._ctx.access.epochs.value(epochs.ROUTING)
        if self._table is None or epoch != self._epoch:
            self._table = await self._read()
            self._epoch = epoch
        return self._table

    async def _read(self) -> HostTable:
        hosts = await self._ctx.db.read(instances.load_hosts)
        if hosts is None:
            raise InstanceUnknown("default")
        suffix = str(self._ctx.settings.http.suffix).lower()
        regional = {
            f"swr.{region}.{suffix}": instance for region, instance in hosts.regional.items()
        }
        return HostTable(
            suffix=suffix,
            default=hosts.default,
            by_name=hosts.by_name,
            hosts={**regional, **hosts.hosts},
            default_names=self._default_names,
            regions=hosts.regional,
            admissions=Admissions(
                hosts.rules,
                before=None if self._table is None else self._table.admissions,
                check=self._ctx.access.epochs.fresh,
                on_refused=self._refused,
            ),
        )

    def _refused(self, request: Request, instance: Instance, error: AddressRefused) -> None:
        self._audit.denied(None, "instance.enter", instance.public_id, request=request, error=error)
