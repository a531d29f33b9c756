"""Wherever the application runs: two processes of our own server, restarts of it, and uvicorn with both its parsers."""

import pytest
from in_process import by_uvicorn, deployed
from registry_client import MANIFEST, Client, descriptor, digest_of, image
from started import ROOT_PASSWORD, Started, operating, started

from entrepot.capabilities.instances.namespaces import CreateNamespace, create_namespace
from entrepot.metadata import instances, tenants

CONTENT = bytes(range(256)) * 2000  # more than one buffer


def add_namespace(operator, name="team"):
    shared = operator.read(instances.default_instance)
    root = operator.read(tenants.root_tenant)
    operator.run(create_namespace, CreateNamespace(shared.id, root.id, name))


def core_scenario(login: Client, name: str) -> None:
    """Log in, push in every way, mount, pull, list, delete."""
    assert login.anonymous().get("/v2/").status_code == 401
    client = login.bearer(f"repository:{name}:pull,push,delete", f"repository:{name}2:pull,push")
    session = client.start_upload(name)
    half = len(CONTENT) // 2
    answer = client.patch(session, content=CONTENT[:half])
    assert (answer.status_code, answer.headers["range"]) == (202, f"0-{half - 1}")
    wrong = client.patch(session, content=b"x", headers={"content-range": "5-5"})
    assert (wrong.status_code, wrong.headers["range"]) == (416, f"0-{half - 1}")
    assert client.patch(session, content=iter([CONTENT[half:-1], CONTENT[-1:]])).status_code == 202
    assert client.get(session).headers["range"] == f"0-{len(CONTENT) - 1}"
    assert client.put(session, params={"digest": digest_of(CONTENT)}).status_code == 201
    payload = client.push_image(name, b"layer", CONTENT)
    assert client.head(f"/v2/{name}/manifests/latest").headers["content-length"] == str(
        len(payload)
    )
    assert client.get(f"/v2/{name}/manifests/latest").content == payload
    path = f"/v2/{name}/blobs/{digest_of(CONTENT)}"
    assert client.get(path).content == CONTENT
    part = client.get(path, headers={"range": "bytes=100-299"})
    assert (part.status_code, part.content) == (206, CONTENT[100:300])
    assert client.head(path).headers["content-length"] == str(len(CONTENT))
    params = {"mount": digest_of(CONTENT), "from": name}
    assert client.post(f"/v2/{name}2/blobs/uploads/", params=params).status_code == 201
    artifact = image([b"layer"], subject=descriptor(MANIFEST, payload))
    assert client.push_manifest(name, digest_of(artifact), artifact).status_code == 201
    listed = client.get(f"/v2/{name}/referrers/{digest_of(payload)}").json()["manifests"]
    assert [entry["digest"] for entry in listed] == [digest_of(artifact)]
    assert client.get(f"/v2/{name}/tags/list").json()["tags"] == ["latest"]
    too_large = client.push_manifest(name, "x", image([b"y" * 10] * 40_000))
    assert too_large.status_code == 413
    assert client.raw("GET", f"/v2/{name}%2Fx/tags/list")[0] == 400
    assert client.delete(f"/v2/{name}/manifests/{digest_of(payload)}").status_code == 202
    assert client.get(f"/v2/{name}/tags/list").json()["tags"] == []


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_the_application_is_right_on_uvicorn(tmp_path, http):
    with deployed(tmp_path) as (operator, app):
        add_namespace(operator)
        with by_uvicorn(operator, app, http) as url, Client(url) as client:
            core_scenario(client.with_basic("root", ROOT_PASSWORD), "team/app")


def client_of(registry: Started, process: str, token: str) -> Client:
    """A client whose one connection is this process's. The kernel gives connections to either."""
    for _ in range(300):
        client = Client(registry.url, f"Bearer {token}")
        answer = client.get("/v2/")
        if registry.served_by(answer.headers["x-request-id"]) == process:
            return client
        client.http.close()
    raise AssertionError(f"{process} never answers")


def test_two_processes_read_each_others_writes(tmp_path):
    with started(tmp_path, ENTREPOT_HTTP_WORKERS="2") as registry:
        with operating(registry.environment) as operator:
            add_namespace(operator)
        name = "team/app"
        with Client(registry.url) as client:
            login = client.with_basic("root", ROOT_PASSWORD)
            token = login.token(f"repository:{name}:pull,push,delete")
        with (
            client_of(registry, "server-0", token) as one,
            client_of(registry, "server-1", token) as other,
        ):
            payload = one.push_image(name, b"layer", tag="t")
            session = other.start_upload(name)
            for number in range(8):
                writer, reader = (one, other) if number % 2 else (other, one)
                tag = f"/v2/{name}/manifests/t{number}"
                assert writer.push_manifest(name, f"t{number}", payload).status_code == 201
                assert reader.get(tag).content == payload
                assert writer.delete(tag).status_code == 202
                assert reader.get(tag).status_code == 404
                assert writer.patch(session, content=b"%03d" % number).status_code == 202
                assert reader.get(session).headers["range"] == f"0-{3 * number + 2}"
            whole = b"".join(b"%03d" % number for number in range(8))
            assert one.put(session, params={"digest": digest_of(whole)}).status_code == 201
            assert other.get(f"/v2/{name}/blobs/{digest_of(whole)}").content == whole
            assert other.get(session).status_code == 404


@pytest.mark.parametrize("how", [pytest.param("stop", marks=pytest.mark.broad), "kill"])
def test_an_upload_goes_on_after_a_restart(tmp_path, how):
    with started(tmp_path) as registry:
        with operating(registry.environment) as operator:
            add_namespace(operator)
        with Client(registry.url) as client:
            login = client.with_basic("root", ROOT_PASSWORD)
            token = login.bearer("repository:team/app:pull,push")
            session = token.start_upload("team/app")
            assert token.patch(session, content=CONTENT[:1000]).status_code == 202
            registry.stop() if how == "stop" else registry.kill()
            registry.start()
            assert token.get(session).headers["range"] == "0-999"
            rest = {"content-range": f"1000-{len(CONTENT) - 1}"}
            assert token.patch(session, content=CONTENT[1000:], headers=rest).status_code == 202
            params = {"digest": digest_of(CONTENT)}
            assert token.put(session, params=params).status_code == 201
            assert token.get(f"/v2/team/app/blobs/{digest_of(CONTENT)}").content == CONTENT
