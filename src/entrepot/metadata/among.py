"""Conditions on any number of ids: they travel as one JSON text, since PostgreSQL takes 65 535 parameters a statement and SQLite less."""

import json
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _Each(FunctionElement[Any]):
    """The elements of a JSON array, as rows with a column `value`."""

    inherit_cache = True
    name = "each"


@compiles(_Each, "sqlite")
def _of_sqlite(element: _Each, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_Each, "postgresql")
def _of_postgresql(element: _Each, compiler: SQLCompiler, **options: Any) -> str:
    return (
        f"jsonb_array_elements_text(CAST({compiler.process(element.clauses, **options)} AS jsonb))"
    )


def among(column: sa.ColumnElement[int], numbers: Iterable[int]) -> sa.ColumnElement[bool]:
    """Whether the column has one of these numbers. Of none: never."""
    listed = sa.bindparam(None, json.dumps(sorted(numbers)), sa.Text)
    value: sa.ColumnClause[Any] = sa.column("value")
    return column.in_(sa.select(sa.cast(value, sa.BigInteger)).select_from(_Each(listed)))
