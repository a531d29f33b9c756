"""An empty database gets its tables at once; they are what the revisions make, in everything the engine knows of them."""

import subprocess
import sys
from collections import Counter

import pytest
import sqlalchemy as sa

from entrepot.metadata import first_tables, migrate
from entrepot.metadata.database import Connection, Database
from entrepot.metadata.schema import SCHEMA

CATALOG = {
    "columns": """
        SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
               a.attgenerated, a.attstorage, a.attcompression, co.collname, pg_get_expr(d.adbin, d.adrelid)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_collation co ON co.oid = a.attcollation
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, contype, condeferrable, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "relations": """
        SELECT relname, relkind, relpersistence, reloptions
        FROM pg_class WHERE relnamespace = 'public'::regnamespace""",
    "sequences": "SELECT sequencename, data_type::text, start_value, increment_by, cycle FROM pg_sequences",
}


def described(conn: Connection) -> dict[str, list[str]]:
    """Everything that the engine knows of every table, its own names and words included."""
    if conn.dialect.name == "postgresql":
        return {
            what: sorted(map(str, conn.execute(sa.text(query)))) for what, query in CATALOG.items()
        }
    rows = conn.execute(sa.text("SELECT type, name, tbl_name, sql FROM sqlite_master"))
    made = {f"{kind} {name} of {table}": parts(sql or "") for kind, name, table, sql in rows}
    for table in sa.inspect(conn).get_table_names():
        for pragma in ("table_xinfo", "foreign_key_list", "index_list"):
            found = conn.execute(sa.text(f"PRAGMA {pragma}({table})"))
            drop = 0 if pragma == "table_xinfo" else 1  # others are numbered as they were made
            made[f"{pragma} {table}"] = sorted(str(tuple(row)[drop:]) for row in found)
    return made


def parts(statement: str) -> list[str]:
    """The lines of a CREATE statement; constraints may stand in any order."""
    lines = [" ".join(line.split()).rstrip(", ") for line in statement.splitlines()]
    return sorted(line for line in lines if line)


def rows_of(conn: Connection) -> dict[str, list[str]]:
    names = sa.inspect(conn).get_table_names()
    return {
        n: sorted(map(str, conn.execute(sa.select(sa.text("*")).select_from(sa.table(n)))))
        for n in names
    }


def by_revisions(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(first_tables, "head", lambda _folder: None)
        migrate.upgrade(database)


@pytest.fixture
def both(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[dict[str, list[str]], dict[str, list[str]]]]:
    """One database made by the revisions, then emptied and made at once: what was found each time."""
    found = []
    for way in ("revisions", "at once"):
        database = Database.open(database_url)
        if way == "revisions":
            by_revisions(database, monkeypatch)
        else:
            assert migrate.upgrade(database) == sorted(migrate.known_revisions())
        found.append((database.read_sync(described), database.read_sync(rows_of)))
        if way == "revisions":
            database.change_schema(empty)
            assert database.read_sync(lambda c: sa.inspect(c).get_table_names()) == []
        database.close_sync()
    return found


def empty(conn: Connection) -> None:
    SCHEMA.drop_all(conn)
    conn.execute(sa.text("DROP TABLE alembic_version"))


def test_tables_made_at_once_are_those_that_the_revisions_make(both):
    (revised, revised_rows), (made, made_rows) = both
    assert len(made_rows) == len(SCHEMA.tables) + 1
    assert made_rows == revised_rows
    assert made.keys() == revised.keys()
    for what, details in revised.items():
        assert Counter(made[what]) == Counter(details), what


def test_a_first_start_loads_no_alembic_and_the_next_has_nothing_to_do(database_url):
    program = (
        "import sys\n"
        "from entrepot.metadata import database, migrate\n"
        "db = database.Database.open(sys.argv[1])\n"
        "assert migrate.upgrade(db) == sorted(migrate.known_revisions())\n"
        "assert migrate.check(db) and migrate.upgrade(db) == []\n"
        "assert 'alembic' not in sys.modules\n"
        "db.close_sync()\n"
    )
    assert (
        subprocess.run([sys.executable, "-c", program, database_url], check=False).returncode == 0
    )


def test_programs_that_start_together_make_the_tables_once(database_url, database):
    program = (
        "import sys\n"
        "from entrepot.metadata import database, migrate\n"
        "db = database.Database.open(sys.argv[1])\n"
        "print(*migrate.upgrade(db))\n"
        "assert migrate.check(db)\n"
        "db.close_sync()\n"
    )
    command = [sys.executable, "-c", program, database_url]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [child.communicate(timeout=60)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    assert sorted(" ".join(outputs).split()) == sorted(migrate.known_revisions())


def test_a_database_with_tables_of_somebody_else_gets_revisions_one_by_one(database):
    database.change_schema(lambda conn: conn.execute(sa.text("CREATE TABLE theirs (id INTEGER)")))
    assert not database.change_schema(lambda conn: first_tables.make(conn, "0001"))
    migrate.upgrade(database)
    names = set(database.read_sync(lambda conn: sa.inspect(conn).get_table_names()))
    assert names == {"theirs", "alembic_version", *SCHEMA.tables}


def test_a_failure_in_the_middle_leaves_an_empty_database(database, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise OSError("no")

    with monkeypatch.context() as patch:
        patch.setattr(migrate, "_note", fail)
        with pytest.raises(OSError, match="no"):
            migrate.upgrade(database)
    assert database.read_sync(lambda conn: sa.inspect(conn).get_table_names()) == []
    migrate.upgrade(database)
    assert migrate.check(database)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('branch_labels = ("expand",)', "0002"),
        ('branch_labels = ("contract",)', None),
        ('oldest_program = "0.2.0"', None),
    ],
)
def test_a_second_line_of_revisions_is_never_passed_over(tmp_path, text, expected):
    versions = tmp_path / "versions"
    versions.mkdir()
    (versions / "__init__.py").touch()
    (versions / "0001_first.py").write_text('branch_labels = ("expand",)\n')
    (versions / "0002_more.py").write_text(f'"""Words."""\n{text}\n')
    assert first_tables.head(tmp_path) == expected
