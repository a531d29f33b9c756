"""A log line from its fields: JSON for programs, text for people. Neither can be made to look like two lines, or to steer a terminal."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import msgspec


class AccessLine(msgspec.Struct, gc=False, omit_defaults=True):
    """The line of one answered request. A struct, not a mapping: it is made and encoded for every request there is."""

    at: str
    level: str
    event: str
    method: str
    path: str
    status: int
    size: int
    received: int
    seconds: float
    client: str
    host: str
    caller: str
    agent: str
    request_id: str
    process: str
    operation: str = ""  # of a management API


Fields: TypeAlias = Mapping[str, object] | AccessLine
Render: TypeAlias = Callable[[Fields], bytes]

_encoder: Final = msgspec.json.Encoder(enc_hook=str)
# JSON leaves these as they are, terminals and line splitters do not: DEL, the C1 controls, the two Unicode line ends.
_UNSAFE: Final = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]")
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def render_json(fields: Fields) -> bytes:
    """One line of JSON in UTF-8, with its end."""
    try:
        line = _encoder.encode(fields)
    except (UnicodeEncodeError, OverflowError, TypeError, ValueError):
        # lone surrogates, huge integers, odd keys
        line = json.dumps(_mapping(fields), default=str).encode()
    # Most lines are plain ASCII, which is seen in no time; DEL is the only odd one in it.
    if not line.isascii() or b"\x7f" in line:
        line = _UNSAFE.sub(_escaped, line)
    return line + b"\n"


def render_lines(lines: list[AccessLine]) -> bytes:
    """`render_json` of each, in one call for all."""
    try:
        text = _encoder.encode_lines(lines)
    except (UnicodeEncodeError, OverflowError, TypeError, ValueError):
        return b"".join(map(render_json, lines))
    return text if text.isascii() and b"\x7f" not in text else _UNSAFE.sub(_escaped, text)


def _mapping(fields: Fields) -> dict[str, object]:
    return msgspec.structs.asdict(fields) if isinstance(fields, AccessLine) else dict(fields)


def _escaped(found: "re.Match[bytes]") -> bytes:
    return b"\\u%04x" % ord(found[0].decode())


def render_console(fields: Fields) -> bytes:
    """`time LEVEL event name=value …`, and a traceback's frames on lines of their own that begin with a blank."""
    rest = _mapping(fields)
    at, level = str(rest.pop("at", "")), str(rest.pop("level", ""))
    event, exception = rest.pop("event", ""), rest.pop("exception", None)
    pairs = " ".join(f"{_plain(name)}={_plain(value)}" for name, value in rest.items())
    lines = [f"{at[11:23]} {level.upper():<7} {_plain(event)}  {pairs}".rstrip()]
    if isinstance(exception, list):
        lines += [line for error in exception for line in _traceback(error)]
    return ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")


def _traceback(error: object) -> list[str]:
    if not isinstance(error, Mapping):
        return [f"    {_plain(error)}"]
    frames = error.get("frames", [])
    lines = [
        f"      {_plain(frame['filename'])}:{frame['lineno']} in {_plain(frame['name'])}"
        for frame in frames
        if isinstance(frame, Mapping) and "name" in frame
    ]
    return [f"    {_plain(error.get('type'))}: {_plain(error.get('message'))}", *lines]


def _plain(value: object) -> str:
    """A value as text without control characters."""
    text = value if isinstance(value, str) else str(value)
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
