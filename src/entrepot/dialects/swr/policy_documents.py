"""Identity policies of the vendor's IAM, versions 1.1 and 5.0, read into statements.

Strict: what would silently never apply is refused where that can be told. A prohibition with a slip of the pen is none. Actions and
resources of other services are let be and match nothing here; `NotAction`, `NotResource` and `Principal` are not read.
"""

import re
from typing import Final, Literal

import msgspec

from entrepot.capabilities.access.documents import (
    MAX_STATEMENTS,
    DocumentInvalid,
    Effect,
    Statement,
    read_json,
)
from entrepot.capabilities.access.wildcard import Wildcard
from entrepot.dialects.swr import conditions
from entrepot.dialects.swr.actions import ACTIONS, EVALUATED, NAMESPACE, REPO, SERVICE
from entrepot.model.access import Naming

# What is no action of the vendor's registry, yet a permission here: in the words of a service of our own, and of its IAM.
OWN: Final = "registry"
OWN_ACTIONS: Final = (
    f"{OWN}:instance:create",
    f"{OWN}:instance:get",
    f"{OWN}:instance:update",
    f"{OWN}:account:update",
)
IDENTITIES: Final = "iam:identities:update"
KNOWN_ACTIONS: Final = frozenset(name.lower() for name in (*ACTIONS, *OWN_ACTIONS, IDENTITIES))
_KIND_OF: Final = {name.lower(): action.kind for name, action in ACTIONS.items()}


class _Rule(msgspec.Struct, forbid_unknown_fields=True, rename="pascal"):
    effect: str
    action: str | list[str]
    resource: str | list[str] = "*"
    condition: dict[str, dict[str, str | bool | list[str | bool]]] = {}
    sid: str = ""


class _Document(msgspec.Struct, forbid_unknown_fields=True, rename="pascal"):
    version: Literal["1.1", "5.0"]
    statement: _Rule | list[_Rule]


def parse(text: str) -> tuple[Statement, ...]:
    """Read a document. Strict: what is unknown, ambiguous or could never apply raises DocumentInvalid, with words for its writer."""
    try:
        rules = msgspec.convert(read_json(text), _Document).statement
        rules = rules if isinstance(rules, list) else [rules]
        if len(rules) > MAX_STATEMENTS:
            raise DocumentInvalid(f"a policy has at most {MAX_STATEMENTS} statements")
        return tuple(map(_statement, rules))
    except (msgspec.ValidationError, ValueError) as error:
        raise DocumentInvalid(str(error)) from error


def _statement(rule: _Rule) -> Statement:
    if rule.effect not in ("Allow", "Deny"):
        raise DocumentInvalid(f"Effect is Allow or Deny, not {rule.effect[:100]}")
    actions = tuple(map(_action, _some("Action", rule.action)))
    resources = tuple(map(_resource, _some("Resource", rule.resource)))
    tests, keys = conditions.parse(rule.condition)
    _check_kinds(actions, resources)
    _check_keys(actions, keys)
    return Statement(Effect(rule.effect.lower()), actions, resources, tests)


def _some(what: str, given: str | list[str]) -> list[str]:
    values = [given] if isinstance(given, str) else given
    if not values:
        raise DocumentInvalid(f"{what} names nothing")
    return values


# -- actions ----------------------------------------------------------------------------------------------------------

_ACTION: Final = re.compile(r"([a-z0-9*_-]+):([a-z0-9*_-]*)(?::([a-z0-9*_-]+))?")


def _action(text: str) -> Wildcard:
    """A pattern in lower case, since actions are matched without case. Those of other services are let be, and match nothing here."""
    if text == "*":
        return Wildcard.parse(text)
    found = _ACTION.fullmatch(text.lower())
    if found is None:
        raise DocumentInvalid(f"an action is <service>:<type>:<operation> or *, not {text[:100]}")
    pattern = Wildcard.parse(text.lower())
    if found[1] in (SERVICE, OWN) and not any(map(pattern.matches, KNOWN_ACTIONS)):
        raise DocumentInvalid(f"no action is called {text[:100]}")
    return pattern


