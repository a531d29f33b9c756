"""Every command of the README and of the how-to guides does what its page shows.

`documented_commands` says how a block is written. ENTREPOT_DOCS_WRITE=1 writes what was printed into the pages; read
the difference before it is committed, and put `…` where a line is not the same every time.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from documented_clients import Clients, database
from documented_commands import Block, blocks, difference
from documented_page import Session
from source_files import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))]
WITH_CLIENTS = [page for page in PAGES if any(block.needs for block in blocks(page))]
# Dozens of commands, a second each: these pages wait for `make test-all`.
LONG = (
    *("users-and-rights", "service-accounts", "quotas", "collection", "backup", "instances"),
    *("network-access", "api", "clients", "monitoring", "sync", "triggers"),
)
IN_TURN = [
    pytest.param(page, marks=pytest.mark.blackbox) if page.stem in LONG else page
    for page in PAGES
    if not (page.stem in LONG and page in WITH_CLIENTS)  # those run once, with everything
]


def name(page: Path) -> str:
    return page.stem


def serves_itself(page: Path) -> bool:
    return any("serves" in block.marks for block in blocks(page))


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    started = Session(tmp_path, {})
    yield started
    started.stop()


def write(page: Path, session: Session) -> None:
    if os.environ.get("ENTREPOT_DOCS_WRITE", "") in ("", "0"):
        return
    lines = page.read_text(encoding="utf-8").splitlines()
    for line, (length, printed) in sorted(session.written.items(), reverse=True):
        while printed and not printed[-1]:
            printed.pop()
        lines[line : line + length] = printed
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", IN_TURN, ids=name)
def test_the_commands_of_a_page_do_what_it_shows(page: Path, session: Session):
    own = [block for block in blocks(page) if not block.needs]
    session.serves_itself = serves_itself(page)

    for block in own:
        session.run(block)

    write(page, session)


@pytest.mark.blackbox
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", WITH_CLIENTS, ids=name)
def test_the_commands_of_a_page_with_clients_do_what_it_shows(
    page: Path, tmp_path: Path, clients: Clients
):
    wanted = blocks(page)
    missing = sorted({need for block in wanted for need in block.needs if not clients.has(need)})
    with database() as instead:
        session = Session(tmp_path, clients.surroundings(tmp_path), instead)
        session.serves_itself = serves_itself(page)
        try:
            clients.prepare(tmp_path / "entrepot", session.variables)
            for block in wanted:
                if not set(block.needs) & set(missing):
                    session.run(block)
        finally:
            session.stop()
    write(page, session)

    if missing:
        pytest.skip(f"not installed, so left out: {', '.join(missing)}")


def test_shown_output_agrees_with_printed_output_but_for_what_differs_each_time():
    shown = ["made at 2026-11-22T08:00:00Z", "…", "id: …", "done in 3 ms"]
    printed = ["made at 2027-01-01T01:02:03Z", "one", "two", "id: 7", "", "done in 5 ms"]

    assert difference(shown, printed) is None
    assert difference(shown, [*printed, "and more"]) is not None
    assert difference(shown, printed[:-1]) is not None
    assert difference([], ["something"]) is not None


def test_every_page_has_a_command():
    assert [page for page in PAGES if not blocks(page)] == []
    assert all(isinstance(block, Block) for page in PAGES for block in blocks(page))
