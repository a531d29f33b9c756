"""Every operation of the API. Dispatch, the reference page, OpenAPI and the tests read this table and nothing else."""

from itertools import chain
from typing import Final

from entrepot.dialects.native import (
    audit,
    caps,
    certificates,
    clusters,
    grants,
    groups,
    instances,
    keys,
    namespaces,
    networks,
    peers,
    policies,
    quotas,
    regions,
    service_accounts,
    tenants,
    tokens,
    users,
)
from entrepot.dialects.native.endpoints import AnyEndpoint, Paths

GROUPS: Final = (
    tenants,
    users,
    groups,
    keys,
    policies,
    caps,
    instances,
    namespaces,
    grants,
    tokens,
    service_accounts,
    certificates,
    clusters,
    peers,
    networks,
    regions,
    quotas,
    audit,
)
TABLE: Final[tuple[AnyEndpoint, ...]] = tuple(chain.from_iterable(one.ENDPOINTS for one in GROUPS))
PATHS: Final = Paths(TABLE)
