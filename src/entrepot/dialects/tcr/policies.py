"""Policy documents of CAM, version 2.0: how they are read, what they call our permissions, how they name things.

A statement speaks of actions (`tcr:DescribeImages`) on resources of six parts, `qcs:<project>:<service>:<region>:<account>:<resource>`:
`qcs::tcr:ap-x:uin/1000:instance/tcr-y`, `…:repository/tcr-y/<namespace>`, `…/<namespace>/<repository>`. Each is also there with a `/` behind
it, so that `…/<namespace>/*` includes the namespace itself, as the vendor's examples have it. An empty region is any, an empty account
the tenant's own. What would silently never apply is refused where it can be told: a prohibition with a slip of the pen is none.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec

from entrepot.capabilities.access.documents import (
    MAX_DOCUMENT,
    MAX_STATEMENTS,
    Conditions,
    DocumentInvalid,
    Effect,
    Preset,
    Statement,
    Vocabulary,
)
from entrepot.capabilities.access.wildcard import Wildcard
from entrepot.dialects.tcr.book import BOOK, WITHDRAWN
from entrepot.model.access import Naming, Permission, Resource
from entrepot.model.ids import Micros

DIALECT: Final = "tcr"
PREFIX: Final = "tcr:"
_ANY: Final = "*:*"  # the word of what no single action stands for: only a statement about everything names it
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# What the registry's own wire and its charts are called; no API actions.
_DATA_ACTIONS: Final = frozenset(
    "PullRepository PushRepository CreateHelmChart DescribeHelmCharts".split()
)
# Actions that only the vendor's SDK knows.
_SDK_ACTIONS: Final = frozenset(
    """
    BatchDeleteImagePersonal BatchDeleteRepositoryPersonal CreateApplicationTriggerPersonal CreateGCJob CreateInternalEndpointDns
    CreateNamespacePersonal CreateRepositoryPersonal CreateSecurityPolicy CreateUserPersonal DeleteAIModel DeleteApplicationTriggerPersonal
    DeleteImageLifecycleGlobalPersonal DeleteImagePersonal DeleteInternalEndpointDns DeleteNamespacePersonal DeleteReplicationRule
    DeleteRepositoryPersonal DeleteSkill DescribeAIModelVersionDetail DescribeApplicationTriggerLogPersonal
    DescribeApplicationTriggerPersonal DescribeFavorRepositoryPersonal DescribeImageFilterPersonal DescribeImageLifecycleGlobalPersonal
    DescribeImageLifecyclePersonal DescribeImagePersonal DescribeInternalEndpointDnsStatus DescribeNamespacePersonal
    DescribeReplicationExecutions DescribeReplicationPolicies DescribeReplicationTasks DescribeRepositoryFilterPersonal
    DescribeRepositoryOwnerPersonal DescribeRepositoryPersonal DescribeSkillDetail DescribeSkillDownloadInfo DescribeUserQuotaPersonal
    DuplicateImagePersonal ListAIModelVersions ListAIModels ListSkillVersions ListSkills ManageImageLifecycleGlobalPersonal
    ModifyApplicationTriggerPersonal ModifyInstanceStorage ModifyReplication ModifyRepositoryAccessPersonal ModifyRepositoryInfoPersonal
    ModifyUserPasswordPersonal TerminateGCJob ValidateNamespaceExistPersonal ValidateRepositoryExistPersonal
    """.split()
)
# Actions on `repository/…`; the vendor asks for the others on `instance/…`, also where they are about one namespace.
_ON_REPOSITORY: Final = frozenset(
    (PREFIX + name).lower()
    for name in """
    CreateNamespace DeleteNamespace ModifyNamespace DescribeNamespaces DescribeInstanceAllNamespaces CreateRepository DeleteRepository
    ModifyRepository DescribeRepositories DescribeImages DescribeImageManifests DeleteImage DeleteRepositoryTags DuplicateImage
    PullRepository PushRepository CreateHelmChart DescribeHelmCharts DownloadHelmChart DescribeChartDownloadInfo
    """.split()
)
KNOWN_ACTIONS: Final = frozenset(
    (PREFIX + name).lower() for name in {*BOOK, *WITHDRAWN, *_SDK_ACTIONS, *_DATA_ACTIONS}
)


def _words(names: str) -> tuple[str, ...]:
    return tuple((PREFIX + name).lower() for name in names.split())


# What counts where no signed request says what it is about: docker, the other dialect, our own API.
_ACTIONS: Final[Mapping[Permission, tuple[str, ...]]] = MappingProxyType(
    {
        Permission.PULL: _words("PullRepository"),
        Permission.PUSH: _words("PushRepository"),
        Permission.DELETE: _words("DeleteImage DeleteRepositoryTags"),
        Permission.REPOSITORY_CREATE: _words("CreateRepository"),
        Permission.REPOSITORY_MANAGE: _words("ModifyRepository DeleteRepository"),
        Permission.CATALOG: _words("DescribeRepositories"),
        Permission.INSTANCE_CREATE: _words("CreateInstance"),
        Permission.INSTANCE_READ: _words("DescribeInstances"),
        Permission.INSTANCE_MANAGE: _words(
            "ModifyInstance RenewInstance DeleteInstance ManageExternalEndpoint ManageInternalEndpoint"
        ),
        Permission.NAMESPACE_CREATE: _words("CreateNamespace"),
        Permission.NAMESPACE_READ: _words("DescribeNamespaces"),
        Permission.NAMESPACE_MANAGE: _words("ModifyNamespace DeleteNamespace"),
        Permission.ACCOUNT_MANAGE: _words(
            "CreateInstanceToken ModifyInstanceToken DeleteInstanceToken CreateServiceAccount ModifyServiceAccount "
            "ModifyServiceAccountPassword DeleteServiceAccount"
        ),
        Permission.IDENTITY_MANAGE: (_ANY,),
        Permission.QUOTA_MANAGE: (_ANY,),
        Permission.DEPLOYMENT_MANAGE: (_ANY,),
    }
)


# -- documents --------------------------------------------------------------------------------------------------------


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
    if len(text) > MAX_DOCUMENT:
        raise DocumentInvalid(f"a policy document is at most {MAX_DOCUMENT} characters")
    try:
        read = json.loads(text, object_pairs_hook=_once)
        rules = msgspec.convert(read, _Document).statement
    except (msgspec.ValidationError, ValueError, RecursionError) as error:
        raise DocumentInvalid(str(error)) from error
    rules = rules if isinstance(rules, list) else [rules]
    if len(rules) > MAX_STATEMENTS:
        raise DocumentInvalid(f"a policy has at most {MAX_STATEMENTS} statements")
    return tuple(map(_statement, rules))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object that says each thing once: of two effects the reader could choose."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DocumentInvalid("a member of an object is there twice")
    return found


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


def _wildcard(text: str) -> Wildcard:
    try:
        return Wildcard.parse(text)
    except ValueError as error:
        raise DocumentInvalid(str(error)) from error


_ACTION: Final = re.compile(r"(?:name/)?([a-z0-9*_-]+):([a-z0-9*_-]+)")


def _action(text: str) -> Wildcard:
    """A pattern in lower case, since actions are matched without case. Those of other services are let be, and match nothing here."""
    if text == "*":
        return _wildcard(text)
    found = _ACTION.fullmatch(text.lower())
    if found is None:
        raise DocumentInvalid(f"an action is <service>:<action> or *, not {text[:100]}")
    pattern = _wildcard(f"{found[1]}:{found[2]}")
    if found[1] == DIALECT and not any(map(pattern.matches, KNOWN_ACTIONS)):
        raise DocumentInvalid(f"no action is called {text[:100]}")
    return pattern


_REGION: Final = re.compile(r"[a-z0-9*-]*")
_ACCOUNT: Final = re.compile(r"\*|(?:uin|uid)/(?:\*|[0-9]+)|")
_PATH: Final = re.compile(r"[a-z0-9._/*-]+")
_TYPES: Final = ("instance/", "repository/")


def _resource(text: str) -> Wildcard:
    """A pattern over the names that `_resources` gives: an empty service and region become `*`, `uin/` becomes the empty account."""
    if text == "*":
        return _wildcard(text)
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "qcs":  # noqa: PLR2004  (the syntax has six parts)
        raise DocumentInvalid(
            f"a resource is qcs::tcr:<region>:uin/<uin>:<resource> or *, not {text[:100]}"
        )
    _, project, service, region, account, path = parts
    if project:
        raise DocumentInvalid(f"the project of {text[:100]} must be empty")
    account = account.removesuffix("/") if account in ("uin/", "uid/") else account
    account = "" if account in ("uin", "uid") else account
    if service in ("", DIALECT):
        _check_parts(text[:100], region, account)
    if service == DIALECT:
        _check_path(path)
    return _wildcard(f"qcs::{service or '*'}:{region or '*'}:{account}:{path}")


def _check_parts(text: str, region: str, account: str) -> None:
    if not _REGION.fullmatch(region):
        raise DocumentInvalid(f"no region can be called as in {text}")
    if not _ACCOUNT.fullmatch(account):
        raise DocumentInvalid(f"the account of {text} is empty, *, uin/<uin> or uid/<app id>")


def _check_path(path: str) -> None:
    fixed = path.split("*")[0]
    is_open = fixed != path
    for kind in _TYPES:
        if (fixed.startswith(kind) and path != kind) or (is_open and kind.startswith(fixed)):
            break
    else:
        raise DocumentInvalid(
            f"a resource is instance/<id> or repository/<id>/<namespace>[/<repository>], not {path[:100]}"
        )
    if not _PATH.fullmatch(path):
        raise DocumentInvalid(
            f"nothing can be called {path[:100]}: names have lower-case letters, digits, . _ - and /, patterns *"
        )


def check(statements: tuple[Statement, ...], naming: Naming) -> None:
    """Whether the accounts that the statements name are the tenant's own: of others' things they cannot speak. Raises DocumentInvalid."""
    if not naming.uin:
        return
    own = {"", "*", "uin/*", "uid/*", f"uin/{naming.uin}", f"uid/{naming.app_id}"}
    for pattern in (pattern for statement in statements for pattern in statement.resources):
        parts = str(pattern).split(":", 5)
        if len(parts) == 6 and parts[2] in ("*", DIALECT) and parts[4] not in own:  # noqa: PLR2004
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
            raise DocumentInvalid(f"condition {operator[:100]} is not supported; {', '.join(_KEYS)} are")
        for key, value in keys.items():
            if key != _KEYS[operator]:
                raise DocumentInvalid(f"condition {operator} is about {_KEYS[operator]}, not {key[:100]}")
            values[operator] = _some(key, value)
        if not keys:
            raise DocumentInvalid(f"condition {operator} is about nothing")
    # Bounds are whole microseconds: the first at which it holds, and the first at which it holds no more.
    since = [*_bound(values, "date_greater_than", min, 1), *_bound(values, "date_greater_than_equal", min, 0)]
    until = [*_bound(values, "date_less_than", max, 0), *_bound(values, "date_less_than_equal", max, 1)]
    return Conditions(
        sources=tuple(map(_network, values.get("ip_equal", ()))),
        not_sources=tuple(map(_network, values.get("ip_not_equal", ()))),
        not_before=max(since, default=None),
        not_after=min(until, default=None),
    )
