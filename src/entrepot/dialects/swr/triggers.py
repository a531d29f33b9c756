"""Triggers: what a push of a tag sets off in the account's clusters, and the history of it (swr-behaviour section 8)."""

from typing import Final, Literal, TypeAlias

from entrepot.capabilities.content.place import Place
from entrepot.capabilities.policies import triggers
from entrepot.capabilities.policies.triggers import EnableTrigger, NamedTrigger, TriggerShown
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.swr import shapes
from entrepot.dialects.swr.endpoints import Endpoint
from entrepot.dialects.swr.refusal import Refusal
from entrepot.dialects.swr.shapes import Answers, Nothing, OfRepository, Text, shown
from entrepot.model.errors import NameInvalid, NameTaken, QuotaExceeded, RegistryError
from entrepot.model.triggers import (
    Aim,
    Condition,
    ConditionKind,
    Trigger,
    TriggerRun,
    WorkloadKind,
)

Switch: TypeAlias = Literal["true", "false"] | bool  # a text, which some send as what it means
AppType: TypeAlias = Literal["deployments", "statefulsets"]
TriggerType: TypeAlias = Literal["all", "tag", "regular"]
_MISSING: Final = "4001014"
_ACTION: Final = "update"  # the only one there is
_WORKLOADS: Final[dict[AppType, WorkloadKind]] = {
    "deployments": WorkloadKind.DEPLOYMENT,
    "statefulsets": WorkloadKind.STATEFULSET,
}
_APP_TYPES: Final = {kind: word for word, kind in _WORKLOADS.items()}
_CONDITIONS: Final[dict[TriggerType, ConditionKind]] = {
    "all": ConditionKind.ALL,
    "tag": ConditionKind.TAGS,
    "regular": ConditionKind.PATTERN,
}
_TRIGGER_TYPES: Final = {kind: word for word, kind in _CONDITIONS.items()}


class CreateTrigger(OfRepository, frozen=True, kw_only=True):
    """Make one. `trigger_mode`: `cce` for the cluster that is named, `cci` for the account's default one in the region."""

    action: Literal["update"]
    app_type: AppType
    application: Text
    cluster_ns: Text
    condition: Text
    enable: Switch
    name: Text
    trigger_type: TriggerType
    cluster_id: Text = ""
    cluster_name: Text = ""
    container: Text = ""
    trigger_mode: Literal["cce", "cci"] = "cce"

    def to_command(self, asked: Asked) -> triggers.CreateTrigger:
        """The names of clusters count for `cce` only. Raises Refusal where none is given."""
        is_named = self.trigger_mode == "cce"
        if is_named and not self.cluster_id:
            raise Refusal(_MISSING, "cluster_id is missing, which trigger_mode cce needs")
        aim = Aim(
            cluster=self.cluster_id if is_named else None,
            cluster_name=self.cluster_name if is_named else "",
            namespace=self.cluster_ns,
            kind=_WORKLOADS[self.app_type],
            workload=self.application,
            container=self.container,
        )
        return triggers.CreateTrigger(
            self.place(asked),
            self.name,
            Condition(_CONDITIONS[self.trigger_type], self.condition),
            aim,
            enabled=_is_on(self.enable),
        )


class ListTriggersDetails(OfRepository, frozen=True, kw_only=True):
    """List those of a repository, with their last runs."""

    def to_command(self, asked: Asked) -> Place:
        """All of it."""
        return self.place(asked)


class OfTrigger(OfRepository, frozen=True, kw_only=True):
    """A request about one trigger."""

    trigger: Text

    def named(self, asked: Asked) -> NamedTrigger:
        """By name."""
        return NamedTrigger(self.place(asked), self.trigger)


class ShowTrigger(OfTrigger, frozen=True, kw_only=True):
    """Show one with its history."""

    def to_command(self, asked: Asked) -> NamedTrigger:
        """By name."""
        return self.named(asked)


class UpdateTrigger(OfTrigger, frozen=True, kw_only=True):
    """Switch one on or off; nothing else of it changes."""

    enable: Switch

    def to_command(self, asked: Asked) -> EnableTrigger:
        """By name."""
        return EnableTrigger(self.named(asked), _is_on(self.enable))


class DeleteTrigger(OfTrigger, frozen=True, kw_only=True):
    """Delete one with its history."""

    def to_command(self, asked: Asked) -> NamedTrigger:
        """By name."""
        return self.named(asked)


