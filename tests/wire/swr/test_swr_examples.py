"""Each documented example request: accepted with its names made real, its answer having every documented field of its kind."""

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from office import Answer, Office
from swr_contract import BY_NAME, OPERATIONS, TYPES

ORDER = sorted(name for name in OPERATIONS if name in BY_NAME)
pytestmark = pytest.mark.broad
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
    """What the examples name, under names of this run: organizations, a repository with a tag, another account, a user, and what else one needs."""

    def __init__(self, office: Office, other: Office) -> None:
        self.office = office
        self.names = {
            "group2": office.organization(),
            "group": office.organization(),
            "acct2": other.tenant.name,
            "user02": office.member.user.name,
            "f" * 32: office.member.user.public_id,
            "0123456789abcdef0123456789abcdef": office.project.public_id,
            "region-1": office.project.name,
            "region-2": office.project.region,
        }

    def real(self, text: str) -> str:
        """The text with our names; longer ones first, since some begin with others."""
        return DOCUMENTED.sub(lambda found: self.names[found[0]], text)

    def prepare(self, name: str) -> None:
        """Whatever must be there before the example."""
        if name == "CreateNamespace":
            self.names["group"] = self.office.fresh("example")
        if name in ("CreateNamespace", "DeleteNamespaces", "CreateRepo"):
            return
        self.office.repository(self.names["group"], "busybox")
        if name != "DeleteRepo":
            self.office.push(f"{self.names['group']}/busybox", "v1")
        for maker, others in MADE_BEFORE.items():
            if name in others:
                made = self.do(maker)
                self.names["34"] = str(made.json.get("id", "34")) if made.json else "34"

    def do(self, name: str, how: str = "signed", number: int = 0) -> Answer:
        """The operation's example."""
        asked = OPERATIONS[name]["examples"][number]["request"]
        path, _, raw = asked["path"].partition("?")
        if name.endswith("Retention"):
            path = path.replace("/34", f"/{self.names.get('34', '34')}")
        query = dict(parse_qsl(self.real(raw)))
        body = asked["body"]
        body = None if body is None else json.loads(self.real(json.dumps(body)))
        project = {"X-Project-Id": self.office.project.public_id} if how != "signed" else {}
        if how != "token":
            return self.office.owner.send(asked["method"], self.real(path), body, query, **project)
        headers = {
            "Content-Type": "application/json",
            "X-Auth-Token": self.office.token("owner"),
            **project,
        }
        target = self.real(path) + (f"?{urlencode(query)}" if query else "")
        content = b"" if body is None else json.dumps(body).encode()
        return self.office.plain(asked["method"], target, content, headers)


DOCUMENTED = re.compile(
    r"group2|group|acct2|user02|f{32}|0123456789abcdef0123456789abcdef|region-1|region-2"
)
MADE_BEFORE = {
    "CreateNamespaceAuth": ("UpdateNamespaceAuth", "DeleteNamespaceAuth", "ShowNamespaceAuth"),
    "CreateUserRepositoryAuth": (
        "UpdateUserRepositoryAuth",
        "DeleteUserRepositoryAuth",
        "ShowUserRepositoryAuth",
    ),
    "CreateRepoDomains": (
        "UpdateRepoDomains",
        "DeleteRepoDomains",
        "ListRepoDomains",
        "ShowAccessDomain",
        "ListSharedReposDetails",
    ),
    "CreateRetention": ("UpdateRetention", "DeleteRetention", "ListRetentions", "ShowRetention"),
    "CreateTrigger": ("UpdateTrigger", "DeleteTrigger", "ListTriggersDetails", "ShowTrigger"),
    "CreateImageSyncRepo": ("DeleteImageSyncRepo", "ListImageAutoSyncReposDetails"),
    "CreateManualImageSyncRepo": ("ShowSyncJob",),
}


@pytest.mark.parametrize("how", ["signed", "signed in a project", "token"])
@pytest.mark.parametrize("name", ORDER)
def test_its_examples_are_accepted(new_office: Callable[[], Office], name: str, how: str):
    page = OPERATIONS[name]
    for number in range(len(page["examples"])):
        stage = Stage(new_office(), new_office())
        stage.prepare(name)
        answer = stage.do(name, how, number)
        assert answer.status == page["status"], (name, page["examples"][number], answer)
        for header in page["headers"]:
            assert header.lower() in answer.headers, (name, header)
        if page["answer"]:
            answered(page["answer"], answer.json, name)
        elif page["status"] == 204:
            assert answer.body == b""
        else:
            assert answer.json == {}
