"""Logs, metrics and traces of a process. Set up once by bootstrap; wires and capabilities only ever see a structlog logger."""

from entrepot.telemetry.logs import configure_logging
from entrepot.telemetry.requests import Telemetry

__all__ = ["Telemetry", "configure_logging"]
