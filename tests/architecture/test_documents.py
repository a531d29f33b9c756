"""Pages lead somewhere, lists of them are complete, and examples of settings are right."""

import re
import tomllib
from pathlib import Path

import pytest
from source_files import ROOT

from entrepot.config.keys import keys

DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
TOML = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def links(page: Path) -> list[str]:
    return LINK.findall(re.sub(r"`[^`\n]*`", "", page.read_text(encoding="utf-8")))


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path):
    lost = []
    for link in links(page):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        place = (page.parent / target).resolve() if target else page
        if not place.exists() or (anchor and anchor not in anchors(place)):
            lost.append(link)

    assert lost == []


def test_the_index_names_every_guide_and_reference_page():
    listed = {(DOCS / link).resolve() for link in links(DOCS / "index.md")}

    pages = {*DOCS.glob("how-to/*.md"), *DOCS.glob("reference/*.md")}

    assert sorted(pages - listed) == []


def test_the_index_of_decisions_names_every_decision():
    listed = set(links(DOCS / "decisions" / "README.md"))

    decisions = {path.name for path in DOCS.glob("decisions/[0-9]*.md")}

    assert decisions <= listed
    assert len({name[:4] for name in decisions}) == len(decisions), "two decisions with one number"


def test_every_dependency_has_its_line_among_the_decisions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *project["project"]["dependencies"],
        *(name for extra in project["project"]["optional-dependencies"].values() for name in extra),
        *(name for group in project["dependency-groups"].values() for name in group),
    ]
    text = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    table = {
        name
        for row in re.findall(r"^\|(.*?)\|", text, re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", row)
    }

    names = {re.split(r"[\[<>=~ ]", requirement)[0] for requirement in wanted}

    assert names <= table
    assert table - {"tracing"} <= names


def test_examples_of_settings_name_settings_that_exist():
    examples = [
        (page.name, tomllib.loads(text))
        for page in PAGES
        for text in TOML.findall(page.read_text(encoding="utf-8"))
    ]
    named = {
        f"{section}.{name}"
        for _, example in examples
        for section, table in example.items()
        for name in table
    }

    assert examples
    assert named <= set(keys())


def test_settings_that_pages_speak_of_exist():
    sections = {path.partition(".")[0] for path in keys()}
    spoken = {
        word
        for page in PAGES
        if page.name != "CHANGELOG.md" and "decisions" not in page.parts
        for word in re.findall(
            r"`([a-z]+\.[a-z_]+)(?: = [^`]*)?`", page.read_text(encoding="utf-8")
        )
        if word.partition(".")[0] in sections and not word.endswith((".py", ".key", ".toml"))
    }

    assert spoken <= set(keys())
