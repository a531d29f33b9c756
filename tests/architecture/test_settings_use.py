"""A setting that nothing reads is a promise not kept."""

import ast
from collections import defaultdict

from source_files import source_files

from entrepot.config.keys import keys, sections

KEPT_BY_A_RULE = {
    "http.insecure": "its rule refuses to start without it, nothing else depends on it",
}


def last_name(node: ast.expr) -> str | None:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.lstrip("_")
        case _:
            return None


def aliases(tree: ast.Module) -> dict[str, set[str]]:
    """Names that a module gives to a section: `http = settings.http`, or a parameter `rules: Gc`."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    types = {section.__name__: name for name, section in sections().items()}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[target], value=ast.Attribute(attr=section)):
                if (name := last_name(target)) and section in sections():
                    found[name].add(section)
            case ast.arg(arg=name, annotation=ast.Name(id=kind)) if kind in types:
                found[name.lstrip("_")].add(types[kind])
            case _:
                pass
    return found


def read_paths() -> set[str]:
    paths = set()
    for source in source_files():
        if source.name in {"config/tree.py", "config/rules.py"}:
            continue
        named = aliases(source.tree)
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Attribute) and (owner := last_name(node.value)):
                paths |= {f"{section}.{node.attr}" for section in {owner, *named.get(owner, ())}}
    return paths


def test_every_setting_is_read_somewhere():
    assert sorted(set(keys()) - read_paths()) == sorted(KEPT_BY_A_RULE)
