"""Any parameters at all, in signed requests: of known names and types, with names of things that are there, and without sense.

Each answer is an envelope with a code that the action documents, and none is `InternalError`; what the registry logs is looked at when it
stops. `ENTREPOT_TCR_FUZZ=<calls>[,<seed>]` sets how many, and repeats a run.
"""

import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from account import open_account
from contract_shapes import ACTIONS, COMMON_CODES, Field, misfits
from firm import Firm
from sending import Sent, tc3_get, tc3_post, v1
from started import Operator, Started
from test_refused_parameters import inputs, kind_of, members

from entrepot.dialects.tcr.table import SERVICES, TABLE

QUICK, LONG = 500, 10_000
LONGEST_QUERY = 15_000
BUILDS: list[Callable[..., Sent]] = [tc3_post, tc3_post, tc3_post, tc3_get, v1]
TAGS = SERVICES[1]
TEXTS = [
    "", " ", ".", "..", "/", "//", "a/b", "a/../b", "-", "_", "%", "*", "?", "'", '"', "\\", "`", "$", "#", "\n", "\r\n", "\t",
    "\x00", "\x01", "\x1b[31m", "\x7f", "\x80", "\u202e", "\ufeff", "\uffff", "你好", "😀", "İ", "ß", "ﬁ", "e\u0301",
    "' OR 1=1 --", "%00", "%s", "{0}", "${x}", "<b>", "null", "None", "true", "false", "0", "-1", "1.5", "1e9", "NaN",
    "tcr$", "tcr$x", "library", "latest", "sha256:", "sha256:" + "0" * 64, "0.0.0.0/0", "::/0", "::1", "10.0.0.0/33",
    "10.0.0.0/-1", "256.1.1.1", "1.1.1.1/٣", "fe80::1%eth0", "-creation_time", "name:value", ":", "a:", ":b",
    "x" * 63, "x" * 64, "x" * 255, "x" * 256, "x" * 5000, "a" * 30, "a" * 31,
]  # fmt: skip
NUMBERS = [
    0, 1, 2, 3, -1, 20, 100, 1000, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, -(2**63), 10**30,
    253_402_300_799_000, 253_402_300_800_000,
]  # fmt: skip
RIGHTS = ["tcr:PushRepository", "tcr:PullRepository", "tcr:CreateHelmChart", "tcr:*", "*"]
FILTERS = ["RegistryName", "RegistryId", "RegistryType", "Status", "Tags", "ServiceAccountName"]
WORDS = [
    "Create",
    "Delete",
    "temp",
    "longterm",
    "basic",
    "standard",
    "premium",
    "instance",
    "namespace",
]
KNOWN = {
    f"InternalError.{word}"
    for word in ("ErrConflict", "ErrorConflict", "ErrorTcrResourceConflict", "ErrorOverLimit")
}
"""What some pages call a name that is taken, or a limit; all other codes of that kind are faults of ours."""
SPARED = {"RegistryId", "InstanceId"}


@pytest.fixture
def firm(tcr: Started, tcr_operator: Operator) -> Iterator[Firm]:
    """Of one test alone, which leaves nothing as it was."""
    made = Firm(open_account(tcr, tcr_operator))
    yield made
    made.wire.close()


