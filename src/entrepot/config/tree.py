"""All sections of the tree under one roof; `settings` puts them together."""

from entrepot.config.sections.access import Auth, Quota, Region, Root
from entrepot.config.sections.apis import Api
from entrepot.config.sections.base import Section, setting
from entrepot.config.sections.instances import Instances
from entrepot.config.sections.keeping import (
    Data,
    Gc,
    History,
    Manifests,
    Metadata,
    Storage,
    Uploads,
)
from entrepot.config.sections.listeners import Admin, Http
from entrepot.config.sections.outbound import Outbound
from entrepot.config.sections.running import (
    Audit,
    Jobs,
    Log,
    LogFormat,
    LogLevel,
    Metrics,
    Tracing,
)

__all__ = [
    "Admin",
    "Api",
    "Audit",
    "Auth",
    "Data",
    "Gc",
    "History",
    "Http",
    "Instances",
    "Jobs",
    "Log",
    "LogFormat",
    "LogLevel",
    "Manifests",
    "Metadata",
    "Metrics",
    "Outbound",
    "Quota",
    "Region",
    "Root",
    "Section",
    "Storage",
    "Tracing",
    "Uploads",
    "setting",
]
