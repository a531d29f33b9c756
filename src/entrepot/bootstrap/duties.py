"""What the worker process does: every capability's job handlers and watches, in one list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from entrepot.bootstrap.late import LateCluster, late_registries
from entrepot.capabilities.access import expiring, outdated
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances import deploying, domains, editions, entries, links, removing
from entrepot.capabilities.operations import (
    auditing,
    collector,
    counting,
    daily,
    expiry,
    reconcile,
    scrub,
    work,
)
from entrepot.capabilities.operations.fanout import Consumer, fanout_handler
from entrepot.capabilities.operations.work import Handler, Watch
from entrepot.capabilities.policies import retention_runs, sync_runs, trigger_runs

CONSUMERS: Sequence[Consumer] = (
    retention_runs.CONSUMER,
    sync_runs.CONSUMER,
    trigger_runs.CONSUMER,
)  # of events: triggers, webhooks, replication join here


@dataclass(frozen=True, slots=True)
class Duties:
    """Handlers by kind, and what starts them by itself."""

    handlers: Mapping[str, Handler]
    watches: Sequence[Watch]


def make_duties(ctx: Context) -> Duties:
    """All of this deployment's background work."""
    handlers = (
        fanout_handler(CONSUMERS),
        work.PURGE_HANDLER,
        auditing.PURGE_HANDLER,
        counting.FOLD_HANDLER,
        expiring.EXPIRE_HANDLER,
        outdated.PURGE_HANDLER,
        collector.collect_handler(ctx),
        counting.recount_handler(reconcile.COUNTED),
        expiry.expire_handler(ctx),
        scrub.scrub_handler(ctx),
        reconcile.reconcile_handler(ctx),
        daily.PLAN_HANDLER,
        deploying.deploy_handler(ctx),
        deploying.change_handler(ctx),
        deploying.resume_handler(ctx),
        deploying.expire_handler(ctx),
        removing.delete_handler(ctx),
        editions.limits_handler(ctx),
        entries.open_entry_handler(ctx),
        links.move_link_handler(ctx),
        domains.move_domain_handler(ctx),
        trigger_runs.run_handler(ctx, LateCluster(ctx.settings)),
        sync_runs.PLAN_HANDLER,
        sync_runs.copy_handler(ctx, late_registries(ctx.settings)),
        sync_runs.PURGE_HANDLER,
        retention_runs.START_HANDLER,
        retention_runs.run_handler(ctx),
    )
    watches = (
        work.PURGE_WATCH,
        auditing.PURGE_WATCH,
        counting.FOLD_WATCH,
        expiring.EXPIRE_WATCH,
        outdated.PURGE_WATCH,
        collector.collect_watch(ctx),
        expiry.expire_watch(ctx),
        scrub.scrub_watch(ctx),
        daily.PLAN_WATCH,
        deploying.RESUME_WATCH,
        deploying.expire_watch(ctx),
        editions.limits_watch(ctx),
        sync_runs.PURGE_WATCH,
        retention_runs.START_WATCH,
    )
    return Duties({handler.kind: handler for handler in handlers}, watches)
