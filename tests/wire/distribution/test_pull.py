"""end-2, end-3, end-8, end-12 and the catalog: everything that reads."""

import json

import pytest
from registry_client import (
    ABSENT,
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEX,
    LAYER,
    MANIFEST,
    Client,
    code_of,
    descriptor,
    digest_of,
    image,
    index,
)

CONTENT = bytes(range(256)) * 16


def test_every_answer_says_what_it_is_and_forbids_sniffing(owner, repository):
    owner.push_image(repository, b"layer")
    for path in ("/v2/", f"/v2/{repository}/tags/list", f"/v2/{repository}/manifests/latest"):
        for method in ("GET", "HEAD"):
            answer = owner.request(method, path)
            assert answer.status_code == 200
            assert answer.headers["docker-distribution-api-version"] == "registry/2.0"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "sandbox" in answer.headers["content-security-policy"]
            assert answer.headers["x-request-id"]


def test_the_base_challenges_whoever_is_anonymous(world):
    answer = world.client.get("/v2/")
    assert (answer.status_code, code_of(answer)) == (401, "UNAUTHORIZED")
    realm = f'Bearer realm="{world.registry.url}/service/token",service="entrepot"'
    assert answer.headers["www-authenticate"] == realm
    assert world.client.head("/v2/").status_code == 401


@pytest.mark.parametrize(
    ("method", "scope"),
    [("GET", "pull"), ("HEAD", "pull"), ("PUT", "pull,push"), ("DELETE", "delete")],
)
def test_a_challenge_names_the_scope_that_the_request_needs(world, repository, method, scope):
    answer = world.client.request(method, f"/v2/{repository}/manifests/latest")
    assert answer.status_code == 401
    assert f'scope="repository:{repository}:{scope}"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_a_manifest_is_pulled_as_it_was_pushed(owner, repository, by):
    payload = owner.push_image(repository, b"layer")
    digest = digest_of(payload)
    path = f"/v2/{repository}/manifests/{'latest' if by == 'tag' else digest}"
    got, headed = owner.get(path), owner.head(path)
    assert got.content == payload
    assert headed.content == b""
    for answer in (got, headed):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == MANIFEST
        assert answer.headers["docker-content-digest"] == digest
        assert answer.headers["content-length"] == str(len(payload))
        assert answer.headers["etag"] == f'"{digest}"'


@pytest.mark.parametrize("kind", ["manifests/latest", "blobs"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_the_client_has_already_is_not_sent_again(owner, repository, kind, method):
    payload = owner.push_image(repository, CONTENT)
    digest = digest_of(payload) if kind != "blobs" else digest_of(CONTENT)
    path = f"/v2/{repository}/{kind}" + (f"/{digest}" if kind == "blobs" else "")
    for tag in (f'"{digest}"', f'W/"{digest}"', "*", f'"{ABSENT}", "{digest}"'):
        answer = owner.request(method, path, headers={"if-none-match": tag})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == f'"{digest}"'
    answer = owner.request(method, path, headers={"if-none-match": f'"{ABSENT}"'})
    assert answer.status_code == 200


def test_a_blob_is_pulled_whole_and_headed(owner, repository):
    digest = owner.push_blob(repository, CONTENT)
    got = owner.get(f"/v2/{repository}/blobs/{digest}")
    headed = owner.head(f"/v2/{repository}/blobs/{digest}")
    assert (got.status_code, got.content) == (200, CONTENT)
    assert (headed.status_code, headed.content) == (200, b"")
    for answer in (got, headed):
        assert answer.headers["content-length"] == str(len(CONTENT))
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["docker-content-digest"] == digest
        assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=4000-", 4000, 4096),
        ("bytes=-96", 4000, 4096),
        ("bytes=0-99999", 0, 4096),
        ("bytes=-99999", 0, 4096),
    ],
)
def test_a_range_of_a_blob_is_sent_alone(owner, repository, asked, start, end):
    digest = owner.push_blob(repository, CONTENT)
    answer = owner.get(f"/v2/{repository}/blobs/{digest}", headers={"range": asked})
    assert (answer.status_code, answer.content) == (206, CONTENT[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/4096"
    assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize(
    "asked",
    ["bytes=5-2", "bytes=a-b", "bytes=0-1,4-5", "lines=1-2", "bytes=-", "bytes", "0-5", "bytes=" + "9" * 60 + "-"],
)  # fmt: skip
def test_a_range_that_cannot_be_read_is_ignored(owner, repository, asked):
    digest = owner.push_blob(repository, CONTENT)
    answer = owner.get(f"/v2/{repository}/blobs/{digest}", headers={"range": asked})
    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize("asked", ["bytes=4096-", "bytes=99999-100000", "bytes=-0"])
def test_a_range_outside_the_blob_is_refused_with_its_size(owner, repository, asked):
    digest = owner.push_blob(repository, CONTENT)
    answer = owner.get(f"/v2/{repository}/blobs/{digest}", headers={"range": asked})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */4096"


def test_if_range_sends_all_when_the_client_has_another_blob(owner, repository):
    digest = owner.push_blob(repository, CONTENT)
    path = f"/v2/{repository}/blobs/{digest}"
    same = {"range": "bytes=1-2", "if-range": f'"{digest}"'}
    other = {"range": "bytes=1-2", "if-range": f'"{ABSENT}"'}
    assert owner.get(path, headers=same).status_code == 206
    assert owner.get(path, headers=other).status_code == 200
    weak = {"range": "bytes=1-2", "if-range": f'W/"{digest}"'}
    assert owner.get(path, headers=weak).status_code == 200  # RFC 9110, 13.1.5: strong comparison


def test_the_empty_blob_is_a_blob(owner, repository):
    digest = owner.push_blob(repository, b"")
    answer = owner.get(f"/v2/{repository}/blobs/{digest}")
    assert (answer.status_code, answer.content) == (200, b"")
    assert owner.head(f"/v2/{repository}/blobs/{digest}").headers["content-length"] == "0"
    asked = owner.get(f"/v2/{repository}/blobs/{digest}", headers={"range": "bytes=0-0"})
    assert asked.status_code == 416


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("manifests/absent", "MANIFEST_UNKNOWN"),
        (f"manifests/{ABSENT}", "MANIFEST_UNKNOWN"),
        (f"blobs/{ABSENT}", "BLOB_UNKNOWN"),
    ],
)
def test_what_is_not_there_is_named_unknown(owner, repository, method, path, code):
    owner.push_blob(repository, CONTENT)
    answer = owner.request(method, f"/v2/{repository}/{path}")
    assert answer.status_code == 404
    assert code_of(answer) == (code if method == "GET" else "")


