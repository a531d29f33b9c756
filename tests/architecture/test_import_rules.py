"""Who imports whom: import-linter's contracts, that they name every room, and what a light process loads."""

import configparser
import subprocess
import sys

import pytest
from source_files import PACKAGE, ROOT

HEAVY = ("alembic", "cryptography", "jwt", "prometheus_client", "psycopg", "rich", "sqlalchemy")
UNRANKED = {"config"}  # below everything by a contract of its own


def rules() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter", encoding="utf-8")
    return parser


def modules(section: str, key: str) -> set[str]:
    return set(rules()[f"importlinter:contract:{section}"][key].replace("|", " ").split())


def rooms() -> set[str]:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    return folders | {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}


def test_import_contracts_are_kept():
    lint = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]

    done = subprocess.run(
        [*lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_every_room_has_its_rank():
    ranked = {name.removeprefix("entrepot.") for name in modules("rooms", "layers")}

    assert rooms() - UNRANKED == ranked


def test_every_room_but_metadata_is_kept_from_sql():
    kept = {name.removeprefix("entrepot.") for name in modules("sql", "source_modules")}

    assert rooms() - {"metadata"} == kept


def test_every_room_but_bootstrap_is_kept_from_the_adapters():
    kept = {name.removeprefix("entrepot.") for name in modules("adapters", "source_modules")}

    assert rooms() - {"bootstrap", "remotes", "storage", "__main__"} == kept


@pytest.mark.parametrize(
    "module",
    ["entrepot.bootstrap.supervisor", "entrepot.cli.serve", "entrepot.cli.config"],
)
def test_a_process_that_only_watches_or_reads_settings_loads_nothing_heavy(module):
    program = f"import sys, {module}; print(*sorted(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & set(HEAVY)
