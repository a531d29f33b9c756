"""Each documented example request: accepted with its names made real, its answer having every documented field of its kind."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from office import Office
from swr_contract import BY_NAME, OPERATIONS, TYPES

ORDER = sorted(name for name in OPERATIONS if name in BY_NAME)
ABOUT_A_TAG = {"DeleteRepoTag"}
KINDS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
}


def conforms(kind: str, value: Any, where: str) -> None:
    """Whether a value is of a documented type; every documented field is there."""
    if kind.startswith("array<"):
        assert isinstance(value, list), where
        for one in value:
            conforms(kind[6:-1], one, where)
    elif kind.startswith("map<"):
        assert isinstance(value, dict), where
        for one in value.values():
            conforms(kind[4:-1].partition(",")[2].strip(), one, where)
    elif kind in TYPES:
        answered(TYPES[kind], value, where)
    else:
        fits = KINDS[kind.partition("(")[0]]
        assert fits(value), (where, kind, value)


def answered(fields: list[dict[str, Any]], value: Any, where: str) -> None:
    if fields and fields[0]["name"] == "[]":
        conforms(fields[0]["type"], value, where)
        return
    for one in fields:
        if one.get("alias_of"):
            continue
        assert one["name"] in value, (where, one["name"])
        if value[one["name"]] is None and one.get("nullable"):
            continue
        conforms(one["type"], value[one["name"]], f"{where}.{one['name']}")


class Stage:
    """An organization `group` with a repository `busybox` under names of this run."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.names = {"group": office.organization(), "0123456789abcdef0123456789abcdef": ""}

    def real(self, text: str) -> str:
        for documented, ours in self.names.items():
            text = text.replace(documented, ours or self.office.project.public_id)
        return text


@pytest.mark.parametrize(
    "name",
    [
        one
        for one in ORDER
        if BY_NAME[one].group in ("organizations", "repositories", "tags", "quotas", "logins")
    ],
)
def test_its_examples_are_accepted(new_office: Callable[[], Office], name: str):
    for example in OPERATIONS[name]["examples"]:
        office = new_office()
        stage = Stage(office)
        if name == "CreateNamespace":
            stage.names["group"] = office.fresh("example")
        elif name == "DeleteNamespaces":
            pass
        elif name != "CreateRepo":
            office.repository(stage.names["group"], "busybox")
        if name in ("DeleteRepoTag", "ListRepositoryTags"):
            office.push(f"{stage.names['group']}/busybox", "v1")
        if name == "CreateSecret":
            stage.names["region-1"] = office.project.name
        asked = example["request"]
        target, _, raw = stage.real(asked["path"]).partition("?")
        query = {}
        for pair in filter(None, raw.split("&")):
            key, _, value = pair.partition("=")
            query[key] = value.replace("%3A", ":").replace("%7C", "|")
        body = asked["body"]
        if body is not None:
            body = json.loads(stage.real(json.dumps(body)))
        answer = office.owner.send(asked["method"], target, body, query)
        page = OPERATIONS[name]
        assert answer.status == page["status"], (name, asked, answer)
        for header in page["headers"]:
            assert header.lower() in answer.headers, (name, header)
        if page["answer"]:
            answered(page["answer"], answer.json, name)
        elif page["status"] == 204:
            assert answer.body == b""
        else:
            assert answer.json == {}
