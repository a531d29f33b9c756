"""Signed requests with generated parameters over the whole table: never a fault of ours, always a code of the vendor's list."""

import random
from typing import Any

import msgspec
import pytest
from office import Office
from swr_contract import BY_NAME, CONTRACT, fields
from test_swr_contract import OWN_CODES

from entrepot.dialects.swr.table import TABLE

QUICK, LONG = 400, 10_000
KNOWN = {code.rpartition(".")[2] for code in CONTRACT["codes"]} | OWN_CODES
TEXTS = [
    *(
        "",
        "a",
        "group",
        "app$sub",
        "a/b",
        "%",
        "%2F",
        "$",
        "..",
        "é",
        "\u202e",
        "x" * 5000,
        "0",
        "-1",
    ),
    *(
        "99999999999999999999",
        "true",
        "null",
        "[]",
        "a::b",
        "::",
        "|",
        "limit::0",
        "name::x|name::y",
    ),
    *("forever", "2030-01-01T00:00:00Z", "(a+)+$", "(" * 300, "latest", "cce", "\ud7ff", "1e400"),
]
VALUES: list[Any] = [
    *TEXTS,
    *(0, 1, 3, 7, -1, 2**63, 1.5, True, False, None),
    [],
    {},
    [[]],
    [None],
    {"a": {"b": []}},
    ["a", "a"],
    [{"user_id": "x", "user_name": "y", "auth": 7}],
]


def _value(kind: msgspec.inspect.Type, dice: random.Random) -> Any:
    """Mostly of the type that is wanted."""
    if dice.random() < 0.2:
        return dice.choice(VALUES)
    match kind:
        case msgspec.inspect.BoolType():
            return dice.random() < 0.5
        case msgspec.inspect.IntType():
            return dice.choice([0, 1, 3, 7, 2**31, -5])
        case msgspec.inspect.LiteralType(values=values):
            return dice.choice(values)
        case msgspec.inspect.ListType(item_type=inner):
            return [_value(inner, dice) for _ in range(dice.randrange(4))]
        case msgspec.inspect.StructType(fields=inside):
            return {
                one.encode_name: _value(one.type, dice) for one in inside if dice.random() < 0.9
            }
        case msgspec.inspect.UnionType(types=types):
            return _value(dice.choice(types), dice)
        case _:
            return dice.choice(TEXTS)


def fuzz(office: Office, rounds: int, seed: int) -> dict[int, int]:
    """How often each status was answered."""
    dice = random.Random(seed)
    organization, repository = office.repository()
    office.push(f"{organization}/{repository}", "v1")
    there = {"{namespace}": organization, "{repository}": repository, "{tag}": "v1"}
    statuses: dict[int, int] = {}
    people = [office.owner, office.member]
    for _ in range(rounds):
        row = dice.choice(TABLE)
        path = row.path
        for part in {part for part in path.split("/") if part.startswith("{")}:
            real = there.get(part, "1")
            path = path.replace(
                part, real if dice.random() < 0.8 else dice.choice(TEXTS[:20]) or "x"
            )
        info = fields(row.operation.request)
        plain = {
            name: _value(one.type, dice)
            for name, one in info.items()
            if name not in row.names and dice.random() < 0.8
        }
        body: Any = None
        query: dict[str, str] = {}
        if row.array:
            body = plain.get(row.array, dice.choice(VALUES))
        elif row.method in ("POST", "PATCH", "DELETE"):
            body = plain if dice.random() < 0.9 else dice.choice(VALUES)
        else:
            query = {name: str(value)[:6000] for name, value in plain.items()}
        answer = dice.choice(people).send(row.method, path, body, query)
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
        assert answer.status < 500, (row.operation.name, path, body, query, answer)
        if answer.status >= 400:
            assert answer.code in KNOWN, (row.operation.name, answer)
        if row.method == "DELETE" and answer.status < 300:
            organization, repository = office.repository()
            office.push(f"{organization}/{repository}", "v1")
            there |= {"{namespace}": organization, "{repository}": repository}
    return statuses


def test_no_parameters_break_anything(office: Office):
    statuses = fuzz(office, QUICK, seed=1)
    assert any(status < 300 for status in statuses)
    assert any(status >= 400 for status in statuses)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_ten_thousand_calls_break_nothing(office: Office):
    print(fuzz(office, LONG, seed=2))


def test_every_operation_is_reached():
    assert len(BY_NAME) == len(TABLE)
