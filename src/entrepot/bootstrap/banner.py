"""What the first start shows, once: who may log in, and the four commands of a first push and pull."""

from collections.abc import Sequence

from entrepot.capabilities.operations.first_start import FirstStart
from entrepot.config import Settings


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