class Generator:
    """Parameters from a seed, with what the firm has in mind."""

    def __init__(self, firm: Firm, seed: int) -> None:
        self.firm, self.chance = firm, random.Random(seed)
        self.victim = firm.instance()  # that may be deleted
        firm.image("living", "app", "1.0", "2.0")
        self.living = {
            "NamespaceName": ["living", "robots", "fresh"],
            "RepositoryName": ["app", "web/app", "living/app"],
            "ImageVersion": ["1.0", "2.0"],
            "Tags": ["1.0", "2.0"],
            "Resource": ["living", "robots", f"qcs::tcr::uin/:instance/{firm.registry}"],
            "Name": [firm.robot("living-robot"), "tcr$living-robot", *FILTERS],
            "Actions": RIGHTS,
            "TokenId": [firm.token()["TokenId"]],
            "VpcId": [firm.network()],
            "CidrBlock": ["10.9.0.0/16", "192.0.2.1", "2001:db8::/32"],
            "CertificateId": [firm.certificate("fuzz.example.test")],
            "DomainName": ["fuzz.example.test"],
            "SourceNamespace": ["living"],
            "SourceRepo": ["app"],
            "SourceReference": ["1.0"],
            "RegistryIds": [firm.registry],
            "Registryids": [firm.registry],
            "Password": ["NewPass123"],
        }

    def call(self) -> tuple[str, Sent]:
        action = self.chance.choice(sorted(TABLE) + sorted(TAGS.table))
        fields, self.is_deleting = self._fields(action), action == "DeleteInstance"
        given: dict[str, Any] = {}
        for name, field in fields.items():
            if (field.is_required and self.chance.random() < 0.97) or self.chance.random() < 0.4:
                given[name] = self.value(name, field)
        if self.chance.random() < 0.03:
            given[self.text()] = self.junk()
        how = {"version": TAGS.version, "service": "tag"} if action in TAGS.table else {}
        build = tc3_post if how else self.chance.choice(BUILDS)
        if build is not tc3_post:  # a text with half a character cannot be written there at all
            given = _sound(given)
        sent = build(self.firm.account, action, given, **how)
        if len(sent.query) > LONGEST_QUERY:
            sent = tc3_post(self.firm.account, action, given)
        return action, sent

    @staticmethod
    def _fields(action: str) -> dict[str, Field]:
        if action in TABLE:
            return inputs(action)
        if action == "ModifyResourceTags":
            names = {
                "Resource": "str",
                "ReplaceTags": "[TagKeyValue]",
                "DeleteTags": "[TagKeyOnly]",
            }
        else:
            names = dict.fromkeys(("ServiceType", "ResourcePrefix"), "str") | {
                "ResourceIds": "[str]"
            }
        return {name: Field(kind, is_required=True) for name, kind in names.items()}

    def value(self, name: str, field: Field) -> Any:
        if name in SPARED and self.chance.random() < 0.9:
            return self.victim if self.is_deleting else self.firm.registry
        if self.chance.random() < 0.04:
            return self.junk()
        kind = kind_of(field)
        if kind == "str":
            return self._word(name)
        if kind == "int":
            small = self.chance.random() < 0.6
            return self.chance.choice([0, 1, 2, 20, "1"]) if small else self.chance.choice(NUMBERS)
        if kind == "bool":
            return self.chance.choice([True, False, "true", "False"])
        if kind == "list":
            item = Field(field.type[1:-1])
            return [self.value(name, item) for _ in range(self.chance.choice([0, 1, 1, 2, 3, 25]))]
        return {
            member: self.value(member, of)
            for member, of in _members(field.type).items()
            if of.is_required or self.chance.random() < 0.5
        }

    def _word(self, name: str) -> str:
        roll = self.chance.random()
        if roll < 0.6 and name in self.living:
            return self.chance.choice(self.living[name])
        if roll < 0.75:
            return self.chance.choice(WORDS)
        return self.text()

    def text(self) -> str:
        parts = [self.chance.choice(TEXTS) for _ in range(self.chance.choice([1, 1, 1, 2, 3]))]
        if self.chance.random() < 0.2:
            parts.append("".join(chr(self.chance.randrange(0x110000)) for _ in range(5)))
        return "".join(parts)

    def junk(self, depth: int = 0) -> Any:
        kind = self.chance.randrange(7 if depth < 4 else 5)
        if kind < 2:
            return self.text()
        if kind == 2:
            return self.chance.choice(NUMBERS)
        if kind < 5:
            return self.chance.choice([None, True, False, 1.5, -0.0, 1e300])
        if kind == 5:
            return [self.junk(depth + 1) for _ in range(self.chance.randrange(4))]
        return {self.text(): self.junk(depth + 1) for _ in range(self.chance.randrange(4))}


def _members(kind: str) -> dict[str, Field]:
    required = {"TagKeyValue": ["TagKey", "TagValue"], "TagKeyOnly": ["TagKey"]}.get(kind)
    if required is None:
        return members(kind)
    return {name: Field("str", is_required=True) for name in required}


def _sound(given: Any) -> Any:
    if isinstance(given, dict):
        return {_sound(name): _sound(value) for name, value in given.items()}
    if isinstance(given, list):
        return [_sound(value) for value in given]
    if isinstance(given, str):
        return given.encode("utf-8", "replace").decode()
    return given


def fuzz(firm: Firm, calls: int) -> dict[str, int]:
    """How often which code was answered."""
    setting = os.environ.get("ENTREPOT_TCR_FUZZ", "")
    first, _, second = setting.partition(",")
    calls, seed = int(first or calls), int(second or random.randrange(2**32))
    generator = Generator(firm, seed)
    codes: dict[str, int] = {}
    for number in range(calls):
        action, sent = generator.call()
        about = f"call {number} of seed {seed}: {action} {sent.query[:500]!r} {sent.body[:1500]!r}"
        try:
            answer = firm.wire.send(sent)
        except AssertionError as error:
            raise AssertionError(f"{about}: {error}") from error
        code = answer.get("Error", {}).get("Code", "")
        if not code and action in TABLE:
            assert not misfits(action, answer), about
        page = set(ACTIONS.get(action, {"errors": ()})["errors"])
        assert not code or code in page | COMMON_CODES, f"{code} after {about}"
        assert not code.startswith("InternalError") or code in KNOWN, f"{code} after {about}"
        codes[code] = codes.get(code, 0) + 1
    return codes


def test_no_parameters_break_anything(firm: Firm):
    codes = fuzz(firm, QUICK)
    assert codes[""] > 20  # it is not all nonsense
    assert codes["InvalidParameter"] > 20


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_no_parameters_break_anything_in_ten_thousand_calls(firm: Firm):
    codes = fuzz(firm, LONG)
    print(sorted(codes.items(), key=lambda pair: -pair[1]))
    assert codes[""] > 500
