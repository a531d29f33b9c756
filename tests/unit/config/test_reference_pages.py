"""The reference pages are what the code says, and drift is named."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from entrepot.cli import reference
from entrepot.config.keys import keys, variables

DOCS = Path(__file__).parents[3] / "docs" / "reference"


def test_the_committed_pages_are_up_to_date():
    stale = [path.name for path in reference.drifted(DOCS)]

    assert stale == [], f"renew with: {reference.RENEW}"


def test_the_page_names_every_setting_and_every_variable():
    page = reference.configuration_page()

    for name in variables():
        assert f"`{name}`" in page
    for key in keys().values():
        assert f"| `{key.name}` |" in page
        assert key.description.replace("|", "\\|") in page


def test_every_row_of_a_table_has_as_many_cells_as_its_head():
    rows = [line for line in reference.configuration_page().splitlines() if line.startswith("|")]

    assert {line.replace("\\|", "").count("|") for line in rows} == {6}


def test_writing_makes_the_pages_and_checking_then_passes(tmp_path):
    folder = tmp_path / "reference"
    run = CliRunner().invoke

    missing = run(reference.main, ["--check", str(folder)])
    written = run(reference.main, [str(folder)])
    after = run(reference.main, ["--check", str(folder)])
    again = run(reference.main, [str(folder)])

    assert missing.exit_code == 1
    assert f"{folder}/configuration.md" in missing.stderr
    assert reference.RENEW in missing.stderr
    assert f"wrote {folder}/configuration.md" in written.stdout
    assert (after.exit_code, after.output) == (0, "")
    assert again.output == ""


def test_a_page_edited_by_hand_is_named(tmp_path):
    reference.write(tmp_path)
    page = tmp_path / "configuration.md"
    page.write_text(page.read_text().replace("4MiB", "5MiB"))

    assert reference.drifted(tmp_path) == [page]


@pytest.fixture
def commands():
    @click.group()
    def root():
        """Runs things."""

    @root.command()
    @click.option("--format", "form", type=click.Choice(["json", "text"]), help="How to\nprint.")
    @click.argument("name")
    def show(form, name):
        """Shows one | thing."""

    @root.command(hidden=True)
    def secret():
        """Not for people."""

    return root


def test_the_command_page_walks_the_tree_and_leaves_out_what_is_hidden(commands):
    text = reference.command_tree(commands)

    assert "## entrepot show\n\n`entrepot show [OPTIONS] NAME`\n\nShows one | thing.\n" in text
    assert "| `--format [json\\|text]` | How to print. |" in text
    assert "Not for people" not in text
