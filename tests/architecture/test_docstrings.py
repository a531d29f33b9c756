"""Public modules, classes and functions say what they are for.

A method whose class has a base is excused, because the base says it; so is one of a class whose own
docstring names the protocol it keeps.
"""

import ast
from collections.abc import Iterator

from source_files import Function, source_files

Named = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def excused(source: str) -> bool:
    """Schema revisions, which are called by two fixed names."""
    return "migrations/versions/" in source


def public(source: ast.Module) -> Iterator[Named]:
    for node in source.body:
        if isinstance(node, Named) and not node.name.startswith("_"):
            yield node


def is_overload(node: Named) -> bool:
    return any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list)


def test_every_module_with_something_in_it_says_what_it_is_for():
    silent = [
        source.name
        for source in source_files()
        if source.tree.body and ast.get_docstring(source.tree) is None
    ]

    assert silent == []


def test_every_public_class_and_function_says_what_it_is_for():
    silent = [
        f"{source.name}: {node.name}"
        for source in source_files()
        if not excused(source.name)
        for node in public(source.tree)
        if ast.get_docstring(node) is None and not is_overload(node)
    ]

    assert silent == []


def test_most_public_methods_say_what_they_do():
    methods = [
        node
        for source in source_files()
        for owner in public(source.tree)
        if isinstance(owner, ast.ClassDef)
        for node in owner.body
        if isinstance(node, Function) and not node.name.startswith("_")
    ]

    silent = [node for node in methods if ast.get_docstring(node) is None]

    assert len(silent) <= 0.15 * len(methods)
