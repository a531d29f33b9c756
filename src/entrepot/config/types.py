"""The value types of settings: sizes, durations, secrets, addresses, host names, URLs.

Each has `parse(text)`, which raises ValueError saying what was expected and never what was given
(the caller adds the text where it is no secret), and a `str()` that parses back to the same value.
"""

import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Final, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

HIDDEN: Final = "***"
"""What is printed in place of a secret; refused as a secret, so that shown settings can be read back."""

_LARGEST: Final = 2**63 - 1

_SIZE_UNITS: Final = {
    "B": 1,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
    "PiB": 2**50,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "PB": 10**15,
}
_SIZE_FACTORS: Final = {name.lower(): factor for name, factor in _SIZE_UNITS.items()}
_SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)", re.IGNORECASE)

_DURATION_UNITS: Final = {
    "us": 1,
    "ms": 10**3,
    "s": 10**6,
    "m": 60 * 10**6,
    "h": 3600 * 10**6,
    "d": 86400 * 10**6,
    "w": 7 * 86400 * 10**6,
}
_DURATION_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(us|ms|s|m|h|d|w)\s*", re.IGNORECASE)

_HOST_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SECRET_PARAMETER: Final = re.compile(r"passw|secret|token", re.IGNORECASE)


def _whole(number: Fraction, what: str) -> int:
    if number.denominator != 1:
        raise ValueError(f"expected a whole number of {what}")
    if number > _LARGEST:
        raise ValueError(f"expected at most {_LARGEST} {what}")
    return int(number)


class ByteSize(int):
    """A number of bytes: `4MiB` (1024s), `10 GB` (1000s), `512B` or a bare number of bytes."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for a negative or fractional number of bytes and for an unknown unit."""
        match = _SIZE.fullmatch(text.strip())
        factor = _SIZE_FACTORS.get(match[2].lower() or "b") if match else None
        if match is None or factor is None:
            raise ValueError("expected a size such as 512KiB, 4MiB or 10GB")
        return cls(_whole(Fraction(match[1]) * factor, "bytes"))

    def __str__(self) -> str:
        """The unit that gives the smallest whole number."""
        number, unit = min(
            (int(self) // factor, name)
            for name, factor in _SIZE_UNITS.items()
            if int(self) % factor == 0 and (self or name == "B")
        )
        return f"{number}{unit}"

    def __repr__(self) -> str:
        return f"ByteSize({self})"


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A span of time, never negative: `90s`, `24h`, `7d`, `1h30m`. A bare number has no unit and is refused."""

    micros: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for a missing or unknown unit and for less than a microsecond."""
        if text.strip() == "0":
            return cls(0)
        return cls(_whole(sum(cls._parts(text.strip()), Fraction(0)), "microseconds"))

    @staticmethod
    def _parts(text: str) -> Iterator[Fraction]:
        at = 0
        while match := _DURATION_PART.match(text, at):
            yield Fraction(match[1]) * _DURATION_UNITS[match[2].lower()]
            at = match.end()
        if at != len(text) or not text:
            raise ValueError("expected a duration with its unit such as 500ms, 90s, 5m, 24h or 7d")

    @property
    def seconds(self) -> float:
        """The span in seconds, for timeouts."""
        return self.micros / 1_000_000

    def __str__(self) -> str:
        """The largest unit (days at most) that gives a whole number."""
        if self.micros == 0:
            return "0s"
        unit = next(
            u for u in ("d", "h", "m", "s", "ms", "us") if not self.micros % _DURATION_UNITS[u]
        )
        return f"{self.micros // _DURATION_UNITS[unit]}{unit}"


class Secret:
    """A text that prints as `***` everywhere; `reveal()` gives it.

    No dataclass and no Struct on purpose: encoders and `asdict` must not find a field in it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for an empty text, for control characters and for the mask itself."""
        if not text:
            raise ValueError("expected a secret, got an empty text")
        if text == HIDDEN:
            raise ValueError(f"{HIDDEN} only stands for a secret in the output of `config show`")
        if any(character < " " or character == "\x7f" for character in text):
            raise ValueError("expected a secret without line breaks or other control characters")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError("expected a secret in UTF-8")
        return cls(text)

    def reveal(self) -> str:
        """The text itself: for the place that uses it, never for logs, errors or arguments."""
        return self._value

    def __str__(self) -> str:
        return HIDDEN

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self._value,)


