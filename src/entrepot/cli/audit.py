"""`entrepot audit`: who did what, who was refused what, and who logged in."""

from datetime import UTC, datetime, timedelta

import click

from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.auditing import list_entries
from entrepot.cli.local import run
from entrepot.cli.naming import tenant_names, tenant_of
from entrepot.cli.output import Row, json_option, show_rows
from entrepot.config import Source
from entrepot.config.types import Duration
from entrepot.metadata.audit import Outcome, Recorded, Search
from entrepot.model.access import Caller
from entrepot.model.ids import Micros, TenantId

_COLUMNS = ("at", "actor", "tenant", "action", "resource", "outcome", "source", "details")


def moment_of(_ctx: click.Context, _param: click.Parameter, text: str | None) -> Micros | None:
    """How long ago (`24h`, `7d`), or a moment of ISO 8601; without a zone it is UTC."""
    if text is None:
        return None
    try:
        found = datetime.now(UTC) - timedelta(seconds=Duration.parse(text).seconds)
    except (ValueError, OverflowError):
        try:
            found = datetime.fromisoformat(text)
        except ValueError as error:
            hint = f"{text!r} is neither a duration such as 24h nor a moment"
            raise click.BadParameter(hint) from error
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return Micros(int(found.timestamp() * 1_000_000))


@click.group()
def audit() -> None:
    """Look into the audit trail. Entries are kept for 90 days."""


@audit.command("list")
@click.option("--tenant", "tenant_name", default="", help="Only what concerns this tenant.")
@click.option("--since", callback=moment_of, help="From then on: 24h, 7d, 2026-05-01T12:00.")
@click.option("--until", callback=moment_of, help="Before then.")
@click.option("--action", default="", help="Only this action; `namespace.*` is all of a kind.")
@click.option("--outcome", type=click.Choice([o.value for o in Outcome]), help="Only this outcome.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@json_option
@click.pass_obj
def list_(  # noqa: PLR0917  (click's order)
    source: Source,
    tenant_name: str,
    since: Micros | None,
    until: Micros | None,
    action: str,
    outcome: str | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """List entries, newest first."""

    async def work(ctx: Context, caller: Caller) -> tuple[list[Recorded], dict[TenantId, str]]:
        tenant = (await tenant_of(ctx, caller, tenant_name)).id if tenant_name else None
        search = Search(
            tenant=tenant,
            since=since,
            until=until,
            action=action,
            outcome=None if outcome is None else Outcome(outcome),
            limit=limit,
        )
        return await list_entries(ctx, caller, search), await tenant_names(ctx, caller)

    found, names = run(source, work)
    show_rows(_COLUMNS, [_row(recorded, names) for recorded in found], as_json=as_json)


def _row(recorded: Recorded, names: dict[TenantId, str]) -> Row:
    entry = recorded.entry
    at = datetime.fromtimestamp((entry.happened_at or 0) / 1e6, UTC)
    tenant = None if entry.tenant is None else names.get(entry.tenant, f"#{entry.tenant}")
    return {
        "id": recorded.id,
        "at": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "actor": entry.actor,
        "tenant": tenant,
        "action": entry.action,
        "resource": entry.resource,
        "outcome": entry.outcome.value,
        "source": entry.source,
        "request_id": entry.request_id,
        "details": {str(key): str(value) for key, value in entry.details.items()},
    }
