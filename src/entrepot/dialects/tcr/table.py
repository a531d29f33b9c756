"""Every operation of the dialect by service, and what of the vendor's book is still to come."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any, Final

from entrepot.dialects.operation import Operation
from entrepot.dialects.tcr import (
    access_control,
    domains,
    images,
    instance_status,
    instances,
    namespaces,
    private_links,
    regions,
    replicas,
    service_accounts,
    tag_service,
    tokens,
)
from entrepot.dialects.tcr.book import BOOK

VERSION: Final = "2019-09-24"


def _by_name(*categories: Iterable[Operation[Any, Any]]) -> Mapping[str, Operation[Any, Any]]:
    rows = {operation.name: operation for operation in chain(*categories)}
    return MappingProxyType(rows)


TABLE: Final = _by_name(
    regions.OPERATIONS,
    instances.OPERATIONS,
    instance_status.OPERATIONS,
    namespaces.OPERATIONS,
    images.OPERATIONS,
    tokens.OPERATIONS,
    service_accounts.OPERATIONS,
    access_control.OPERATIONS,
    private_links.OPERATIONS,
    domains.OPERATIONS,
    replicas.OPERATIONS,
)
PENDING: Final = frozenset(BOOK) - frozenset(TABLE)
"""Documented by the vendor and not served here yet: InvalidAction."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the vendor's, by its name in signatures and the one version of it that is served."""

    name: str
    version: str
    table: Mapping[str, Operation[Any, Any]]


SERVICES: Final = (
    Service("tcr", VERSION, TABLE),
    Service("tag", tag_service.VERSION, _by_name(tag_service.OPERATIONS)),
)
