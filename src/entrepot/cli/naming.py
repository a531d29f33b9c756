"""Options by which commands name a tenant and an instance, and what they mean."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from entrepot.capabilities.access.identities.tenants import (
    ListTenants,
    get_tenant,
    list_tenants,
)
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.instances import NamedInstance, find_instance
from entrepot.model.access import Caller
from entrepot.model.ids import TenantId
from entrepot.model.tenancy import Instance, Tenant

T = TypeVar("T")
Option = Callable[[Callable[..., None]], Callable[..., None]]

tenant_option: Option = click.option(
    "--tenant", "tenant_name", default="root", show_default=True, help="The tenant's name."
)
instance_option: Option = click.option(
    "--instance",
    "instance_name",
    default="",
    help="Name or id of the instance. Default: the default instance.",
)


async def tenant_of(ctx: Context, caller: Caller, name: str) -> Tenant:
    """The tenant. Raises TenantUnknown."""
    return await get_tenant(ctx, caller, name)


async def tenant_names(ctx: Context, caller: Caller) -> dict[TenantId, str]:
    """Every tenant's name."""
    found = await everything(
        lambda after: list_tenants(ctx, caller, ListTenants(after)), lambda tenant: tenant.name
    )
    return {tenant.id: tenant.name for tenant in found}


async def instance_of(ctx: Context, caller: Caller, name: str) -> Instance:
    """The instance of that name or id, or the default one. Raises InstanceUnknown."""
    return await find_instance(ctx, caller, NamedInstance(name))


async def everything(
    fetch: Callable[[str], Awaitable[list[T]]], name: Callable[[T], str]
) -> list[T]:
    """All pages of a list in name order; `fetch` gets the name behind which to go on."""
    found = page = await fetch("")
    while page:
        page = await fetch(name(page[-1]))
        found = [*found, *page]
    return found