def test_a_repository_or_namespace_that_is_not_there_is_named(owner, repository):
    for path in ("tags/list", "manifests/latest", f"blobs/{ABSENT}"):
        answer = owner.get(f"/v2/{repository}/{path}")
        assert (answer.status_code, code_of(answer)) == (404, "NAME_UNKNOWN")
    answer = owner.put("/v2/nowhere/app/manifests/latest", headers={"content-type": MANIFEST})
    assert (answer.status_code, code_of(answer)) == (404, "NAME_UNKNOWN")
    assert "entrepot namespace create nowhere" in answer.text


def test_docker_schema_2_and_lists_keep_their_media_types(owner, repository):
    owner.push_blob(repository, b"{}")
    owner.push_blob(repository, b"layer")
    document = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": descriptor(DOCKER_CONFIG, b"{}"),
        "layers": [descriptor(DOCKER_LAYER, b"layer")],
    }
    payload = json.dumps(document, indent=3).encode()
    assert owner.push_manifest(repository, "docker", payload).status_code == 201
    listing = index([payload], mediaType=DOCKER_LIST)
    assert owner.push_manifest(repository, "list", listing).status_code == 201
    for tag, content, media_type in (
        ("docker", payload, DOCKER_MANIFEST),
        ("list", listing, DOCKER_LIST),
    ):
        answer = owner.get(f"/v2/{repository}/manifests/{tag}")
        assert (answer.content, answer.headers["content-type"]) == (content, media_type)


def test_an_index_may_list_indexes(owner, repository):
    child = owner.push_image(repository, b"layer", tag="child")
    inner = owner.push_index(repository, child, tag="inner")
    outer = owner.push_index(repository, inner, child, tag="outer")
    assert owner.get(f"/v2/{repository}/manifests/outer").content == outer


# -- lists ------------------------------------------------------------------------------------------------------------


def pages(client: Client, path: str, key: str) -> list[list[str]]:
    """All pages from this one on, by their Link."""
    found: list[list[str]] = []
    link: str | None = path
    while link is not None:
        answer = client.get(link)
        assert answer.status_code == 200, answer.text
        found.append(answer.json()[key])
        link = None
        if "link" in answer.headers:
            target, _, relation = answer.headers["link"].partition(">;")
            assert relation.strip() == 'rel="next"'
            link = target.removeprefix("<")
    return found


def test_tags_come_in_bytewise_order_in_pages(owner, repository):
    payload = owner.push_image(repository, b"layer", tag="b")
    for tag in ("a", "c", "B", "0", "a.1", "a-1", "_x"):
        assert owner.push_manifest(repository, tag, payload).status_code == 201
    ordered = sorted(["b", "a", "c", "B", "0", "a.1", "a-1", "_x"])
    path = f"/v2/{repository}/tags/list"
    assert owner.get(path).json() == {"name": repository, "tags": ordered}
    assert pages(owner, f"{path}?n=3", "tags") == [ordered[:3], ordered[3:6], ordered[6:]]
    assert owner.get(f"{path}?n=0").json()["tags"] == []
    assert owner.get(f"{path}?last=b").json()["tags"] == ["c"]
    assert owner.get(f"{path}?last=bb").json()["tags"] == ["c"]
    assert owner.get(f"{path}?n=8").headers.get("link") is None
    assert owner.head(path).content == b""


