"""What every command on the deployment's own database needs: its parts opened, the operator as caller, errors as one line.

It works beside a running server: rights and routes that change here are known there within a second.
"""

import asyncio
import getpass
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Never, TypeVar

import click
import structlog
from msgspec.structs import replace

from entrepot.bootstrap.context import open_local
from entrepot.capabilities.access.sealing import MasterKeyUnusable, SealBroken
from entrepot.capabilities.context import Context
from entrepot.cli.config import settings_of
from entrepot.config import Source
from entrepot.model.access import SYSTEM, Caller
from entrepot.model.errors import QuotaExceeded, RegistryError, UserUnknown, ValueInvalid

T = TypeVar("T")
Work = Callable[[Context, Caller], Awaitable[T]]


def run(source: Source, work: Work[T]) -> T:
    """Run `work` on the deployment the settings name. What the registry refuses becomes one line on standard error and exit code 1."""
    settings = settings_of(source)
    _show_warnings_only()

    async def inside() -> T:
        async with open_local(settings) as ctx:
            return await work(ctx, operator())

    try:
        return asyncio.run(inside())
    except RegistryError as error:
        stop(explain(error))
    except (MasterKeyUnusable, SealBroken) as error:
        stop(str(error))
    except OSError as error:
        stop(f"{error.filename or 'system'}: {error.strerror or error}")


def operator() -> Caller:
    """The person at the command line, who may do everything; the audit trail names their Unix user."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as containers have
        name = "unknown"
    return replace(SYSTEM, name=f"operator:{name}")


def _show_warnings_only() -> None:
    """Lines for people, on the standard error of the moment; standard output is the command's."""

    def logger(*_: object) -> Any:
        return structlog.PrintLogger(sys.stderr)

    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.KeyValueRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=logger,
        cache_logger_on_first_use=False,
    )


def explain(error: RegistryError) -> str:
    """An error in words, with what to do where that is not plain."""
    match error:
        case ValueInvalid(field=field, reason=reason):
            return f"{field}: {reason}"
        case QuotaExceeded(resource=resource, limit=limit):
            return f"the limit of {limit} {resource} is reached"
        case UserUnknown(name=name):
            return f"no such user: {name} (of another tenant? then name it with --tenant)"
        case _:
            return str(error)


def stop(line: str) -> Never:
    """Say why on standard error, and leave with exit code 1."""
    click.echo(f"entrepot: {' '.join(line.split())}", err=True)
    raise click.exceptions.Exit(1)
