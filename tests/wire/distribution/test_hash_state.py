"""The hash of a chunked upload goes on in another process: what came before is not read again, where its state was recorded."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from registry_client import Client, digest_of
from started import ROOT_PASSWORD, Operator, Started, operating, started
from test_servers import add_namespace, client_of

from entrepot.metadata.schema import upload_sessions
from entrepot.oci.resumable import is_available

pytestmark = pytest.mark.broad

NAME = "team/app"
LARGE, REST = bytes(range(256)) * 4 * 8192, b"and the rest"  # 8 MiB
ANYTHING_ELSE = 1 << 20  # what a server reads for other reasons


def server_pid(registry: Started, number: int) -> int:
    main = registry.process.pid
    for child in Path(f"/proc/{main}/task/{main}/children").read_text().split():
        if Path(f"/proc/{child}/comm").read_text().strip() == f"entrepot srv-{number}":
            return int(child)
    raise AssertionError(f"there is no server {number}")


def bytes_read(pid: int) -> int:
    """From files, by system calls; a body that arrives over a socket does not count."""
    return int(Path(f"/proc/{pid}/io").read_text().split("rchar: ")[1].split()[0])


def recorded(operator: Operator) -> bytes:
    return bytes(operator.read(lambda c: c.scalar(sa.select(upload_sessions.c.hash_state))))


def spoil(operator: Operator, how: str) -> None:
    state = recorded(operator)
    assert b"\x80\x04" not in state[:4]  # no pickle
    assert 40 < len(state) < 300
    other = {
        "recorded": state,
        "not recorded": b"",
        "of another run of the machine": bytes([state[0]])
        + b"x" * state[0]
        + state[1 + state[0] :],
        "of another offset": state[:-8] + bytes(8),
        "cut": state[:-1],
    }[how]
    change = sa.update(upload_sessions).values(hash_state=other)
    operator.ctx.db.write_sync(lambda conn: conn.execute(change).rowcount)


def finish(registry: Started, client: Client, session: str, *, server: int) -> int:
    """Send the rest and commit; how much the server read meanwhile."""
    pid = server_pid(registry, server)
    before = bytes_read(pid)
    assert client.patch(session, content=REST).status_code == 202
    digest = digest_of(LARGE + REST)
    assert client.put(session, params={"digest": digest}).status_code == 201
    read = bytes_read(pid) - before
    assert client.get(f"/v2/{NAME}/blobs/{digest}").content == LARGE + REST
    return read


@pytest.mark.skipif(not is_available(), reason="this libcrypto gives no hash state away")
@pytest.mark.parametrize(
    ("end", "state"),
    [
        ("stop", "recorded"),
        ("kill", "recorded"),
        ("kill", "not recorded"),
        *(
            pytest.param("kill", state, marks=pytest.mark.blackbox)  # seconds each: `make test-all`
            for state in ("of another run of the machine", "of another offset", "cut")
        ),
    ],
)
def test_an_upload_goes_on_after_a_restart_by_its_recorded_hash_or_by_reading_again(
    tmp_path, end, state
):
    with started(tmp_path) as registry, operating(registry.environment) as operator:
        add_namespace(operator)
        with Client(registry.url) as client:
            token = client.with_basic("root", ROOT_PASSWORD).bearer(f"repository:{NAME}:pull,push")
            session = token.start_upload(NAME)
            assert token.patch(session, content=LARGE).status_code == 202
            registry.stop() if end == "stop" else registry.kill()
            spoil(operator, state)
            registry.start()
            read = finish(registry, token, session, server=0)
    if state == "recorded":
        assert read < ANYTHING_ELSE
    else:
        assert read >= len(LARGE)


@pytest.mark.skipif(not is_available(), reason="this libcrypto gives no hash state away")
def test_an_upload_goes_on_in_another_process_without_reading_again(tmp_path):
    with started(tmp_path, ENTREPOT_HTTP_WORKERS="2") as registry:
        with operating(registry.environment) as operator:
            add_namespace(operator)
        with Client(registry.url) as client:
            login = client.with_basic("root", ROOT_PASSWORD)
            token = login.token(f"repository:{NAME}:pull,push")
        with (
            client_of(registry, "server-0", token) as one,
            client_of(registry, "server-1", token) as other,
        ):
            session = one.start_upload(NAME)
            assert one.patch(session, content=LARGE).status_code == 202
            assert finish(registry, other, session, server=1) < ANYTHING_ELSE
