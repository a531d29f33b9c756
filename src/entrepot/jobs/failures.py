"""What is written down when a body fails: facts that may be shown, never the text of an unexpected exception (it may hold secrets)."""

from traceback import extract_tb

from entrepot.metadata.leases import Failed
from entrepot.model.errors import RateLimited, RegistryError

LONGEST = 2000  # characters of an error that are kept


def failure(error: BaseException) -> Failed:
    """The outcome of a body that raised."""
    if isinstance(error, RateLimited):
        return Failed(_text(error), may_retry=True, after_seconds=float(error.retry_after_seconds))
    if isinstance(error, RegistryError):
        return Failed(_text(error), may_retry=error.retryable)
    return Failed(f"unexpected {place(error)}", may_retry=True)


def _text(error: RegistryError) -> str:
    return str(error)[:LONGEST]


def place(error: BaseException) -> str:
    """The exception's type and where it was raised, without its text."""
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    frames = extract_tb(error.__traceback__)
    if not frames:
        return name
    last = frames[-1]
    file = last.filename.replace("\\", "/").rsplit("/", 1)[-1]
    return f"{name} in {last.name} ({file}:{last.lineno})"
