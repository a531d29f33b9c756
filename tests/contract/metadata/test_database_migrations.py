"""Revisions of the tests' own, applied as programs of different ages would."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from entrepot.metadata import migrate
from entrepot.metadata.database import Database
from entrepot.model.errors import SchemaTooNew

REVISION = """
import sqlalchemy as sa
from alembic import op
from entrepot.metadata import types

revision, down_revision, branch_labels, depends_on = {ids}
{more}

def upgrade():
    {body}
"""
FIRST = """op.create_table("schema_info", sa.Column("key", types.NameText, primary_key=True), sa.Column("value", sa.Text))
    op.create_table("parents", sa.Column("id", types.BigId, primary_key=True), sa.Column("old", sa.Text))
    op.create_table("children", sa.Column("id", types.BigId, primary_key=True),
                    sa.Column("parent_id", sa.BigInteger, sa.ForeignKey("parents.id", ondelete="CASCADE")))"""
WIDEN = 'op.add_column("parents", sa.Column("new", sa.Text))'
NARROW = """
    with op.batch_alter_table("parents") as batch:
        batch.drop_column("old")"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """A program's folder of revisions, with the real environment."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    shutil.copy(migrate.MIGRATIONS / "env.py", folder)
    bring(folder, "0001", FIRST, labels="expand")
    return folder


def bring(folder, revision, body, *, after=None, labels=None, needs=None, more=""):
    ids = repr((revision, after, (labels,) if labels else None, needs))
    text = REVISION.format(ids=ids, body=body, more=more)
    (folder / "versions" / f"{revision}_words.py").write_text(text)


def columns(db, table="parents"):
    return {c["name"] for c in db.read_sync(lambda conn: sa.inspect(conn).get_columns(table))}


def execute(db, *statements):
    return db.write_sync(lambda conn: [conn.execute(sa.text(each)) for each in statements] and None)


def test_an_empty_database_gets_everything_and_then_nothing(database, folder):
    assert not migrate.check(database, folder=folder)
    assert migrate.upgrade(database, folder=folder) == ["0001"]
    assert migrate.upgrade(database, folder=folder) == []
    assert migrate.check(database, folder=folder)


def test_a_start_without_anything_to_do_reads_once_and_loads_no_alembic(
    database, folder, database_url
):
    migrate.upgrade(database, folder=folder)
    program = (
        "import sys, pathlib\n"
        "from entrepot.metadata import database, migrate\n"
        "db = database.Database.open(sys.argv[1])\n"
        "assert migrate.upgrade(db, folder=pathlib.Path(sys.argv[2])) == []\n"
        "counts = db.statistics.counts()\n"
        "assert (counts.reads, counts.writes) == (1, 0), counts\n"
        "assert 'alembic' not in sys.modules\n"
        "db.close_sync()\n"
    )

    done = subprocess.run([sys.executable, "-c", program, database_url, str(folder)], check=False)

    assert done.returncode == 0


def test_expansions_are_applied_at_start_and_contractions_only_when_asked(database, folder):
    migrate.upgrade(database, folder=folder)
    bring(folder, "0002", WIDEN, after="0001")
    bring(folder, "0003", NARROW, labels="contract", needs="0002", more='oldest_program = "0.2.0"')

    assert migrate.upgrade(database, program="0.2.0", folder=folder) == ["0002"]
    assert columns(database) == {"id", "old", "new"}
    assert migrate.upgrade(database, program="0.2.0", folder=folder) == []

    assert migrate.upgrade(database, contract=True, program="0.2.0", folder=folder) == ["0003"]
    assert columns(database) == {"id", "new"}


def test_expansions_after_an_unapplied_contraction_are_applied(database, folder):
    migrate.upgrade(database, folder=folder)
    bring(folder, "0002", NARROW, labels="contract", needs="0001")
    bring(folder, "0003", WIDEN, after="0001")

    assert migrate.upgrade(database, folder=folder) == ["0003"]
    assert columns(database) == {"id", "old", "new"}


