"""Names that say nothing, and marks of unfinished work, are not in the source."""

import ast
import io
import re
import tokenize

import pytest
from source_files import PACKAGE, ROOT, source_files

EMPTY_NAMES = re.compile(r"utils?|helpers?|commons?|managers?|misc|stuff|lib")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def test_no_module_has_a_name_that_says_nothing():
    parts = [
        part
        for path in PACKAGE.rglob("*.py")
        for part in path.relative_to(PACKAGE).with_suffix("").parts
    ]

    assert not [part for part in parts if any(map(EMPTY_NAMES.fullmatch, part.split("_")))]


def test_no_class_is_a_manager():
    classes = [
        node.name
        for source in source_files()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef)
    ]

    assert not [name for name in classes if name.endswith(("Manager", "Helper", "Utils"))]


@pytest.mark.parametrize("folder", ["src", "tests", "bench"])
def test_an_ignored_type_names_its_rule(folder):
    bare = re.compile(r"#\s*type:\s*ignore(?!\[)")

    found = [
        f"{path.relative_to(ROOT)}:{token.start[0]}"
        for path in (ROOT / folder).rglob("*.py")
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
        if token.type == tokenize.COMMENT and bare.search(token.string)
    ]

    assert found == []


def test_nothing_in_the_source_is_unfinished():
    found = [
        f"{source.name}:{number}"
        for source in source_files()
        for number, line in enumerate(source.text.splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    stubs = [
        f"{source.name}:{node.lineno}"
        for source in source_files()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Name) and node.id == "NotImplementedError"
    ]

    assert found + stubs == []
