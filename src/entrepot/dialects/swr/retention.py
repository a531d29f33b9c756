"""Retention: rules of a repository that say which of its tags go, and the log of those that went (swr-behaviour section 8).

Numbers are texts, in and out; clients that send them as numbers are understood. A log row tells the one rule as a JSON text.
"""

import re
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from entrepot.capabilities.content.place import Place
from entrepot.capabilities.policies import retention_policies as policies
from entrepot.capabilities.policies.retention_policies import (
    BrowseRemoved,
    NumberedRetention,
    RemovedFrom,
    ReplaceRetention,
)
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.swr import paging, shapes
from entrepot.dialects.swr.endpoints import Endpoint
from entrepot.dialects.swr.refusal import Refusal
from entrepot.dialects.swr.shapes import Answers, Nothing, OfRepository, Text, shown
from entrepot.http.messages import Headers
from entrepot.model import retention
from entrepot.model.errors import QuotaExceeded, ValueInvalid
from entrepot.model.retention import Keep, Plan, Removed, RetentionId, RetentionPolicy, SelectorKind

_PAGE: Final = 100
_MOST: Final = 100  # rules or selectors that are read at all
_MOST_BYTES: Final = 512 * 1024  # of a rule set
_ID_WRONG: Final = "4009013"
_DECIMAL: Final = re.compile(r"[0-9]{1,9}")
Template: TypeAlias = Literal["date_rule", "tag_rule"]
Kind: TypeAlias = Literal["label", "regexp"]
_KEEPS: Final[dict[Template, Keep]] = {"date_rule": Keep.RECENT, "tag_rule": Keep.NEWEST}
_TEMPLATES: Final = {keep: template for template, keep in _KEEPS.items()}
_NUMBERS: Final = {Keep.RECENT: "days", Keep.NEWEST: "num"}
_KINDS: Final[dict[Kind, SelectorKind]] = {
    "label": SelectorKind.NAME,
    "regexp": SelectorKind.PATTERN,
}
_WORDS: Final = {kind: word for word, kind in _KINDS.items()}


class TagSelector(Struct, frozen=True, kw_only=True):
    """Tags that are exempt."""

    kind: Kind
    pattern: Text


class Rule(Struct, frozen=True, kw_only=True):
    """`params`: `days` of a `date_rule`, `num` of a `tag_rule`."""

    template: Template
    params: dict[str, str | int]
    tag_selectors: Annotated[list[TagSelector], Meta(max_length=_MOST)]

    def parsed(self) -> retention.Rule:
        """As ours. Raises ValueInvalid, Refusal."""
        keep = _KEEPS[self.template]
        name = _NUMBERS[keep]
        if name not in self.params:
            raise Refusal("4001014", f"params.{name}: a {self.template} needs it")
        number = str(self.params[name])
        if not _DECIMAL.fullmatch(number):
            raise ValueInvalid(f"params.{name}", "expected a positive number")
        exempt = (
            retention.Selector(_KINDS[selector.kind], selector.pattern)
            for selector in self.tag_selectors
        )
        return retention.Rule(keep, int(number), tuple(exempt))

    @classmethod
    def of(cls, rule: retention.Rule) -> "Rule":
        """As the vendor tells it."""
        return cls(
            template=_TEMPLATES[rule.keep],
            params={_NUMBERS[rule.keep]: str(rule.number)},
            tag_selectors=[
                TagSelector(kind=_WORDS[one.kind], pattern=one.text) for one in rule.exempt
            ],
        )


class Ruled(OfRepository, frozen=True, kw_only=True):
    """A request that brings rules; a tag goes when any of them selects it."""

    algorithm: Literal["or"]
    rules: Annotated[list[Rule], Meta(max_length=_MOST)]

    def plan(self) -> Plan:
        """Run daily and after pushes. Raises ValueInvalid, Refusal."""
        return Plan(tuple(rule.parsed() for rule in self.rules))


class OfRetention(OfRepository, frozen=True, kw_only=True):
    """A request about one rule set."""

    retention_id: str

    def numbered(self, asked: Asked) -> NumberedRetention:
        """Which. Raises Refusal, NameInvalid."""
        return NumberedRetention(self.place(asked), _number(self.retention_id))


class CreateRetention(Ruled, frozen=True, kw_only=True):
    """Make a rule set."""

    def to_command(self, asked: Asked) -> policies.CreateRetention:
        """With these rules."""
        return policies.CreateRetention(self.place(asked), self.plan())


class UpdateRetention(Ruled, frozen=True, kw_only=True):
    """Replace all of a rule set."""

    retention_id: str

    def to_command(self, asked: Asked) -> ReplaceRetention:
        """With these rules."""
        return ReplaceRetention(self.place(asked), _number(self.retention_id), self.plan())


class ShowRetention(OfRetention, frozen=True, kw_only=True):
    """Show one."""

    def to_command(self, asked: Asked) -> NumberedRetention:
        """By its number."""
        return self.numbered(asked)


class DeleteRetention(OfRetention, frozen=True, kw_only=True):
    """End one."""

    def to_command(self, asked: Asked) -> NumberedRetention:
        """By its number."""
        return self.numbered(asked)


