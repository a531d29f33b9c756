"""The programs that pages with `needs=` use: where they are, an engine for docker, an image to push."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import sqlalchemy as sa
from oci_layout import small_image
from programs import Surroundings, found
from source_files import ROOT

SERVICES = {"postgresql": "ENTREPOT_TEST_POSTGRESQL"}
"""What a page needs that is not a program, and the variable that says where it is."""
SHOWN_DATABASE = "postgresql://entrepot:secret@127.0.0.1:5432/entrepot"


@contextmanager
def database() -> Iterator[dict[str, str]]:
    """An empty database of the PostgreSQL server that there may be, instead of the one that pages name."""
    server = os.environ.get(SERVICES["postgresql"])
    if not server:
        yield {}
        return
    name = f"entrepot_docs_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    try:
        url = sa.make_url(server).set(database=name)
        yield {SHOWN_DATABASE: url.render_as_string(hide_password=False)}
    finally:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass(frozen=True, slots=True)
class Clients:
    """`engine` starts Docker Engine when it is first asked for, and answers DOCKER_HOST."""

    engine: Callable[[], str]

    def has(self, need: str) -> bool:
        """Whether a page's need is met on this machine."""
        if need in SERVICES:
            return bool(os.environ.get(SERVICES[need]))
        if need == "docker":
            return (
                found("docker") is not None and found("dockerd") is not None and os.geteuid() == 0
            )
        return found(need) is not None

    def surroundings(self, folder: Path) -> dict[str, str]:
        """Search path and, where there is one, engine."""
        places = (ROOT / ".venv" / "bin", Surroundings(folder).environment()["PATH"])
        search = {"PATH": ":".join(map(str, places))}
        return search | ({"DOCKER_HOST": self.engine()} if self.has("docker") else {})

    def prepare(self, folder: Path, variables: dict[str, str]) -> None:
        """The image that pages push: `oci:image:v1`, and `app:1` in the engine."""
        layout = small_image(folder / "image", "hello")
        if not (shutil.which("skopeo") and "DOCKER_HOST" in variables):
            return
        archive = folder.parent / "app.tar"
        commands = (
            ["skopeo", "copy", "-q", layout.skopeo_reference, f"docker-archive:{archive}:app:1"],
            ["docker", "load", "-q", "-i", str(archive)],
        )
        for command in commands:
            subprocess.run(command, env=variables, cwd=folder, check=True, capture_output=True)
