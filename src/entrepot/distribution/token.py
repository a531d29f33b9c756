"""The token endpoint's wire: `GET /service/token` and the OAuth2 form of `POST` (distribution's token and oauth2 specifications).

Reads requests and writes answers; who may what is decided in `capabilities/access/issuing.py`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from entrepot.capabilities.access.issuing import Asked, Issued, Scope
from entrepot.model.errors import OperationUnsupported, ValueInvalid

MAX_REQUEST: Final = 16 * 1024  # bytes of query or form
MAX_SCOPES: Final = 32
_MAX_FIELDS: Final = 64
_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, repr=False)
class TokenRequest:
    """A request for a token. At most one of `login` and `refresh_token` is given. Never printed."""

    asked: Asked
    login: tuple[str, str] | None = None  # user name and password of the form
    refresh_token: str | None = None
    client: str = ""


def parse_token_request(
    method: str, query: bytes, body: bytes, *, content_type: str = ""
) -> TokenRequest:
    """Read a request of either form. Raises ValueInvalid, OperationUnsupported for other methods and grant types.

    Scopes come repeated, or several in one parameter with spaces between; of types we do not know, none is granted. Docker sends
    `offline_token=true`, OAuth2 clients `access_type=offline`.
    """
    if method in ("GET", "HEAD"):
        fields = _fields(query)
        wants = _one(fields, "offline_token") == "true" or _is_offline(fields)
        return TokenRequest(Asked(_scopes(fields), wants), client=_one(fields, "client_id"))
    if method != "POST":
        raise OperationUnsupported(f"{method} on the token endpoint")
    if content_type.partition(";")[0].strip().lower() != _FORM:
        raise ValueInvalid("Content-Type", f"expected {_FORM}")
    return _form(_fields(body))


def _form(fields: dict[str, list[str]]) -> TokenRequest:
    asked = Asked(_scopes(fields), _is_offline(fields))
    client = _one(fields, "client_id")
    match _one(fields, "grant_type"):
        case "password":
            login = (_one(fields, "username"), _one(fields, "password"))
            return TokenRequest(asked, login=login, client=client)
        case "refresh_token":
            return TokenRequest(asked, refresh_token=_one(fields, "refresh_token"), client=client)
        case _:
            raise ValueInvalid("grant_type", "expected password or refresh_token")


def render_token(issued: Issued) -> bytes:
    """The answer's JSON body: both names of the token, since clients read one or the other."""
    moment = datetime.fromtimestamp(issued.issued_at // 1_000_000, UTC)
    answer: dict[str, object] = {
        "token": issued.token,
        "access_token": issued.token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
        "issued_at": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if issued.refresh_token is not None:
        answer["refresh_token"] = issued.refresh_token
    return msgspec.json.encode(answer)


def _fields(data: bytes) -> dict[str, list[str]]:
    if len(data) > MAX_REQUEST:
        raise ValueInvalid("request", f"at most {MAX_REQUEST} bytes")
    try:
        text = data.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise ValueInvalid("request", "no form of at most 64 fields in UTF-8") from error
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def _one(fields: dict[str, list[str]], name: str) -> str:
    """The field's value, empty where it is not given. Twice is an error: two readers might take different ones."""
    values = fields.get(name, [""])
    if len(values) > 1:
        raise ValueInvalid(name, "given more than once")
    return values[0]


def _is_offline(fields: dict[str, list[str]]) -> bool:
    return _one(fields, "access_type") == "offline"


def _scopes(fields: dict[str, list[str]]) -> tuple[Scope, ...]:
    words = [word for value in fields.get("scope", ()) for word in value.split()]
    if len(words) > MAX_SCOPES:
        raise ValueInvalid("scope", f"at most {MAX_SCOPES} scopes")
    return tuple(scope for word in words if (scope := _scope(word)) is not None)


def _scope(word: str) -> Scope | None:
    """`type:name:action,action`; the name may hold colons. None for what has another form: unknown scopes are ignored."""
    kind, _, rest = word.partition(":")
    name, colon, actions = rest.rpartition(":")
    kind = kind.partition("(")[0]  # a class, such as `repository(plugin)`
    if not colon or not name or kind not in ("repository", "registry"):
        return None
    return Scope(kind, name, tuple(action for action in actions.split(",") if action))
