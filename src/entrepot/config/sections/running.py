"""Background work, and what the program tells about itself."""

from enum import StrEnum
from typing import Annotated

from entrepot.config.sections.base import Section, setting
from entrepot.config.types import Duration, Url


class Jobs(Section, frozen=True, kw_only=True):
    """Background tasks."""

    embedded: Annotated[
        bool,
        setting(
            "Whether `serve` starts a worker process beside itself; false where `entrepot worker` runs instead."
        ),
    ] = True
    concurrency: Annotated[
        int,
        setting(
            "Tasks at once in a worker. Long ones (copies to peers, retention, triggers) leave two of them to others, and one tenant's take half of what is left.",
            least="1",
            most="256",
        ),
    ] = 8
    lease: Annotated[
        Duration,
        setting("A worker silent for so long loses its tasks to another.", least="2s", most="1h"),
    ] = Duration.parse("1m")
    poll: Annotated[
        Duration,
        setting(
            "How often a worker looks for tasks when nothing wakes it.", least="50ms", most="1m"
        ),
    ] = Duration.parse("1s")


class LogLevel(StrEnum):
    """From the most to the least talkative."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """One JSON object a line, or lines for a person."""

    JSON = "json"
    CONSOLE = "console"


class Log(Section, frozen=True, kw_only=True):
    """The log, on standard error."""

    level: Annotated[LogLevel, setting("The least important lines written.")] = LogLevel.INFO
    format: Annotated[LogFormat, setting("One JSON object a line, or lines for people.")] = (
        LogFormat.JSON
    )


class Audit(Section, frozen=True, kw_only=True):
    """The audit trail. Changes, deletions, denials and logins are always in it; pushes are not, they are told by tags and events."""

    pulls: Annotated[bool, setting("Record pulls too, in batches.")] = True


class Metrics(Section, frozen=True, kw_only=True):
    """Prometheus metrics."""

    enabled: Annotated[
        bool, setting("Collect metrics and serve `/metrics` on the admin listener.")
    ] = True


class Tracing(Section, frozen=True, kw_only=True):
    """OpenTelemetry traces; needs the `tracing` extra."""

    endpoint: Annotated[
        Url | None,
        setting("OTLP endpoint over HTTP, such as `http://127.0.0.1:4318`. Empty: no traces."),
    ] = None
