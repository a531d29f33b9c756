"""The tests' tables, and the program their child processes run."""

import sys

import sqlalchemy as sa

from entrepot.metadata.database import Connection, Database
from entrepot.metadata.types import BigId, Bytes, Json, Micros, NameText

TABLES = sa.MetaData()
names = sa.Table(
    "names",
    TABLES,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("name", NameText, nullable=False, unique=True),
    sa.Column("document", Json),
    sa.Column("body", Bytes),
    sa.Column("made_at", Micros),
)
counters = sa.Table(
    "counters",
    TABLES,
    sa.Column("name", NameText, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)


def add_name(name: str):
    """A function that inserts the name."""

    def insert(conn: Connection) -> int:
        return conn.execute(names.insert().values(name=name)).inserted_primary_key[0]

    return insert


def read_then_increment(conn: Connection) -> int:
    """The careless way, that only true isolation makes right."""
    value = conn.scalar(sa.select(counters.c.value).where(counters.c.name == "n"))
    conn.execute(counters.update().where(counters.c.name == "n").values(value=value + 1))
    return value + 1


def main() -> None:
    """`count URL TIMES`: increment so often. `names URL PREFIX`: insert names and print each once it is answered, forever."""
    what, url, argument = sys.argv[1:]
    database = Database.open(url)
    if what == "count":
        for _ in range(int(argument)):
            database.write_sync(read_then_increment)
        database.close_sync()
        return
    number = 0
    while True:
        batch = [database._write(add_name(f"{argument}{number + i}")) for i in range(20)]
        for i, future in enumerate(batch):
            future.result()
            print(f"{argument}{number + i}", flush=True)
        number += len(batch)


if __name__ == "__main__":
    main()
