"""A registry of two server processes and its operator: numbers, states, levels, logs, the audit trail."""

import base64
import json
import os
import signal
import stat
import subprocess
import sys
import time

import pytest
from operator_client import admin, client, metrics, processes, wait_for
from started import ROOT_PASSWORD, started

WRONG = "wrong-Passw0rd-0123456789"
BASE = ("endpoint", "base"), ("method", "GET"), ("status", "4xx"), ("wire", "distribution")


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """Two server processes, a worker, every log line."""
    folder = tmp_path_factory.mktemp("operated")
    with started(folder, ENTREPOT_HTTP_WORKERS="2", ENTREPOT_LOG_LEVEL="debug") as running:
        wait_for(lambda: {"server-0", "server-1", "worker"} <= set(processes(running)))
        yield running


def basic(user, password):
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"authorization": f"Basic {pair}"}


def logged(registry):
    """Every line of the log that is ours."""
    lines = registry.log.read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def wait_for_count(registry, expected):
    """Reports are a second apart, on a busy machine more. Too many fail at once; too few, in the end with their number."""
    found = []

    def is_there():
        found.append(metrics(registry).get(("entrepot_requests_total", *BASE), 0))
        assert found[-1] <= expected
        return found[-1] == expected

    try:
        wait_for(is_there)
    except AssertionError as error:
        raise AssertionError(f"{found[-1]} requests are counted, not {expected}") from error


def test_the_socket_is_its_owners_alone(busy):
    mode = (busy.data / "run" / "admin.sock").stat().st_mode

    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE((busy.data / "run").stat().st_mode) == 0o700


def test_the_operators_listener_serves_its_list_and_nothing_else(busy):
    assert admin(busy, "GET", "/healthz")[::2] == (200, b"ok\n")
    assert admin(busy, "GET", "/readyz")[::2] == (200, b"ok\n")
    assert admin(busy, "HEAD", "/metrics")[::2] == (200, b"")
    assert admin(busy, "GET", "/v2/")[0] == 404
    assert admin(busy, "GET", "/")[0] == 404
    assert admin(busy, "POST", "/metrics")[0] == 405
    assert admin(busy, "PUT", "/log-level", body=b"x" * 5000)[0] == 413
    assert admin(busy, "PUT", "/log-level", body=b"everything")[0] == 400


def test_clients_of_the_registry_see_nothing_of_it(busy):
    for path in ("/metrics", "/processes", "/log-level"):
        assert client(busy, "GET", path)[0] == 404


def test_numbers_are_added_up_over_processes_and_survive_their_deaths(busy):
    before = metrics(busy).get(("entrepot_requests_total", *BASE), 0)
    sent = 0
    for victim in ("server-0", "server-1"):
        for _ in range(10):
            assert client(busy, "GET", "/v2/")[0] == 401
        sent += 10
        wait_for_count(busy, before + sent)
        pid = processes(busy)[victim]["pid"]
        os.kill(pid, signal.SIGKILL)
        # Only the other one is there now; the operator is still answered, and the new process goes on counting.
        for _ in range(10):
            assert client(busy, "GET", "/v2/")[0] == 401
        sent += 10
        wait_for(lambda v=victim, p=pid: processes(busy)[v]["pid"] != p)
        wait_for_count(busy, before + sent)
    served = {line["process"] for line in logged(busy) if line.get("path") == "/v2/"}
    assert served == {"server-0", "server-1"}
    found = metrics(busy)
    assert found["entrepot_up", ("process", "worker")] == 1
    assert found["entrepot_resident_memory_bytes", ("process", "server-1")] > 10_000_000
    assert found["entrepot_epoch_age_seconds", ("process", "server-0")] < 5


def test_a_level_that_the_operator_sets_reaches_every_process(busy):
    status, _, body = admin(busy, "PUT", "/log-level", body=b"error")
    assert (status, json.loads(body)["level"]) == (200, "error")
    time.sleep(1.5)
    quiet = len(busy.log.read_bytes())
    for _ in range(20):
        client(busy, "GET", "/v2/")
    time.sleep(0.2)
    assert len(busy.log.read_bytes()) == quiet

    assert admin(busy, "DELETE", "/log-level")[0] == 200
    wait_for(lambda: client(busy, "GET", "/v2/") and len(busy.log.read_bytes()) > quiet, 5)
    assert json.loads(admin(busy, "GET", "/log-level")[2]) == {"level": "debug", "usual": "debug"}
    time.sleep(1.5)  # the other process follows too, before another test reads its lines