def _is_on(switch: Switch) -> bool:
    return switch is True or switch == "true"


class _Facts(Answers, frozen=True, kw_only=True):
    """What a trigger and each of its runs say."""

    action: str
    app_type: str
    application: str
    cluster_id: str
    cluster_name: str
    cluster_ns: str
    condition: str
    container: str
    created_at: str
    creator_name: str


class TriggerHistory(_Facts, frozen=True, kw_only=True):
    """One run."""

    detail: str
    result: str
    tag: str

    @classmethod
    def of(cls, run: TriggerRun, trigger: Trigger) -> "TriggerHistory":
        """With what the trigger said then: that does not change."""
        return cls(
            **_facts(trigger),
            created_at=shown(run.created_at),
            detail=run.detail,
            result="success" if run.succeeded else "failed",
            tag=run.tag,
        )


class ShownTrigger(_Facts, frozen=True, kw_only=True):
    """A trigger."""

    enable: str
    name: str
    trigger_history: list[TriggerHistory]
    trigger_mode: str
    trigger_type: str

    @classmethod
    def of(cls, result: TriggerShown, _asked: Asked) -> "ShownTrigger":
        """As it is, the latest run first."""
        trigger = result.trigger
        return cls(
            **_facts(trigger),
            created_at=shown(trigger.created_at),
            enable="true" if trigger.is_enabled else "false",
            name=trigger.name,
            trigger_history=[TriggerHistory.of(run, trigger) for run in result.runs],
            trigger_mode="cci" if trigger.aim.cluster is None else "cce",
            trigger_type=_TRIGGER_TYPES[trigger.condition.kind],
        )


class Triggers(shapes.Rows, frozen=True, kw_only=True):
    """All of a repository."""

    is_ranged = False

    @classmethod
    def of(cls, result: list[TriggerShown], asked: Asked) -> "Triggers":
        """Oldest first."""
        return cls(rows=[ShownTrigger.of(one, asked) for one in result])


def _facts(trigger: Trigger) -> dict[str, str]:
    aim = trigger.aim
    return {
        "action": _ACTION,
        "app_type": _APP_TYPES[aim.kind],
        "application": aim.workload,
        "cluster_id": aim.cluster or "",
        "cluster_name": aim.cluster_name,
        "cluster_ns": aim.namespace,
        "condition": trigger.condition.text,
        "container": aim.container,
        "creator_name": trigger.creator_name,
    }


_ALL: Final = "/v2/manage/namespaces/{namespace}/repos/{repository}/triggers"
_ONE: Final = f"{_ALL}/{{trigger}}"
_NAMES: Final[dict[type[RegistryError], str]] = {NameInvalid: "4001029"}
ENDPOINTS: Final = (
    Endpoint(
        "POST",
        _ALL,
        Operation(
            "CreateTrigger",
            CreateTrigger,
            triggers.create_trigger,
            Nothing,
            changes=True,
            # The vendor has no code for one that exists or one too many; the first is in a range it leaves free.
            codes={**_NAMES, NameTaken: "4090200", QuotaExceeded: "4000014"},
        ),
        "swr:repo:createTrigger",
        201,
    ),
    Endpoint(
        "GET",
        _ALL,
        Operation(
            "ListTriggersDetails",
            ListTriggersDetails,
            triggers.list_triggers,
            Triggers,
            codes=_NAMES,
        ),
        "swr:repo:listTriggers",
    ),
    Endpoint(
        "GET",
        _ONE,
        Operation("ShowTrigger", ShowTrigger, triggers.get_trigger, ShownTrigger, codes=_NAMES),
        "swr:repo:getTrigger",
    ),
    Endpoint(
        "PATCH",
        _ONE,
        Operation(
            "UpdateTrigger",
            UpdateTrigger,
            triggers.enable_trigger,
            Nothing,
            changes=True,
            codes=_NAMES,
        ),
        "swr:repo:updateTrigger",
        201,
    ),
    Endpoint(
        "DELETE",
        _ONE,
        Operation(
            "DeleteTrigger",
            DeleteTrigger,
            triggers.delete_trigger,
            Nothing,
            changes=True,
            codes=_NAMES,
        ),
        "swr:repo:deleteTrigger",
        204,
    ),
)
