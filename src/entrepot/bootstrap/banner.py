"""What the first start shows, once: who may log in, and the four commands of a first push and pull."""

from collections.abc import Sequence
from typing import TextIO

from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.first_start import FirstStart, shown
from entrepot.config import Settings


async def show_first_start(ctx: Context, first: FirstStart | None, out: TextIO) -> None:
    """Show it, and only then say so: killed between, it is shown again. Nothing where this was not the first start."""
    if first is None:
        return
    out.write("".join(f"{line}\n" for line in first_start_lines(first, ctx.settings)))
    out.flush()
    await shown(ctx)


def first_start_lines(first: FirstStart | None, settings: Settings) -> Sequence[str]:
    """The lines; none where this was not the first start."""
    if first is None:
        return ()
    host = str(settings.http.listen)
    password = first.password or "(as preset)"
    return (
        "",
        "  This is the first start. These secrets are shown once; keep them.",
        "",
        f"    address      {host}",
        f"    user         {first.user}",
        f"    password     {password}",
        f"    access key   {first.access_key}",
        f"    secret key   {first.secret_key or '(as preset)'}",
        "",
        "  Log in, create a namespace, push, pull:",
        "",
        f"    docker login {host} -u {first.user}",
        "    .venv/bin/entrepot namespace create demo",
        f"    docker push {host}/demo/app:1",
        f"    docker pull {host}/demo/app:1",
        "",
    )
