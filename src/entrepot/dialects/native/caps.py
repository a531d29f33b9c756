"""Caps: policies of the root tenant that limit another tenant, its owner included."""

from typing import Final

from entrepot.capabilities.access.identities import caps
from entrepot.dialects.native.endpoints import Endpoint
from entrepot.dialects.native.policies import PolicyList
from entrepot.dialects.native.shapes import Limit, Nothing, OfTenant, Windowed, on, windowed
from entrepot.dialects.operation import Asked, Operation
from entrepot.model.ids import TenantId


class ListCaps(OfTenant, frozen=True, kw_only=True):
    """List the policies that limit the tenant."""

    after: str = ""
    limit: Limit = 100

    def to_command(self, asked: Asked) -> Windowed[TenantId]:
        """Of the tenant."""
        return on(self, asked.tenant)


class OfCap(OfTenant, frozen=True, kw_only=True):
    """A tenant, and a policy of the root tenant or a preset, by name."""

    policy: str

    def to_command(self, asked: Asked) -> caps.Cap:
        """By name."""
        return caps.Cap(asked.tenant, self.policy)


class CapTenant(OfCap, frozen=True, kw_only=True):
    """Limit the tenant, its owner included, by a policy of the root tenant: what none of its caps allows, nobody of it may do."""


class UncapTenant(OfCap, frozen=True, kw_only=True):
    """Limit the tenant by that policy no more."""


_ALL: Final = "/tenants/{tenant}/caps"
_ONE: Final = f"{_ALL}/{{policy}}"
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        _ALL,
        Operation("ListCaps", ListCaps, windowed(caps.list_caps, lambda p: p.name), PolicyList),
    ),
    Endpoint(
        "PUT",
        _ONE,
        Operation("CapTenant", CapTenant, caps.cap_tenant, Nothing, changes=True),
        204,
    ),
    Endpoint(
        "DELETE",
        _ONE,
        Operation("UncapTenant", UncapTenant, caps.uncap_tenant, Nothing, changes=True),
        204,
    ),
)
