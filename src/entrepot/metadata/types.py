"""Column types that mean the same on both engines. Used by `schema.py` and by every revision; changing one changes history."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine


class NameText(TypeDecorator[str]):
    """Names, tags, digests: compared and sorted byte by byte (PostgreSQL `COLLATE "C"`, SQLite's `BINARY`)."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text of the engine with byte order."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.Text(collation="C"))
        return dialect.type_descriptor(sa.Text())


class Micros(TypeDecorator[int]):
    """A moment: microseconds since the epoch, UTC."""

    impl = sa.BigInteger
    cache_ok = True


class Bytes(TypeDecorator[bytes]):
    """A byte string, up to a few MiB (manifests, sealed secrets, hash states)."""

    impl = sa.LargeBinary
    cache_ok = True


class Json(TypeDecorator[Any]):
    """A JSON value: text on SQLite, `jsonb` on PostgreSQL, the same Python value on both. None is SQL's NULL.

    Key order and duplicate keys are not kept: what must come back byte by byte is `Bytes`.
    """

    impl = sa.JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """`jsonb` where there is one."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.JSONB(none_as_null=True))
        return dialect.type_descriptor(sa.JSON(none_as_null=True))


class BigId(TypeDecorator[int]):
    """A primary key the database counts up: `BIGSERIAL`, and SQLite's `INTEGER PRIMARY KEY`.

    Give the table `sqlite_autoincrement=True` where an id must not be used again after its row is gone: without it SQLite takes
    the largest present id plus one.
    """

    impl = sa.BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """SQLite counts only a column called INTEGER."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.Integer())
        return dialect.type_descriptor(sa.BigInteger())
