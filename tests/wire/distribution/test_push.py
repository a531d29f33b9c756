"""end-4 to end-7, end-9 to end-11, end-13, end-14: everything that writes, and goes well."""

import json
import time

import pytest
from registry_client import (
    ABSENT,
    INDEX,
    MANIFEST,
    Client,
    basic,
    code_of,
    digest_of,
    image,
)
from transport import dial
from world import PASSWORD

CONTENT = bytes(range(256)) * 40


def is_stored(client: Client, name: str, content: bytes, algorithm: str = "sha256") -> bool:
    answer = client.get(f"/v2/{name}/blobs/{digest_of(content, algorithm)}")
    return answer.status_code == 200 and answer.content == content


def test_a_blob_is_pushed_in_one_request(owner, repository):
    digest = digest_of(CONTENT)
    answer = owner.post(
        f"/v2/{repository}/blobs/uploads/", params={"digest": digest}, content=CONTENT
    )
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v2/{repository}/blobs/{digest}"
    assert answer.headers["docker-content-digest"] == digest
    assert is_stored(owner, repository, CONTENT)


def test_a_blob_is_pushed_by_post_then_put(owner, repository):
    session = owner.start_upload(repository)
    digest = digest_of(CONTENT)
    answer = owner.put(session, params={"digest": digest}, content=CONTENT)
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v2/{repository}/blobs/{digest}"
    assert is_stored(owner, repository, CONTENT)
    assert owner.get(session).status_code == 404


def test_a_new_session_says_where_it_goes_on(owner, repository):
    answer = owner.post(f"/v2/{repository}/blobs/uploads/")
    assert answer.status_code == 202
    assert answer.headers["range"] == "0-0"
    identifier = answer.headers["docker-upload-uuid"]
    assert answer.headers["location"] == f"/v2/{repository}/blobs/uploads/{identifier}"
    for method in ("GET", "HEAD"):
        status = owner.request(method, answer.headers["location"])
        assert (status.status_code, status.headers["range"]) == (204, "0-0")
        assert status.headers["docker-upload-uuid"] == identifier


def test_a_blob_is_pushed_in_chunks_with_their_ranges(owner, repository):
    session = owner.start_upload(repository)
    for start in (0, 4000, 8000):
        chunk = CONTENT[start : start + 4000]
        headers = {
            "content-range": f"{start}-{start + len(chunk) - 1}",
            "content-type": "application/octet-stream",
        }
        answer = owner.patch(session, content=chunk, headers=headers)
        assert answer.status_code == 202
        assert answer.headers["range"] == f"0-{start + len(chunk) - 1}"
        assert owner.get(session).headers["range"] == f"0-{start + len(chunk) - 1}"
        session = answer.headers["location"]
    answer = owner.put(session, params={"digest": digest_of(CONTENT)})
    assert answer.status_code == 201
    assert is_stored(owner, repository, CONTENT)


def test_the_last_chunk_may_come_with_the_put(owner, repository):
    session = owner.start_upload(repository)
    owner.patch(session, content=CONTENT[:100])
    last = {"content-range": f"100-{len(CONTENT) - 1}"}
    params = {"digest": digest_of(CONTENT)}
    answer = owner.put(session, params=params, content=CONTENT[100:], headers=last)
    assert answer.status_code == 201
    assert is_stored(owner, repository, CONTENT)


def test_a_blob_is_streamed_without_a_length(owner, repository):
    def pieces():
        for start in range(0, len(CONTENT), 1000):
            yield CONTENT[start : start + 1000]

    session = owner.start_upload(repository)
    answer = owner.patch(session, content=pieces())
    assert (answer.status_code, answer.headers["range"]) == (202, f"0-{len(CONTENT) - 1}")
    assert owner.put(session, params={"digest": digest_of(CONTENT)}).status_code == 201
    assert is_stored(owner, repository, CONTENT)

    other = CONTENT + b"!"
    session = owner.start_upload(repository)
    answer = owner.put(session, params={"digest": digest_of(other)}, content=iter([CONTENT, b"!"]))
    assert answer.status_code == 201
    assert is_stored(owner, repository, other)


