"""Editions: what an instance may have, kept as limits in rows beside those that operators set.

Rows, so that the transaction that would exceed a limit reads edition and operator's exception in one statement. An operator's
limit on the instance comes before the edition's.
"""

from collections.abc import Callable, Mapping
from typing import Final

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.quotas import EDITION
from entrepot.capabilities.operations.work import Handler, JobContext, Summary, Watch
from entrepot.config import Edition, Settings
from entrepot.metadata import instance_details, instance_usage, quotas
from entrepot.metadata.database import Connection
from entrepot.model.errors import ValueInvalid
from entrepot.model.ids import InstanceId
from entrepot.model.instances import EditionTooSmall, FeatureMissing

APPLY: Final = "instance.limits"
WATCH_SECONDS: Final = 60.0


def edition_named(settings: Settings, name: str) -> Edition:
    """The edition of that name; empty: the first. Raises ValueInvalid."""
    for edition in settings.instances.editions:
        if name in ("", edition.name):
            return edition
    names = ", ".join(edition.name for edition in settings.instances.editions)
    raise ValueInvalid("edition", f"expected one of {names}")


def require_feature(settings: Settings, edition: str, feature: str) -> None:
    """For a dedicated instance of that edition (a name in `config.editions.FEATURES`). Raises FeatureMissing."""
    if not any(
        feature in known.features for known in settings.instances.editions if known.name == edition
    ):
        raise FeatureMissing(feature, edition)


def give_limits(conn: Connection, instance: InstanceId, edition: Edition) -> None:
    """In the transaction that gives the instance the edition."""
    present = quotas.limits_of(conn, EDITION, instance)
    wanted = dict(edition.limits)
    for resource in present.keys() | wanted.keys():
        if present.get(resource) != wanted.get(resource):
            quotas.set_limit(conn, EDITION, instance, resource=resource, limit=wanted.get(resource))


def take_limits(conn: Connection, instance: InstanceId) -> None:
    """In the transaction that ends the instance; an operator's limits go too."""
    for kind in (EDITION, "instance"):
        for resource in quotas.limits_of(conn, kind, instance):
            quotas.set_limit(conn, kind, instance, resource=resource, limit=None)


def check_fit(conn: Connection, instance: InstanceId, edition: Edition) -> None:
    """Whether what the instance uses now fits the edition. Raises EditionTooSmall."""
    exceptions = quotas.limits_of(conn, "instance", instance)
    for resource, limit in edition.limits:
        allowed = exceptions.get(resource, limit)
        used = instance_usage.used(conn, instance, resource)
        if used > allowed:
            raise EditionTooSmall(edition.name, resource, used, allowed)


# -- when the settings change -----------------------------------------------------------------------------------------


def _outdated(conn: Connection, editions: Mapping[str, Edition]) -> list[tuple[InstanceId, str]]:
    """Instances whose rows are not what their edition says now. One that the settings no longer have stays as it was."""
    present = quotas.limits_of_all(conn, EDITION)
    return [
        (instance, edition)
        for instance, edition in instance_details.editions_of_all(conn)
        if edition in editions and present.get(instance, {}) != dict(editions[edition].limits)
    ]


def limits_handler(ctx: Context) -> Handler:
    """Brings rows to what the settings say."""
    editions = {edition.name: edition for edition in ctx.settings.instances.editions}

    async def run(job: JobContext) -> Summary:
        def write(conn: Connection) -> int:
            found = _outdated(conn, editions)
            for instance, edition in found:
                give_limits(conn, instance, editions[edition])
            return len(found)

        return {"instances": await job.write(write)}

    return Handler(kind=APPLY, run=run, concurrency=1)


def limits_watch(ctx: Context) -> Watch:
    """Starts it where rows and settings differ."""
    editions = {edition.name: edition for edition in ctx.settings.instances.editions}
    wanted: Callable[[Connection], bool] = lambda conn: bool(_outdated(conn, editions))  # noqa: E731
    return Watch(APPLY, every_seconds=WATCH_SECONDS, wanted=wanted)