def _named(actions: tuple[Wildcard, ...]) -> list[str]:
    """The vendor's actions among them."""
    return [name for name in _KIND_OF if any(pattern.matches(name) for pattern in actions)]


def _check_keys(actions: tuple[Wildcard, ...], keys: tuple[str, ...]) -> None:
    named = _named(actions)
    for key in keys:
        by = EVALUATED.get(key)
        if by is not None and not any(name.lower() in named for name in by):
            raise DocumentInvalid(f"none of the actions evaluates {key}; {', '.join(by)} do")


# -- resources --------------------------------------------------------------------------------------------------------

REPOSITORY: Final = "repository"
INSTANCE: Final = "instance"
_PATHS: Final = {
    REPO: re.compile(r"[a-z0-9._-]+/[a-z0-9._/-]+"),
    NAMESPACE: re.compile(r"[a-z0-9._-]+"),
    REPOSITORY: re.compile(r"[a-z0-9-]+/[a-z0-9._/-]+"),
    INSTANCE: re.compile(r"[a-z0-9-]+"),
}
_PART: Final = re.compile(r"[a-z0-9*_-]*")
_PATTERN: Final = re.compile(r"[a-z0-9._/*-]+")


def _resource(text: str) -> Wildcard:
    """A pattern over the names that `resources` of the vocabulary gives, in lower case: an empty region or account becomes `*`."""
    if text == "*":
        return Wildcard.parse(text)
    parts = text.lower().split(":", 4)
    if len(parts) != 5:
        raise DocumentInvalid(
            f"a resource is swr:<region>:<account>:<type>:<path> or *, not {text[:100]}"
        )
    service, region, account, kind, path = parts
    if service in (SERVICE, "*"):
        if not (_PART.fullmatch(region) and _PART.fullmatch(account)):
            raise DocumentInvalid(f"region and account of {text[:100]} are names or *")
        _check_path(text[:100], kind, path)
    return Wildcard.parse(f"{service}:{region or '*'}:{account or '*'}:{kind}:{path}")


def _check_path(text: str, kind: str, path: str) -> None:
    if "*" not in kind and kind not in _PATHS:
        raise DocumentInvalid(f"the type of {text} is none of {', '.join(_PATHS)}")
    if not _PATTERN.fullmatch(path):
        raise DocumentInvalid(
            f"nothing can be called {path[:100]}: names have lower-case letters, digits, . _ - and /"
        )
    if "*" not in kind and "*" not in path and not _PATHS[kind].fullmatch(path):
        raise DocumentInvalid(f"no {kind} can be called {path[:100]}")


def _check_kinds(actions: tuple[Wildcard, ...], resources: tuple[Wildcard, ...]) -> None:
    """Actions on repositories are not about organizations, nor the other way round."""
    kinds = {_KIND_OF[name] for name in _named(actions)}
    if not kinds or any(str(pattern) == "*" for pattern in actions):
        return
    for pattern in resources:
        parts = str(pattern).split(":", 4)
        if len(parts) != 5 or parts[0] != SERVICE or parts[3] not in (REPO, NAMESPACE):
            continue
        if parts[3] not in kinds:
            raise DocumentInvalid(f"none of the actions is about {pattern}")


def check(statements: tuple[Statement, ...], naming: Naming) -> None:
    """Whether the accounts that the statements name are the tenant's own: of others' things they cannot speak. Raises DocumentInvalid."""
    if not naming.public_id:
        return
    for pattern in (pattern for statement in statements for pattern in statement.resources):
        parts = str(pattern).split(":", 4)
        is_ours = len(parts) == 5 and parts[0] in ("*", SERVICE)
        if is_ours and "*" not in parts[2] and parts[2] != naming.public_id:
            raise DocumentInvalid(f"{parts[2]} is not this account, which is {naming.public_id}")
