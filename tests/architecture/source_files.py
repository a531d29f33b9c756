"""The product's own files as the architecture tests read them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "entrepot"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One module."""

    name: str
    """Path below the package, such as `metadata/schema.py`."""
    text: str
    tree: ast.Module


@cache
def source_files() -> tuple[SourceFile, ...]:
    """Every module of the package, in the order of their names."""
    return tuple(
        SourceFile(str(path.relative_to(PACKAGE)), text, ast.parse(text))
        for path in sorted(PACKAGE.rglob("*.py"))
        for text in (path.read_text(encoding="utf-8"),)
    )


def functions(source: SourceFile) -> Iterator[tuple[str, Function]]:
    """Functions and methods with their names, `Class.method` for the latter."""

    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                yield f"{prefix}{child.name}", child
                yield from walk(child, f"{prefix}{child.name}.")
            elif isinstance(child, ast.ClassDef):
                yield from walk(child, f"{prefix}{child.name}.")
            else:
                yield from walk(child, prefix)

    yield from walk(source.tree, "")


def lines_of(function: Function) -> int:
    """Lines from `def` to the end, without decorators."""
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1
