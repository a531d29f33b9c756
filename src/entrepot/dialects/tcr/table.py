"""Every operation of the dialect, and what of the vendor's book is still to come."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from entrepot.dialects.operation import Operation
from entrepot.dialects.tcr import images, instances, namespaces, regions, service_accounts, tokens
from entrepot.dialects.tcr.book import BOOK, WITHDRAWN

VERSION: Final = "2019-09-24"
TABLE: Final[Mapping[str, Operation[Any, Any]]] = MappingProxyType(
    {
        operation.name: operation
        for category in (
            regions.OPERATIONS,
            instances.OPERATIONS,
            namespaces.OPERATIONS,
            images.OPERATIONS,
            tokens.OPERATIONS,
            service_accounts.OPERATIONS,
        )
        for operation in category
    }
)
PENDING: Final = frozenset(BOOK) - frozenset(TABLE)
"""Documented by the vendor and not served here yet: InvalidAction."""

__all__ = ["PENDING", "TABLE", "VERSION", "WITHDRAWN"]
