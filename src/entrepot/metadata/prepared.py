"""Selects compiled once: what a point read or a page gives to the driver, without SQLAlchemy in between."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler

Process = Callable[[Any], Any]
Rows = list[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A select in the driver's words. Made by `Database.prepare`, good for any database of the same dialect."""

    sql: str
    names: tuple[str, ...]  # parameters in the driver's order
    is_positional: bool
    constants: Mapping[
        str, object
    ]  # parameters that the statement itself brings (limits, literals)
    into: Mapping[str, Process]  # value -> driver's value, where they differ
    out: (
        tuple[Process | None, ...] | None
    )  # driver's value -> value by column, None when none differs

    plain: Callable[[Mapping[str, object]], Any] | None = (
        None  # all of `bind`, where there is little to do
    )

    def bind(self, parameters: Mapping[str, object]) -> Any:
        """Driver parameters: a tuple or a dict. KeyError names a missing one."""
        if self.plain is not None:
            return self.plain(parameters)
        values = {**self.constants, **{n: parameters[n] for n in self.names if n in parameters}}
        for name, process in self.into.items():
            values[name] = process(values[name])
        if self.is_positional:
            return tuple([values[name] for name in self.names])
        if len(values) < len(self.names):
            raise KeyError(next(name for name in self.names if name not in values))
        return values

    def row(self, row: Sequence[object]) -> tuple[object, ...]:
        """A driver row as the column types promise it."""
        if self.out is None:
            return tuple(row)
        return tuple(
            [v if p is None else p(v) for v, p in zip(row, self.out, strict=True)],
        )


def compile_select(statement: sa.Executable, dialect: Dialect) -> Prepared:
    """Compile for one dialect. TypeError for anything but a select, ValueError for `IN` over a list parameter."""
    if not isinstance(statement, sa.SelectBase):
        raise TypeError("only selects can be prepared for point reads")
    compiled = statement.compile(dialect=dialect)
    if not isinstance(compiled, SQLCompiler):
        raise TypeError("the dialect compiled no SQL")
    binds = compiled.binds
    if any(bind.expanding or bind.literal_execute for bind in binds.values()):
        raise ValueError("a prepared select has no list parameters; use a join or read()")
    processors = {
        name: bind.type.dialect_impl(dialect).bind_processor(dialect)
        for name, bind in binds.items()
    }
    out = tuple(
        column.type.dialect_impl(dialect).result_processor(dialect, None)
        for column in statement.selected_columns
    )
    names = tuple(compiled.positiontup) if compiled.positiontup is not None else tuple(binds)
    constants = {name: bind.value for name, bind in binds.items() if not bind.required}
    into = {name: process for name, process in processors.items() if process is not None}
    is_plain = compiled.positional and not constants and not into and len(names) > 1
    return Prepared(
        sql=compiled.string,
        names=names,
        is_positional=bool(compiled.positional),
        constants=constants,
        into=into,
        out=out if any(out) else None,
        plain=itemgetter(*names) if is_plain else None,
    )


class PageSelect:
    """A select of one page of a list: fixed shape, an order, and a LIMIT. A constant of its module, compiled once for each engine."""

    def __init__(self, statement: sa.Executable) -> None:
        self._statement = statement
        self._prepared: dict[str, Prepared] = {}

    def prepared(self, dialect: Dialect) -> Prepared:
        """In the words of that engine's driver. Raises as `compile_select`."""
        found = self._prepared.get(dialect.name)
        if found is None:
            found = self._prepared[dialect.name] = compile_select(self._statement, dialect)
        return found

    def rows(self, conn: Connection, parameters: Mapping[str, object]) -> Rows:
        """All rows, inside a function given to the database and in its snapshot. `Database.page` is for one page alone."""
        prepared = self.prepared(conn.dialect)
        result = conn.exec_driver_sql(prepared.sql, prepared.bind(parameters))
        rows: Rows = list(result.cursor.fetchall())  # the driver's: SQLAlchemy's cost more
        result.close()
        return rows if prepared.out is None else [prepared.row(row) for row in rows]