class Url(Secret):
    """A URL that may carry a password: `str()` masks that part, `reveal()` gives the whole."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError unless there is a scheme followed by `://`, and for a masked password."""
        url = super().parse(text.strip())
        try:
            parts = urlsplit(url.reveal())
            _ = parts.port
        except ValueError:
            raise ValueError("expected a URL such as https://registry.example") from None
        if not parts.scheme or "://" not in text or any(c.isspace() for c in text.strip()):
            raise ValueError("expected a URL such as https://registry.example")
        if HIDDEN in text:
            raise ValueError(f"{HIDDEN} only stands for a secret in the output of `config show`")
        return url

    @property
    def scheme(self) -> str:
        """In lower case, without the driver that may follow a `+`."""
        return urlsplit(self.reveal()).scheme.partition("+")[0]

    @property
    def has_secret(self) -> bool:
        """Whether `str()` hides something of it."""
        return str(self) != self.reveal()

    def __str__(self) -> str:
        parts = urlsplit(self.reveal())
        user, at, host = parts.netloc.rpartition("@")
        name, colon, _ = user.partition(":")
        netloc = f"{name}{colon}{HIDDEN}{at}{host}" if colon else parts.netloc
        query = parts.query
        if _SECRET_PARAMETER.search(query):
            pairs = parse_qsl(query, keep_blank_values=True)
            masked = [(k, HIDDEN if _SECRET_PARAMETER.search(k) else v) for k, v in pairs]
            query = urlencode(masked, safe="*/")
        if (netloc, query) == (parts.netloc, parts.query):
            return self.reveal()
        return urlunsplit(parts._replace(netloc=netloc, query=query))


class HostName(str):
    """A DNS name in lower case, without port and trailing dot; no IP literal."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for an IP literal, a port, or a label outside letters, digits and inner hyphens."""
        name = text.strip().lower().removesuffix(".")
        labels = name.split(".")
        if len(name) > 253 or not all(map(_HOST_LABEL.fullmatch, labels)) or labels[-1].isdigit():
            raise ValueError("expected a host name such as registry.example, without a port")
        return cls(name)


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """Where to listen: an IP literal or a local host name, and a port (0 lets the system choose)."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """Where to listen: a Unix socket."""

    path: Path

    @property
    def is_loopback(self) -> bool:
        """Always: a socket file is on this machine."""
        return True

    def __str__(self) -> str:
        return f"unix:{self.path}"


Listen = TcpAddress | UnixAddress
Network = IPv4Network | IPv6Network

_LISTEN: Final = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]/\s]+)):([0-9]{1,5})")


def parse_listen(text: str) -> Listen:
    """`127.0.0.1:5000`, `[::1]:5000`, `localhost:5000` or `unix:/path`. Raises ValueError for anything else."""
    stripped = text.strip()
    if stripped.startswith("unix:") and len(stripped) > len("unix:"):
        return UnixAddress(Path(stripped.removeprefix("unix:")))
    match = _LISTEN.fullmatch(stripped)
    if match is None or int(match[3]) > 65535:
        raise ValueError(
            "expected an address with a port such as 127.0.0.1:5000, [::1]:5000 or unix:/path"
        )
    return TcpAddress(_listening_host(match[1] or match[2]), int(match[3]))


def _listening_host(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return HostName.parse(text)


def parse_network(text: str) -> Network:
    """`10.0.0.0/8`, `fd00::/8` or one address. Raises ValueError, also when bits are set beyond the prefix."""
    try:
        return ip_network(text.strip())
    except ValueError:
        raise ValueError("expected a network such as 10.0.0.0/8 or fd00::/8") from None
