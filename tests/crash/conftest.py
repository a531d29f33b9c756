"""The nursery of processes to kill, and deployments made from prepared copies."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "wire"))  # `started`: a registry as its users have it
SERVER = "ENTREPOT_TEST_POSTGRESQL"


class Nursery:
    """Runs roles of crash_child.py in processes of their own."""

    def __init__(self, log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, str(HERE / "crash_nursery.py")],
                env={**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parent}"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            )

    def run(self, role: str, folder: Path, url: str, **more: Any) -> int:
        """How the child ended, as waitpid says: 0, or minus the signal."""
        request = {"role": role, "folder": str(folder), "url": url, **more}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def log(self) -> str:
        return self._log.read_text(errors="replace")[-2500:]

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path_factory.mktemp("nursery") / "log")
    yield nursery
    nursery.close()


class Deployments:
    """Folders with their databases. A copy costs milliseconds."""

    def __init__(self, engine: str, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._server = os.environ.get(SERVER, "")
        self._made: list[str] = []
        self._count = 0

    def new(self, source: tuple[Path, str] | None = None) -> tuple[Path, str]:
        """An empty one, or a copy of `source`, which nobody has open."""
        self._count += 1
        folder = self._folder / f"deployment-{self._count}"
        if source is None:
            (folder / "data").mkdir(parents=True)
        else:
            shutil.copytree(source[0], folder)
            (folder / "told").unlink(missing_ok=True)
        if self._engine == "sqlite":
            return folder, f"sqlite:///{folder / 'data' / 'metadata.db'}"
        template = None if source is None else str(sa.make_url(source[1]).database)
        return folder, self._new_database(template)

    def _new_database(self, template: str | None) -> str:
        name = f"entrepot_crash_{secrets.token_hex(6)}"
        query = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
            sql.Identifier(name), sql.Identifier(template or "template0")
        )
        with psycopg.connect(self._server, autocommit=True) as admin:
            admin.execute(query)
        self._made.append(name)
        return sa.make_url(self._server).set(database=name).render_as_string(hide_password=False)

    def drop(self, made: tuple[Path, str]) -> None:
        shutil.rmtree(made[0])
        if self._engine == "postgresql":
            name = str(sa.make_url(made[1]).database)
            self._made.remove(name)
            self._drop_database(name)

    def _drop_database(self, name: str) -> None:
        query = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
        with psycopg.connect(self._server, autocommit=True) as admin:
            admin.execute(query)

    def close(self) -> None:
        for name in self._made:
            self._drop_database(name)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: SIGKILL spares the page cache, so a disk would only make hundreds of starts slow."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="entrepot-crash-", dir=shared) as name:
        yield Path(name)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def deployments(request: pytest.FixtureRequest, memory: Path) -> Iterator[Deployments]:
    if request.param == "postgresql" and not os.environ.get(SERVER):
        pytest.skip(f"{SERVER} names no PostgreSQL server")
    made = Deployments(request.param, memory)
    yield made
    made.close()


@pytest.fixture
def sqlite_deployments(memory: Path) -> Deployments:
    return Deployments("sqlite", memory)
