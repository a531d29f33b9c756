"""Bodies and how often: nobody unknown has one read, no operation takes more than it has reason to, and an account has its rate."""

import json
from collections.abc import Iterator

import pytest
import transport
from office import Office, opened
from started import Operator, Started, operating, started

ORGANIZATIONS = "/v2/manage/namespaces"
LIMIT = 256 * 1024


def answer_to_head(office: Office, headers: dict[str, str], length: int) -> tuple[int, str]:
    """Status and code of what is told to a request whose body never comes."""
    told = {"Host": "127.0.0.1", "Content-Length": str(length), **headers}
    lines = [
        f"POST {ORGANIZATIONS} HTTP/1.1",
        *(f"{name}: {value}" for name, value in told.items()),
    ]
    with transport.dial(office.registry.port) as wire:
        wire.sendall("\r\n".join([*lines, "", ""]).encode())
        received = b""
        while b"\r\n\r\n" not in received or not received.endswith(b"}"):
            piece = wire.recv(65536)
            if not piece:
                break
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error_code"]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "SVCSTG.S2I.4019000"),
        ({"X-Auth-Token": "x"}, "SVCSTG.SWR.4010000"),
        ({"Authorization": "SDK-HMAC-SHA256 x"}, "SVCSTG.SWR.4010000"),
    ],
)
def test_who_cannot_be_known_is_refused_before_the_body(
    office: Office, headers: dict[str, str], code: str
):
    for length in (1000, 10**7):
        assert answer_to_head(office, headers, length) == (401, code)


def test_a_signature_of_long_ago_is_refused_before_the_body(office: Office):
    headers = office.owner.signature("POST", ORGANIZATIONS)
    headers = {**headers, "X-Sdk-Date": "20240102T030405Z"}
    headers.pop("Host", None)
    assert answer_to_head(office, headers, 1000) == (401, "SVCSTG.SWR.4010000")


def test_a_body_that_is_too_large_is_refused_before_it_comes(office: Office):
    headers = {"X-Auth-Token": office.token("owner")}
    assert answer_to_head(office, headers, LIMIT + 1) == (413, "SVCSTG.SWR.4131001")


def test_bodies_are_bounded_by_what_the_operation_takes(office: Office):
    name = office.fresh("bounded")
    body = json.dumps({"namespace": name}).encode()
    filled = body + b" " * (LIMIT - len(body))
    assert office.owner.send("POST", ORGANIZATIONS, filled + b" ").code == "4131001"
    assert office.owner.send("POST", ORGANIZATIONS, filled).status == 201
    _, repository = office.repository(name)
    rules = f"{ORGANIZATIONS}/{name}/repos/{repository}/retentions"
    said = {"algorithm": "or", "rules": [{"template": "tag_rule", "params": {"num": "1"}, "tag_selectors": []}]}  # fmt: skip
    body = json.dumps(said).encode()
    assert office.owner.send("POST", rules, body + b" " * LIMIT).status == 201


def test_a_body_has_no_more_values_and_depth_than_any_request(office: Office):
    for junk in ("[]," * 80_000 + "[]", "[" * 40 + "]" * 40):
        body = f'{{"namespace": "{office.fresh("junk")}", "a": [{junk}]}}'.encode()
        answer = office.owner.send("POST", ORGANIZATIONS, body)
        assert (answer.status, answer.code) == (400, "4000014")


@pytest.fixture
def slow(tmp_path) -> Iterator[tuple[Started, Operator]]:
    with (
        started(tmp_path, ENTREPOT_API_SWR_RATE="1") as registry,
        operating(registry.environment) as operator,
    ):
        yield registry, operator


@pytest.mark.broad
def test_an_account_has_so_many_requests_a_second_of_each_operation(slow):
    one, other = opened(*slow), opened(*slow)
    codes = [one.owner.send("GET", ORGANIZATIONS).code for _ in range(40)]
    assert set(codes) == {"", "4031042"}
    assert codes[0] == ""
    assert other.owner.send("GET", ORGANIZATIONS).status == 200
    assert one.owner.send("GET", "/v2/manage/repos").status == 200
