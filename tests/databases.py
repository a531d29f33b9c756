"""Fixtures `database_url` and `database`: an empty database of each engine, fresh for every test.

SQLite always, in the test's own folder. PostgreSQL where ENTREPOT_TEST_POSTGRESQL names a server whose user may create
databases (`tests/services/postgresql.py` starts one); those tests carry the mark `postgresql`.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from entrepot.metadata.database import Database

SERVER = "ENTREPOT_TEST_POSTGRESQL"


class Templates:
    """A database of each engine with the newest schema, made once a process: tests get copies, which cost a fraction of making the tables."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "template.db"
        self._name = ""

    def file(self) -> Path:
        """SQLite's."""
        if not self._file.exists():
            _migrate(f"sqlite:///{self._file}")
        return self._file

    def name(self, server: str) -> str:
        """PostgreSQL's."""
        if not self._name:
            name = f"entrepot_template_{secrets.token_hex(6)}"
            _administer(server, "CREATE DATABASE {}", name)
            _migrate(_url(server, name))
            self._name = name
        return self._name

    def drop(self) -> None:
        """PostgreSQL's; SQLite's is in a folder that goes."""
        if self._name:
            _administer(os.environ[SERVER], "DROP DATABASE {} WITH (FORCE)", self._name)


def _migrate(url: str) -> None:
    from entrepot.metadata.schema import SCHEMA  # noqa: PLC0415 (tests of the engine alone need no schema)

    database = Database.open(url)
    try:
        database.change_schema(SCHEMA.create_all)
    finally:
        database.close_sync()


def _administer(server: str, statement: str, *names: str) -> None:
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _url(server: str, name: str) -> str:
    return sa.make_url(server).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Templates]:
    """What `database_url` copies for tests that want `migrated_database`."""
    made = Templates(tmp_path_factory.mktemp("template"))
    yield made
    made.drop()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, templates: Templates
) -> Iterator[str]:
    """The URL of a database that is gone after the test: empty, or with the tables for who also takes `migrated_database`."""
    has_tables = "migrated_database" in request.fixturenames
    if request.param == "sqlite":
        file = tmp_path / "metadata.db"
        if has_tables:
            shutil.copy(templates.file(), file)
        yield f"sqlite:///{file}"
        return
    server = os.environ.get(SERVER)
    if not server:
        pytest.skip(f"{SERVER} names no PostgreSQL server")
    name = f"entrepot_{secrets.token_hex(6)}"
    if has_tables:
        _administer(server, "CREATE DATABASE {} TEMPLATE {}", name, templates.name(server))
    else:
        _administer(server, "CREATE DATABASE {}", name)
    try:
        yield _url(server, name)
    finally:
        _administer(server, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open database, without tables unless the test takes `migrated_database`."""
    database = Database.open(database_url)
    yield database
    database.close_sync()


@pytest.fixture
def migrated_database(database: Database) -> Database:
    """An open database with the newest schema: `database_url` saw to it."""
    return database