def test_no_secret_is_ever_logged(busy):
    path = "/service/token?service=entrepot&offline_token=true&scope=repository:a/b:pull"
    assert client(busy, "GET", path, headers=basic("root", WRONG))[0] == 401
    status, _, body = client(busy, "GET", path, headers=basic("root", ROOT_PASSWORD))
    assert status == 200
    given = json.loads(body)
    form = f"grant_type=password&service=entrepot&username=root&password={ROOT_PASSWORD}"
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert client(busy, "POST", "/service/token", body=form, headers=kind)[0] == 200
    form = f"grant_type=refresh_token&service=entrepot&refresh_token={given['refresh_token']}"
    assert client(busy, "POST", "/service/token", body=form, headers=kind)[0] == 200
    form = f"grant_type=refresh_token&service=entrepot&refresh_token=ert1.{WRONG}"
    assert client(busy, "POST", "/service/token", body=form, headers=kind)[0] == 401
    assert client(busy, "GET", f"/v2/?password={WRONG}")[0] == 401
    bearer = {"authorization": f"Bearer {given['token']}"}
    assert client(busy, "GET", "/v2/", headers=bearer)[0] == 200
    assert client(busy, "GET", "/v2/", headers={"authorization": f"Bearer {WRONG}"})[0] == 401

    log = wait_for(lambda: (text := busy.log.read_text()).count("/service/token") >= 5 and text)
    encoded = basic("root", WRONG)["authorization"].split()[1]
    right = basic("root", ROOT_PASSWORD)["authorization"].split()[1]
    for secret in (WRONG, encoded, right, given["token"], given["refresh_token"]):
        assert secret not in log
    assert ROOT_PASSWORD not in log
    for outcome in ("good", "refused"):
        counted = ("entrepot_logins_total", ("outcome", outcome))
        wait_for(lambda name=counted: metrics(busy).get(name, 0) >= 1, 5)


def test_no_request_can_forge_a_line(busy):
    agent = b'x\x1b[2J", "level": "error\x9b\xc2\x85'
    path = '/v2/%0a{"event":"forged"}%0d/manifests/1'
    client(busy, "GET", path, headers={"user-agent": agent})
    client(busy, "GET", "/v2/after-the-forgery/x")

    wait_for(lambda: "after-the-forgery" in busy.log.read_text(), 10)
    assert not [line for line in logged(busy) if line["event"] == "forged"]
    raw = busy.log.read_bytes()
    assert b"\x1b" not in raw
    assert b"\x9b" not in raw
    assert len(raw.decode().splitlines()) == raw.count(b"\n")


def test_refusals_are_in_the_audit_trail_and_asking_without_credentials_is_not(busy):
    assert client(busy, "GET", "/v2/secret/app/manifests/1")[0] in (401, 404)
    for _ in range(3):
        shown = {"authorization": "Bearer nonsense"}
        assert client(busy, "GET", "/v2/secret/app/manifests/2", headers=shown)[0] == 401

    def found():
        command = [sys.executable, "-m", "entrepot", "audit", "list", "--json", "--since", "1h"]
        ran = subprocess.run(
            [*command, "--action", "manifest.*"],
            env=busy.environment,
            capture_output=True,
            check=True,
        )
        return json.loads(ran.stdout)

    wait_for(lambda: sum(int(row["details"].get("times", 1)) for row in found()) == 3)
    rows = found()
    assert rows[0]["outcome"] == "denied"
    assert rows[0]["resource"].endswith("/secret/app")  # of its instance, as pulls are named
    assert (rows[0]["actor"], rows[0]["source"]) == ("unknown", "127.0.0.1")
    denials = ("entrepot_denials_total", ("reason", "unauthenticated"))
    wait_for(lambda: metrics(busy)[denials] >= 3, 5)


def test_calls_of_a_management_api_are_counted_by_operation_and_outcome(registry):
    status, _, body = client(registry, "POST", "/", body=b"{}", headers={"x-tc-action": "Any"})
    assert status == 200
    outcome = json.loads(body)["Response"]["Error"]["Code"]
    name = "entrepot_api_calls_total"
    sample = (name, ("api", "tcr"), ("operation", "unknown"), ("outcome", outcome))
    wait_for(lambda: metrics(registry).get(sample))