def test_a_session_is_cancelled(owner, repository):
    session = owner.start_upload(repository)
    owner.patch(session, content=b"some bytes")
    assert owner.delete(session).status_code == 204
    for method in ("GET", "DELETE", "PATCH"):
        answer = owner.request(method, session)
        assert (answer.status_code, code_of(answer)) == (404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize("way", ["post", "put", "chunks"])
def test_sha512_is_pushed_every_way(owner, repository, way):
    digest = digest_of(CONTENT, "sha512")
    if way == "post":
        owner.push_blob(repository, CONTENT, "sha512")
    else:
        params = {"digest-algorithm": "sha512"} if way == "chunks" else {}
        session = owner.start_upload(repository, **params)
        if way == "chunks":
            owner.patch(session, content=CONTENT[:10])
            owner.patch(session, content=CONTENT[10:])
            answer = owner.put(session, params={"digest": digest})
        else:
            answer = owner.put(session, params={"digest": digest}, content=CONTENT)
        assert answer.status_code == 201
    assert is_stored(owner, repository, CONTENT, "sha512")


def test_a_session_serves_both_algorithms_whatever_it_began_with(owner, repository):
    session = owner.start_upload(repository, **{"digest-algorithm": "sha512"})
    owner.patch(session, content=CONTENT)
    answer = owner.put(session, params={"digest": digest_of(CONTENT)})
    assert answer.status_code == 201
    assert is_stored(owner, repository, CONTENT)


def test_an_unknown_digest_algorithm_is_refused(owner, repository):
    answer = owner.post(f"/v2/{repository}/blobs/uploads/", params={"digest-algorithm": "md5"})
    assert (answer.status_code, code_of(answer)) == (400, "DIGEST_INVALID")


# -- mounts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [True, False])
def test_a_blob_is_mounted_from_where_the_caller_may_pull(world, named):
    source, target = world.repository(), world.repository()
    digest = world.owner.push_blob(source, CONTENT)
    params = {"mount": digest} | ({"from": source} if named else {})
    answer = world.owner.post(f"/v2/{target}/blobs/uploads/", params=params)
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v2/{target}/blobs/{digest}"
    assert answer.headers["docker-content-digest"] == digest
    assert is_stored(world.owner, target, CONTENT)


def test_a_mount_by_token_needs_the_sources_scope_where_it_is_named(world):
    source, target = world.repository(), world.repository()
    digest = world.owner.push_blob(source, CONTENT)
    params = {"mount": digest, "from": source}
    narrow = world.owner.bearer(f"repository:{target}:pull,push")
    assert narrow.post(f"/v2/{target}/blobs/uploads/", params=params).status_code == 202
    wide = world.owner.bearer(f"repository:{target}:pull,push", f"repository:{source}:pull")
    assert wide.post(f"/v2/{target}/blobs/uploads/", params=params).status_code == 201


@pytest.mark.parametrize("named", [True, False])
def test_a_foreign_blob_is_not_mounted_and_not_told_from_an_absent_one(world, named):
    source, target = world.repository("others"), world.repository()
    content = CONTENT + source.encode()  # nobody else has it
    digest = world.stranger.push_blob(source, content)
    for mount in (digest, ABSENT):
        params = {"mount": mount} | ({"from": source} if named else {})
        answer = world.owner.post(f"/v2/{target}/blobs/uploads/", params=params)
        assert answer.status_code == 202
        assert answer.headers["range"] == "0-0"
    assert world.owner.head(f"/v2/{target}/blobs/{digest}").status_code == 404


def test_pushing_a_blob_that_is_there_keeps_one_copy(world):
    content = world.repository().encode() * 100
    one, other = world.repository(), world.repository("others")
    world.owner.push_blob(one, content)
    before = world.state()["files"]
    world.stranger.push_blob(other, content)
    world.owner.push_blob(one, content)
    assert world.state()["files"] == before
    assert is_stored(world.stranger, other, content)


# -- manifests --------------------------------------------------------------------------------------------------------


def test_a_manifest_push_says_where_and_what_it_is(owner, repository):
    owner.push_blob(repository, b"layer")
    owner.push_blob(repository, b"{}")
    payload = image([b"layer"])
    digest = digest_of(payload)
    for reference in ("1.0", digest):
        answer = owner.push_manifest(repository, reference, payload)
        assert answer.status_code == 201
        assert answer.headers["location"] == f"/v2/{repository}/manifests/{digest}"
        assert answer.headers["docker-content-digest"] == digest
        assert "oci-subject" not in answer.headers
        assert "oci-tag" not in answer.headers


def test_several_tags_are_pushed_at_once(owner, repository):
    payload = owner.push_image(repository, b"layer", tag="first")
    digest = digest_of(payload)
    answer = owner.put(
        f"/v2/{repository}/manifests/{digest}?tag=a&tag=b&tag=a&tag=c",
        content=payload,
        headers={"content-type": MANIFEST},
    )
    assert answer.status_code == 201
    assert answer.headers.get_list("oci-tag") == ["a", "b", "c"]
    for tag in "abc":
        assert owner.get(f"/v2/{repository}/manifests/{tag}").content == payload


def test_a_tag_moves_and_its_former_manifest_stays(owner, repository):
    first = owner.push_image(repository, b"one", tag="now")
    second = owner.push_image(repository, b"two", tag="now")
    assert owner.get(f"/v2/{repository}/manifests/now").content == second
    assert owner.get(f"/v2/{repository}/manifests/{digest_of(first)}").content == first


def test_a_media_type_may_carry_parameters(owner, repository):
    owner.push_image(repository, b"layer")
    payload = image([b"layer"], annotations={"x": "y"})
    headers = {"content-type": f"{MANIFEST}; charset=utf-8"}
    answer = owner.put(f"/v2/{repository}/manifests/p", content=payload, headers=headers)
    assert answer.status_code == 201


def test_a_document_without_media_type_is_what_it_was_pushed_as(owner, repository):
    owner.push_image(repository, b"layer")
    document = json.loads(image([b"layer"]))
    del document["mediaType"]
    payload = json.dumps(document).encode()
    headers = {"content-type": MANIFEST}
    answer = owner.put(f"/v2/{repository}/manifests/bare", content=payload, headers=headers)
    assert answer.status_code == 201
    assert owner.get(f"/v2/{repository}/manifests/bare").headers["content-type"] == MANIFEST


def test_an_artifact_with_the_empty_config_is_pushed(owner, repository):
    payload = owner.push_image(
        repository, b"sbom", tag="art", artifactType="application/x.art", annotations={"k": "v"}
    )
    assert owner.get(f"/v2/{repository}/manifests/art").content == payload


def test_foreign_layers_need_not_be_there(owner, repository):
    owner.push_blob(repository, b"{}")
    layer = {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": ABSENT,
        "size": 5,
        "urls": ["https://example.invalid/layer"],
    }
    payload = image([], layers=[layer])
    assert owner.push_manifest(repository, "windows", payload).status_code == 201


def test_a_manifest_of_four_mebibytes_is_taken_and_no_larger_one(world, owner, repository):
    owner.push_image(repository, b"layer")
    limit = 4 * 1024 * 1024
    filler = limit - len(image([b"layer"], annotations={"x": ""}))
    payload = image([b"layer"], annotations={"x": "y" * filler})
    assert len(payload) == limit
    assert owner.push_manifest(repository, "large", payload).status_code == 201
    answer = owner.push_manifest(repository, "larger", payload + b" ")
    assert (answer.status_code, code_of(answer)) == (413, "SIZE_INVALID")
    assert owner.head(f"/v2/{repository}/manifests/larger").status_code == 404


# -- deletion ---------------------------------------------------------------------------------------------------------


def test_deleting_a_tag_deletes_the_tag_only(owner, repository):
    payload = owner.push_image(repository, b"layer", tag="gone")
    assert owner.delete(f"/v2/{repository}/manifests/gone").status_code == 202
    assert owner.get(f"/v2/{repository}/manifests/gone").status_code == 404
    assert owner.get(f"/v2/{repository}/manifests/{digest_of(payload)}").content == payload
    assert owner.get(f"/v2/{repository}/tags/list").json()["tags"] == []
    assert owner.delete(f"/v2/{repository}/manifests/gone").status_code == 404


def test_deleting_by_digest_deletes_the_manifest_and_its_tags(owner, repository):
    payload = owner.push_image(repository, b"layer", tag="one")
    owner.push_manifest(repository, "two", payload)
    kept = owner.push_image(repository, b"other", tag="three")
    path = f"/v2/{repository}/manifests/{digest_of(payload)}"
    assert owner.delete(path).status_code == 202
    assert owner.get(path).status_code == 404
    assert owner.get(f"/v2/{repository}/tags/list").json()["tags"] == ["three"]
    assert owner.get(f"/v2/{repository}/manifests/three").content == kept
    assert owner.delete(path).status_code == 404


def test_a_manifest_that_a_tagged_index_lists_is_not_deleted(owner, repository):
    child = owner.push_image(repository, b"layer", tag="child")
    owner.push_index(repository, child, tag="index")
    path = f"/v2/{repository}/manifests/{digest_of(child)}"
    answer = owner.delete(path)
    assert (answer.status_code, code_of(answer)) == (409, "DENIED")
    assert owner.get(path).content == child
    assert owner.delete(f"/v2/{repository}/manifests/index").status_code == 202
    assert owner.delete(path).status_code == 202


def test_a_blob_that_a_manifest_uses_is_not_deleted(owner, repository):
    payload = owner.push_image(repository, b"layer")
    path = f"/v2/{repository}/blobs/{digest_of(b'layer')}"
    answer = owner.delete(path)
    assert (answer.status_code, code_of(answer)) == (409, "DENIED")
    assert owner.delete(f"/v2/{repository}/manifests/{digest_of(payload)}").status_code == 202
    assert owner.delete(path).status_code == 202
    assert owner.get(path).status_code == 404
    assert owner.delete(path).status_code == 404


# -- the connection ---------------------------------------------------------------------------------------------------


def test_a_body_waits_for_100_continue(world, repository):
    """As curl and Java clients send it: headers first, the body only when it is wanted."""
    session = world.owner.start_upload(repository)
    with dial(world.registry.port) as sock:
        login = basic("acme/owner", PASSWORD)
        head = (
            f"PUT {session}?digest={digest_of(CONTENT)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: {login}\r\nContent-Length: {len(CONTENT)}\r\n"
            "Expect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        sock.sendall(head.encode())
        assert sock.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(CONTENT)
        answer = b"".join(iter(lambda: sock.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert is_stored(world.owner, repository, CONTENT)


def test_a_refused_body_is_not_asked_for(world, repository):
    with dial(world.registry.port) as sock:
        head = (
            f"PUT /v2/{repository}/manifests/x HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            "Content-Length: 100000\r\nExpect: 100-continue\r\n\r\n"
        )
        sock.sendall(head.encode())
        assert sock.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_a_broken_upload_keeps_its_offset_and_goes_on(world, owner, repository):
    session = owner.start_upload(repository)
    with dial(world.registry.port) as sock:
        head = (
            f"PATCH {session} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: {basic('acme/owner', PASSWORD)}\r\n"
            f"Content-Length: {len(CONTENT)}\r\n\r\n"
        )
        sock.sendall(head.encode() + CONTENT[:5000])
        time.sleep(0.2)
    offset = settled_offset(owner, session)
    assert 0 < offset <= 5000
    rest = {"content-range": f"{offset}-{len(CONTENT) - 1}"}
    assert owner.patch(session, content=CONTENT[offset:], headers=rest).status_code == 202
    assert owner.put(session, params={"digest": digest_of(CONTENT)}).status_code == 201
    assert is_stored(owner, repository, CONTENT)


def settled_offset(client: Client, session: str) -> int:
    """The recorded offset, once the server has noticed that the connection is gone."""
    deadline = time.monotonic() + 10
    while True:
        answer = client.get(session)
        assert answer.status_code == 204
        end = int(answer.headers["range"].partition("-")[2])
        if end > 0 or time.monotonic() > deadline:
            return end + 1
        time.sleep(0.05)


def test_an_index_of_nothing_is_an_index(owner, repository):
    payload = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
    assert owner.push_manifest(repository, "none", payload).status_code == 201
