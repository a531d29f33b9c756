"""Two small tables of the tests' own: the database's promises do not depend on the registry's schema."""

import pytest
import sqlalchemy as sa
from access_world import build
from database_tables import TABLES, names

from entrepot.capabilities.access import passwords
from entrepot.metadata.database import Database


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a guess costs is the matter of tests/unit/access."""
    monkeypatch.setattr(passwords, "_MEMORY_KIB", 64)


@pytest.fixture
def db(database: Database) -> Database:
    """A database with the tests' tables."""
    database.change_schema(TABLES.create_all)
    return database


@pytest.fixture
def sqlite_db(tmp_path) -> Database:
    """The same, on SQLite only."""
    database = Database.open(f"sqlite:///{tmp_path / 'metadata.db'}")
    database.change_schema(TABLES.create_all)
    yield database
    database.close_sync()


@pytest.fixture
def names_in():
    """All names in a database, in its order."""
    return lambda db: db.read_sync(
        lambda conn: conn.scalars(sa.select(names.c.name).order_by(names.c.name)).all()
    )


@pytest.fixture
def world(migrated_database: Database, database_url: str):
    """Two tenants with users, keys, namespaces and repositories."""
    return build(migrated_database, database_url)