def test_an_older_program_starts_after_an_expansion_and_not_after_a_contraction(
    database, folder, tmp_path
):
    older = tmp_path / "older"
    shutil.copytree(folder, older)
    bring(folder, "0002", WIDEN, after="0001")
    bring(folder, "0003", NARROW, labels="contract", needs="0002", more='oldest_program = "0.2.0"')

    migrate.upgrade(database, program="0.3.0", folder=folder)
    assert migrate.upgrade(database, program="0.1.9", folder=older) == []

    migrate.upgrade(database, contract=True, program="0.3.0", folder=folder)
    with pytest.raises(SchemaTooNew) as caught:
        migrate.upgrade(database, program="0.1.9", folder=older)
    assert (caught.value.required, caught.value.running) == ("0.2.0", "0.1.9")
    assert migrate.check(database, program="0.10.0", folder=folder)


def test_a_failing_revision_changes_nothing_and_keeps_the_ones_before_it(database, folder):
    bring(folder, "0002", WIDEN, after="0001")
    bring(folder, "0003", WIDEN.replace("new", "third") + "\n    raise OSError('no')", after="0002")

    with pytest.raises(OSError, match="no"):
        migrate.upgrade(database, folder=folder)

    assert columns(database) == {"id", "old", "new"}
    bring(folder, "0003", WIDEN.replace("new", "third"), after="0002")
    assert migrate.upgrade(database, folder=folder) == ["0003"]


def test_rebuilding_a_table_loses_no_rows_that_refer_to_it(database, folder):
    migrate.upgrade(database, folder=folder)
    execute(
        database,
        "INSERT INTO parents (id, old) VALUES (1, 'x')",
        "INSERT INTO children (id, parent_id) VALUES (1, 1)",
    )
    bring(folder, "0002", NARROW, labels="contract", needs="0001")

    migrate.upgrade(database, contract=True, folder=folder)

    count = sa.text("SELECT count(*) FROM children")
    assert database.read_sync(lambda conn: conn.scalar(count)) == 1
    with pytest.raises(sa.exc.IntegrityError):
        execute(database, "INSERT INTO children (id, parent_id) VALUES (2, 99)")


def test_programs_that_start_together_apply_each_revision_once(database_url, database, folder):
    bring(folder, "0002", WIDEN, after="0001")
    program = (
        "import sys, pathlib\n"
        "from entrepot.metadata import database, migrate\n"
        "db = database.Database.open(sys.argv[1])\n"
        "print(*migrate.upgrade(db, folder=pathlib.Path(sys.argv[2])))\n"
        "db.close_sync()\n"
    )
    command = [sys.executable, "-c", program, database_url, str(folder)]

    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [child.communicate(timeout=60)[0] for child in children]

    assert [child.returncode for child in children] == [0, 0, 0]
    assert sorted(" ".join(outputs).split()) == ["0001", "0002"]


def test_the_registrys_own_revisions_make_exactly_its_schema(database):
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 (slow to import)
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 (slow to import)

    from entrepot.metadata.schema import SCHEMA  # noqa: PLC0415 (as above)

    if not migrate.known_revisions():
        pytest.skip("no revision yet")
    migrate.upgrade(database, contract=True)

    def difference(conn):
        ours = {"include_name": lambda name, kind, _: (kind, name) != ("table", "alembic_version")}
        return compare_metadata(MigrationContext.configure(conn, opts=ours), SCHEMA)

    assert database.read_sync(difference) == []


@pytest.mark.parametrize("url", ["sqlite"])
def test_a_revision_that_leaves_dangling_rows_is_refused(tmp_path, folder, url):
    database = Database.open(f"{url}:///{tmp_path / 'metadata.db'}")
    migrate.upgrade(database, folder=folder)
    bring(
        folder,
        "0002",
        'op.execute("INSERT INTO children (id, parent_id) VALUES (1, 99)")',
        after="0001",
    )

    with pytest.raises(RuntimeError, match="dangling"):
        migrate.upgrade(database, folder=folder)

    assert not migrate.check(database, folder=folder)
    database.close_sync()
