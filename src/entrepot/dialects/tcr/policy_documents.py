"""Policy documents of CAM, version 2.0, read into statements.

Strict: what would silently never apply is refused where that can be told. A prohibition with a slip of the pen is none. Actions of other
services are let be and match nothing here; `principal` belongs to other kinds of documents.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, Literal

import msgspec

from entrepot.capabilities.access.conditions import Conditions
from entrepot.capabilities.access.documents import (
    MAX_STATEMENTS,
    DocumentInvalid,
    Effect,
    Statement,
    read_json,
)
from entrepot.capabilities.access.wildcard import Wildcard
from entrepot.dialects.tcr.book import BOOK, WITHDRAWN
from entrepot.model.access import Naming
from entrepot.model.ids import Micros

SERVICE: Final = "tcr"
PREFIX: Final = f"{SERVICE}:"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# What the registry's own wire and its charts are called; no API actions.
_DATA_ACTIONS: Final = frozenset(
    ["PullRepository", "PushRepository", "CreateHelmChart", "DescribeHelmCharts"]
)
# Actions that only the vendor's SDK knows.
_SDK_ACTIONS: Final = frozenset(
    [
        "BatchDeleteImagePersonal",
        "BatchDeleteRepositoryPersonal",
        "CreateApplicationTriggerPersonal",
        "CreateGCJob",
        "CreateInternalEndpointDns",
        "CreateNamespacePersonal",
        "CreateRepositoryPersonal",
        "CreateSecurityPolicy",
        "CreateUserPersonal",
        "DeleteAIModel",
        "DeleteApplicationTriggerPersonal",
        "DeleteImageLifecycleGlobalPersonal",
        "DeleteImagePersonal",
        "DeleteInternalEndpointDns",
        "DeleteNamespacePersonal",
        "DeleteReplicationRule",
        "DeleteRepositoryPersonal",
        "DeleteSkill",
        "DescribeAIModelVersionDetail",
        "DescribeApplicationTriggerLogPersonal",
        "DescribeApplicationTriggerPersonal",
        "DescribeFavorRepositoryPersonal",
        "DescribeImageFilterPersonal",
        "DescribeImageLifecycleGlobalPersonal",
        "DescribeImageLifecyclePersonal",
        "DescribeImagePersonal",
        "DescribeInternalEndpointDnsStatus",
        "DescribeNamespacePersonal",
        "DescribeReplicationExecutions",
        "DescribeReplicationPolicies",
        "DescribeReplicationTasks",
        "DescribeRepositoryFilterPersonal",
        "DescribeRepositoryOwnerPersonal",
        "DescribeRepositoryPersonal",
        "DescribeSkillDetail",
        "DescribeSkillDownloadInfo",
        "DescribeUserQuotaPersonal",
        "DuplicateImagePersonal",
        "ListAIModelVersions",
        "ListAIModels",
        "ListSkillVersions",
        "ListSkills",
        "ManageImageLifecycleGlobalPersonal",
        "ModifyApplicationTriggerPersonal",
        "ModifyInstanceStorage",
        "ModifyReplication",
        "ModifyRepositoryAccessPersonal",
        "ModifyRepositoryInfoPersonal",
        "ModifyUserPasswordPersonal",
        "TerminateGCJob",
        "ValidateNamespaceExistPersonal",
        "ValidateRepositoryExistPersonal",
    ]
)
KNOWN_ACTIONS: Final = frozenset(
    (PREFIX + name).lower() for name in {*BOOK, *WITHDRAWN, *_SDK_ACTIONS, *_DATA_ACTIONS}
)


class _Rule(msgspec.Struct, forbid_unknown_fields=True):
    effect: str
    action: str | list[str]
    resource: str | list[str]
    condition: dict[str, dict[str, str | list[str]]] = {}


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    version: Literal["2.0"]
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
    try:
        effect = Effect(rule.effect.lower())
    except ValueError as error:
        raise DocumentInvalid(f"effect is allow or deny, not {rule.effect[:100]}") from error
    return Statement(
        effect=effect,
        actions=tuple(map(_action, _some("action", rule.action))),
        resources=tuple(map(_resource, _some("resource", rule.resource))),
        conditions=_conditions(rule.condition),
    )


def _some(what: str, given: str | list[str]) -> list[str]:
    values = [given] if isinstance(given, str) else given
    if not values:
        raise DocumentInvalid(f"{what} names nothing")
    return values


_ACTION: Final = re.compile(r"(?:name/)?([a-z0-9*_-]+):([a-z0-9*_-]+)")


def _action(text: str) -> Wildcard:
    """A pattern in lower case, since actions are matched without case. Those of other services are let be, and match nothing here."""
    if text == "*":
        return Wildcard.parse(text)
    found = _ACTION.fullmatch(text.lower())
    if found is None:
        raise DocumentInvalid(f"an action is <service>:<action> or *, not {text[:100]}")
    pattern = Wildcard.parse(f"{found[1]}:{found[2]}")
    if found[1] == SERVICE and not any(map(pattern.matches, KNOWN_ACTIONS)):
        raise DocumentInvalid(f"no action is called {text[:100]}")
    return pattern


_REGION: Final = re.compile(r"[a-z0-9*-]*")
_ACCOUNT: Final = re.compile(r"\*|(?:uin|uid)/(?:\*|[0-9]+)|")
_PATH: Final = re.compile(r"[a-z0-9._/*-]+")
_TYPES: Final = ("instance/", "repository/")
_NAMED: Final = re.compile(r"instance/[^/]+/?|repository/[^/]+/[^/]+(?:/.*)?")  # without *


def _resource(text: str) -> Wildcard:
    """A pattern over the names that `_resources` gives: an empty service and region become `*`, `uin/` becomes the empty account."""
    if text == "*":
        return Wildcard.parse(text)
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "qcs":
        raise DocumentInvalid(
            f"a resource is qcs::tcr:<region>:uin/<uin>:<resource> or *, not {text[:100]}"
        )
    _, project, service, region, account, path = parts
    if project:
        raise DocumentInvalid(f"the project of {text[:100]} must be empty")
    account = "" if account in ("uin/", "uid/") else account
    if service in ("", SERVICE):
        _check_parts(text[:100], region, account)
    if service == SERVICE:
        _check_path(path)
    return Wildcard.parse(f"qcs::{service or '*'}:{region or '*'}:{account}:{path}")


def _check_parts(text: str, region: str, account: str) -> None:
    if not _REGION.fullmatch(region):
        raise DocumentInvalid(f"no region can be called as in {text}")
    if not _ACCOUNT.fullmatch(account):
        raise DocumentInvalid(f"the account of {text} is empty, *, uin/<uin> or uid/<app id>")


def _check_path(path: str) -> None:
    fixed, star, _ = path.partition("*")
    if not (_is_beginning(fixed) if star else _NAMED.fullmatch(path)):
        raise DocumentInvalid(
            f"a resource is instance/<id> or repository/<id>/<namespace>[/<repository>], not {path[:100]}"
        )
    if not _PATH.fullmatch(path):
        raise DocumentInvalid(
            f"nothing can be called {path[:100]}: names have lower-case letters, digits, . _ - and /"
        )


def _is_beginning(text: str) -> bool:
    return any(kind.startswith(text) or text.startswith(kind) for kind in _TYPES)


def check(statements: tuple[Statement, ...], naming: Naming) -> None:
    """Whether the accounts that the statements name are the tenant's own: of others' things they cannot speak. Raises DocumentInvalid."""
    if not naming.uin:
        return
    own = {"", "*", "uin/*", "uid/*", f"uin/{naming.uin}", f"uid/{naming.app_id}"}
    for pattern in (pattern for statement in statements for pattern in statement.resources):
        parts = str(pattern).split(":", 5)
        if len(parts) == 6 and parts[2] in ("*", SERVICE) and parts[4] not in own:
            raise DocumentInvalid(f"{parts[4]} is not this account, which is uin/{naming.uin}")


# -- conditions -------------------------------------------------------------------------------------------------------

_IP, _TIME = "qcs:ip", "qcs:current_time"
_KEYS: Final = {
    "ip_equal": _IP,
    "ip_not_equal": _IP,
    "date_less_than": _TIME,
    "date_less_than_equal": _TIME,
    "date_greater_than": _TIME,
    "date_greater_than_equal": _TIME,
}


def _conditions(given: dict[str, dict[str, str | list[str]]]) -> Conditions:
    """All that are given must hold; of the values of one, any (of `ip_not_equal`: none)."""
    values: dict[str, list[str]] = {}
    for operator, keys in given.items():
        if operator not in _KEYS:
            raise DocumentInvalid(
                f"condition {operator[:100]} is not supported; {', '.join(_KEYS)} are"
            )
        for key, value in keys.items():
            if key != _KEYS[operator]:
                raise DocumentInvalid(
                    f"condition {operator} is about {_KEYS[operator]}, not {key[:100]}"
                )
            values[operator] = _some(key, value)
        if not keys:
            raise DocumentInvalid(f"condition {operator} is about nothing")
    return Conditions(
        sources=tuple(map(_network, values.get("ip_equal", ()))),
        not_sources=tuple(map(_network, values.get("ip_not_equal", ()))),
        not_before=max(_bounds(values, "date_greater_than", min, past=1), default=None),
        not_after=min(_bounds(values, "date_less_than", max, past=0), default=None),
    )


def _bounds(
    values: Mapping[str, list[str]],
    operator: str,
    widest: Callable[[Iterator[Micros]], Micros],
    *,
    past: int,
) -> Iterator[Micros]:
    """Of an operator and its `_equal`: the first microsecond that counts, or the first that does not."""
    for name, further in ((operator, past), (f"{operator}_equal", 1 - past)):
        if name in values:
            yield Micros(widest(map(_moment, values[name])) + further)


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text.strip(), strict=False)  # the vendor's examples have host bits
    except ValueError as error:
        raise DocumentInvalid(f"{text[:100]} is no address and no network") from error


def _moment(text: str) -> Micros:
    """ISO 8601, UTC where no zone is said."""
    try:
        value = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise DocumentInvalid(f"{text[:100]} is no time such as 2026-01-31T00:00:00Z") from error
    value = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return Micros((value - _EPOCH) // timedelta(microseconds=1))
