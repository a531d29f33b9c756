"""Every operation of the API. Dispatch, the reference page, OpenAPI and the tests read this table and nothing else."""

from itertools import chain
from typing import Final

from entrepot.dialects.swr import (
    logins,
    organizations,
    overview,
    permissions,
    quotas,
    repositories,
    retention,
    sharing,
    sync,
    tags,
    triggers,
    v3,
)
from entrepot.dialects.swr.endpoints import AnyEndpoint, Paths

GROUPS: Final = (
    organizations,
    repositories,
    tags,
    sharing,
    permissions,
    logins,
    quotas,
    retention,
    sync,
    triggers,
    overview,
    v3,
)
TABLE: Final[tuple[AnyEndpoint, ...]] = tuple(chain.from_iterable(one.ENDPOINTS for one in GROUPS))
PATHS: Final = Paths(TABLE)
