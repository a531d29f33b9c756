"""Fixtures `database_url` and `database`: an empty database of each engine, fresh for every test.

SQLite always, in the test's own folder. PostgreSQL where ENTREPOT_TEST_POSTGRESQL names a server whose user may create
databases (`tests/services/postgresql.py` starts one); those tests carry the mark `postgresql`.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from entrepot.metadata.database import Database

SERVER = "ENTREPOT_TEST_POSTGRESQL"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database that is gone after the test."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'metadata.db'}"
        return
    server = os.environ.get(SERVER)
    if not server:
        pytest.skip(f"{SERVER} names no PostgreSQL server")
    name = f"entrepot_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open database without tables (`migrated_database` has them)."""
    database = Database.open(database_url)
    yield database
    database.close_sync()


@pytest.fixture
def migrated_database(database: Database) -> Database:
    """An open database with the newest schema."""
    from entrepot.metadata.schema import SCHEMA  # noqa: PLC0415 (tests of the engine alone need no schema)

    database.change_schema(SCHEMA.create_all)
    return database
