"""The wires put together into one ASGI application."""

import structlog

from entrepot.bootstrap.hosts import InstanceHosts
from entrepot.bootstrap.root import Root
from entrepot.capabilities.content.health import Readiness
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.auditing import AuditLog
from entrepot.capabilities.operations.counting import PullCounter
from entrepot.dialects.identity.wire import Identity
from entrepot.dialects.native.wire import Native
from entrepot.dialects.sign_in.basic import BasicSignIn
from entrepot.dialects.swr.dockyard import PATHS as DOCKYARD
from entrepot.dialects.swr.wire import Swr
from entrepot.dialects.tcr.wire import Tcr
from entrepot.distribution.app import Distribution
from entrepot.distribution.credentials import Credentials
from entrepot.distribution.token_service import TokenService
from entrepot.http.app import Application
from entrepot.http.routing import Wire
from entrepot.model.content import StoredManifest
from entrepot.telemetry import Telemetry

_log = structlog.get_logger(__name__)


def make_application(
    ctx: Context, pulls: PullCounter, audit: AuditLog, *, telemetry: Telemetry
) -> Application:
    """Everything that answers on the main listener."""

    def on_login(outcome: str) -> None:
        telemetry.metrics.count("logins", outcome)

    credentials = Credentials(ctx, on_login=on_login)

    def on_pull(manifest: StoredManifest) -> None:
        pulls.add("manifest", manifest.id)

    def on_call(*labels: str) -> None:
        telemetry.metrics.count("api_calls", *labels)

    tcr = Tcr(ctx, audit, count=on_call)
    swr = Swr(ctx, audit, count=on_call)
    basic = BasicSignIn(ctx, audit, on_login=on_login)
    return Application(
        ctx,
        InstanceHosts(ctx, audit),
        {
            Wire.DISTRIBUTION: Distribution(ctx, credentials, on_pull=on_pull, audit=audit),
            Wire.TOKEN: TokenService(ctx, credentials),
            Wire.TCR: tcr,
            Wire.SWR: swr,
            Wire.IDENTITY: Identity(ctx, audit, count=on_call, on_login=on_login),
            Wire.DOCKYARD: Swr(ctx, audit, count=on_call, paths=DOCKYARD, sign_in=basic),
            Wire.ROOT: Root(tcr, swr),
            Wire.NATIVE: Native(ctx, audit, on_login=on_login),
        },
        observe=telemetry.observe,
        ready=Readiness(ctx),
    )
