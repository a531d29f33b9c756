"""Configuration: one typed tree from defaults < TOML file < `ENTREPOT_<SECTION>_<KEY>` < flags.

`tree` holds the settings and their documentation, `load` reads and checks them. A leaf of the program:
it imports nothing of ours, and everybody may read a `Settings`.
"""

from entrepot.config.editions import Edition
from entrepot.config.load import load
from entrepot.config.problems import ConfigError, Layer, Origin, Problem
from entrepot.config.settings import Settings
from entrepot.config.sources import Source, parse_assignments
from entrepot.config.tree import LogFormat, LogLevel
from entrepot.config.types import (
    ByteSize,
    Duration,
    HostName,
    Listen,
    Network,
    Secret,
    TcpAddress,
    UnixAddress,
    Url,
)

__all__ = [
    "ByteSize",
    "ConfigError",
    "Duration",
    "Edition",
    "HostName",
    "Layer",
    "Listen",
    "LogFormat",
    "LogLevel",
    "Network",
    "Origin",
    "Problem",
    "Secret",
    "Settings",
    "Source",
    "TcpAddress",
    "UnixAddress",
    "Url",
    "load",
    "parse_assignments",
]