class ListRetentions(OfRepository, frozen=True, kw_only=True):
    """List those of a repository."""

    def to_command(self, asked: Asked) -> Place:
        """By its address."""
        return self.place(asked)


class ListRetentionHistories(OfRepository, frozen=True, kw_only=True):
    """List what was removed, the last first."""

    limit: Text | None = None
    offset: Text | None = None

    def to_command(self, asked: Asked) -> BrowseRemoved:
        """A page of it."""
        window = paging.window(self.limit, self.offset, default=_PAGE)
        return BrowseRemoved(self.place(asked), window)


def _number(text: str) -> RetentionId:
    if not _DECIMAL.fullmatch(text):
        raise Refusal(_ID_WRONG, "retention_id: expected a decimal number")
    return RetentionId(int(text))


# -- answers ----------------------------------------------------------------------------------------------------------


class RetentionMade(Answers, frozen=True, kw_only=True):
    """Its number."""

    id: int

    @classmethod
    def of(cls, result: RetentionPolicy, _asked: Asked) -> "RetentionMade":
        """As it was made."""
        return cls(id=result.id)


class Retention(Answers, frozen=True, kw_only=True):
    """A rule set."""

    algorithm: str
    id: int
    rules: list[Rule]
    scope: str

    @classmethod
    def of(cls, result: RetentionPolicy, _asked: Asked) -> "Retention":
        """As it is."""
        rules = [Rule.of(rule) for rule in result.plan.rules]
        return cls(algorithm="or", id=result.id, rules=rules, scope="")


class Retentions(shapes.Rows, frozen=True, kw_only=True):
    """All of a repository; this list tells no range."""

    is_ranged = False

    @classmethod
    def of(cls, result: list[RetentionPolicy], asked: Asked) -> "Retentions":
        """Oldest first."""
        return cls(rows=[Retention.of(one, asked) for one in result])


class RetentionLog(Answers, frozen=True, kw_only=True):
    """A tag that was removed. `rule_type`: the rule as a JSON text."""

    created_at: str
    id: int
    namespace: str
    repo: str
    retention_id: int
    rule_type: str
    tag: str

    @classmethod
    def of(cls, one: Removed, result: RemovedFrom, rule: str) -> "RetentionLog":
        """As it was; `rule`: as a JSON text."""
        return cls(
            created_at=shown(one.removed_at),
            id=one.id,
            namespace=result.repository.namespace_name,
            repo=result.repository.path,
            retention_id=one.policy,
            rule_type=rule,
            tag=one.tag,
        )


class RetentionLogs(Answers, frozen=True, kw_only=True):
    """A page of them, told of in the document and in the header."""

    retention_log: list[RetentionLog]
    total: int
    offset: int

    @classmethod
    def of(cls, result: RemovedFrom, _asked: Asked) -> "RetentionLogs":
        """The last first."""
        rules = {one.rule for one in result.page.rows}
        texts = {rule: msgspec.json.encode(Rule.of(rule)).decode() for rule in rules}
        rows = [RetentionLog.of(one, result, texts[one.rule]) for one in result.page.rows]
        return cls(retention_log=rows, total=result.page.total, offset=result.page.offset)

    def body(self) -> Any:
        """Without the offset."""
        return {"retention_log": self.retention_log, "total": self.total}

    def headers(self) -> Headers:
        """The range."""
        said = f"{self.offset}-{len(self.retention_log)}/{self.total}"
        return [(b"content-range", said.encode())]


# -- rows -------------------------------------------------------------------------------------------------------------

_ALL: Final = "/v2/manage/namespaces/{namespace}/repos/{repository}/retentions"
_ONE: Final = f"{_ALL}/{{retention_id}}"
ENDPOINTS: Final = (
    Endpoint(
        "POST",
        _ALL,
        Operation(
            "CreateRetention",
            CreateRetention,
            policies.create_retention,
            RetentionMade,
            changes=True,
            codes={QuotaExceeded: "4000014"},
        ),
        "swr:repo:createRetention",
        201,
        most=_MOST_BYTES,
    ),
    Endpoint(
        "GET",
        _ALL,
        Operation("ListRetentions", ListRetentions, policies.list_retentions, Retentions),
        "swr:repo:listRetentions",
    ),
    Endpoint(
        "GET",
        f"{_ALL}/histories",
        Operation(
            "ListRetentionHistories", ListRetentionHistories, policies.browse_removed, RetentionLogs
        ),
        "swr:repo:listRetentionHistories",
        filters=frozenset({"limit", "offset"}),
    ),
    Endpoint(
        "GET",
        _ONE,
        Operation("ShowRetention", ShowRetention, policies.show_retention, Retention),
        "swr:repo:getRetention",
    ),
    Endpoint(
        "PATCH",
        _ONE,
        Operation(
            "UpdateRetention",
            UpdateRetention,
            policies.replace_retention,
            Nothing,
            changes=True,
        ),
        "swr:repo:updateRetention",
        201,
        most=_MOST_BYTES,
    ),
    Endpoint(
        "DELETE",
        _ONE,
        Operation(
            "DeleteRetention",
            DeleteRetention,
            policies.delete_retention,
            Nothing,
            changes=True,
        ),
        "swr:repo:deleteRetention",
    ),
)