def test_the_catalog_shows_each_what_they_may_pull(world):
    names = sorted(world.repository() for _ in range(3))
    for name in names:
        world.owner.push_blob(name, b"x")
    other = world.repository("others")
    world.stranger.push_blob(other, b"x")

    def listed(client: Client) -> list[str]:
        return [name for page in pages(client, "/v2/_catalog?n=2", "repositories") for name in page]

    seen = listed(world.owner)
    assert seen == sorted(seen)
    assert set(names) <= set(seen)
    assert other not in seen
    assert names[0] in listed(world.accounts["reader"])
    assert not set(names) & set(listed(world.stranger))
    assert not set(names) & set(listed(world.accounts["denied"]))


def test_referrers_list_what_names_the_subject(owner, repository):
    subject = owner.push_image(repository, b"layer")
    of = descriptor(MANIFEST, subject)
    digest = digest_of(subject)
    artifact = image(
        [b"layer"], subject=of, artifactType="application/x.sbom", annotations={"a": "1"}
    )
    answer = owner.push_manifest(repository, digest_of(artifact), artifact)
    assert answer.headers["oci-subject"] == digest
    plain = image([b"layer"], subject=of, annotations={"b": "2"})
    owner.push_manifest(repository, "plain", plain)
    indexed = index([subject], subject=of, artifactType="application/x.index")
    owner.push_manifest(repository, digest_of(indexed), indexed)

    answer = owner.get(f"/v2/{repository}/referrers/{digest}")
    assert answer.headers["content-type"] == INDEX
    assert "oci-filters-applied" not in answer.headers
    shown = {entry["digest"]: entry for entry in answer.json()["manifests"]}
    assert set(shown) == {digest_of(artifact), digest_of(plain), digest_of(indexed)}
    entry = shown[digest_of(artifact)]
    assert entry == {
        "mediaType": MANIFEST,
        "digest": digest_of(artifact),
        "size": len(artifact),
        "artifactType": "application/x.sbom",
        "annotations": {"a": "1"},
    }
    assert shown[digest_of(plain)]["artifactType"].endswith("config.v1+json")
    assert shown[digest_of(indexed)]["mediaType"] == INDEX


def test_referrers_are_filtered_and_paged(owner, repository):
    subject = owner.push_image(repository, b"layer")
    of = descriptor(MANIFEST, subject)
    wanted = []
    for number in range(5):
        kind = "application/x.wanted" if number % 2 == 0 else "application/x.other"
        payload = image([b"layer"], subject=of, artifactType=kind, annotations={"n": str(number)})
        owner.push_manifest(repository, digest_of(payload), payload)
        if number % 2 == 0:
            wanted.append(digest_of(payload))
    path = f"/v2/{repository}/referrers/{digest_of(subject)}"
    query = "artifactType=application%2Fx.wanted"
    answer = owner.get(f"{path}?{query}")
    assert answer.headers["oci-filters-applied"] == "artifactType"
    assert sorted(entry["digest"] for entry in answer.json()["manifests"]) == sorted(wanted)
    parts = pages(owner, f"{path}?{query}&n=2", "manifests")
    assert [len(part) for part in parts] == [2, 1]
    assert sorted(entry["digest"] for part in parts for entry in part) == sorted(wanted)


def test_referrers_of_nothing_are_an_empty_index(owner, repository):
    for name in (repository, "acme/never-made"):
        answer = owner.get(f"/v2/{name}/referrers/{ABSENT}")
        assert answer.status_code == 200
        assert answer.json()["manifests"] == []


def test_a_referrer_may_come_before_its_subject_and_goes_with_deletion(owner, repository):
    owner.push_blob(repository, b"layer")
    owner.push_blob(repository, b"{}")
    subject = image([b"layer"], annotations={"later": "yes"})
    artifact = image([b"layer"], subject=descriptor(MANIFEST, subject))
    assert owner.push_manifest(repository, "early", artifact).status_code == 201
    path = f"/v2/{repository}/referrers/{digest_of(subject)}"
    assert [e["digest"] for e in owner.get(path).json()["manifests"]] == [digest_of(artifact)]
    assert owner.delete(f"/v2/{repository}/manifests/{digest_of(artifact)}").status_code == 202
    assert owner.get(path).json()["manifests"] == []


def test_sha512_blobs_and_manifests_are_served(owner, repository):
    layer = b"a layer under sha512"
    digest = owner.push_blob(repository, layer, "sha512")
    owner.push_blob(repository, b"{}")
    answer = owner.get(f"/v2/{repository}/blobs/{digest}")
    assert (answer.content, answer.headers["docker-content-digest"]) == (layer, digest)
    payload = image([], layers=[descriptor(LAYER, layer, algorithm="sha512")])
    name = digest_of(payload, "sha512")
    pushed = owner.push_manifest(repository, name, payload)
    assert pushed.status_code == 201
    assert pushed.headers["docker-content-digest"] == name
    assert owner.get(f"/v2/{repository}/manifests/{name}").content == payload
