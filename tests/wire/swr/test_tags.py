"""Tags by the vendor's SDK, and one image on three wires."""

import json
import time

from huaweicloudsdkswr.v2 import (
    CreateRepoTagRequest,
    CreateRepoTagRequestBody,
    DeleteRepoTagRequest,
    ListRepositoryTagsRequest,
    ShowRepoTagRequest,
)
from office import Office
from swr_docker import pull, push_index, push_large

from entrepot.metadata import audit


def tags(office: Office, organization: str, repository: str, **query: str) -> list[str]:
    path = f"/v2/manage/namespaces/{organization}/repos/{repository}/tags"
    return [row["Tag"] for row in office.owner.ask("GET", path, **query)]


def test_a_tag_tells_its_manifest(office: Office):
    organization, repository = office.repository()
    pushed = office.push(f"{organization}/{repository}", "v1")
    request = ListRepositoryTagsRequest(namespace=organization, repository=repository)
    answer = office.owner.sdk().list_repository_tags(request)
    (row,) = answer.body
    assert (row.tag, row.digest, row.size) == ("v1", pushed.digest, pushed.size)
    assert row.image_id == pushed.config_digest.removeprefix("sha256:")
    assert json.loads(row.manifest) == json.loads(pushed.payload)
    assert (row.schema, row.tag_type, row.is_trusted, row.scanned) == (2, 0, False, False)
    assert row.path.endswith(f"/{organization}/{repository}:v1")
    assert row.domain_id == office.tenant.public_id
    assert answer.content_range == "0-1/1"

    alone = ShowRepoTagRequest(namespace=organization, repository=repository, tag="v1")
    shown = office.owner.sdk().show_repo_tag(alone)
    assert (shown.tag, shown.digest, shown.id) == ("v1", pushed.digest, row.id)


def test_an_index_has_the_size_of_what_it_lists(office: Office):
    organization, repository = office.repository()
    name = f"{organization}/{repository}"
    one, two = office.push(name, "v1"), office.push(name, "v2")
    digest = push_index(office.registry.port, name, "both", office.owner.basic, [one, two])
    path = f"/v2/manage/namespaces/{organization}/repos/{repository}/tags/both"
    shown = office.owner.ask("GET", path)
    assert (shown["digest"], shown["tag_type"], shown["image_id"]) == (digest, 1, "")
    assert shown["size"] == one.size + two.size


def test_lists_are_paged_and_sorted(office: Office):
    organization, repository = office.repository()
    for tag in ("b", "c", "a"):
        office.push(f"{organization}/{repository}", tag)
    listed = lambda **query: tags(office, organization, repository, **query)  # noqa: E731
    assert listed() == ["a", "c", "b"]
    office.push(f"{organization}/{repository}", "b")  # the same again: it was updated
    assert listed() == ["b", "a", "c"]
    assert listed(order_column="tag", order_type="asc") == ["a", "b", "c"]
    assert listed(order_column="updated_at", order_type="asc") == ["c", "a", "b"]
    assert listed(filter="limit::1|offset::1|order_column::tag|order_type::desc") == ["b"]
    assert listed(tag="a") == ["a"]
    assert listed(tag="nothing") == []


def test_deleting_one_leaves_the_others_of_the_same_image(office: Office):
    organization, repository = office.repository()
    name = f"{organization}/{repository}"
    pushed = office.push(name, "v1")
    office.push(name, "same", seed="v1")
    request = DeleteRepoTagRequest(namespace=organization, repository=repository, tag="v1")
    assert office.owner.sdk().delete_repo_tag(request).status_code == 204
    assert office.owner.refused("delete_repo_tag", request) == (404, "4041056")
    assert tags(office, organization, repository) == ["same"]
    assert pull(office.registry.port, name, pushed.digest, office.owner.basic) == 200


def test_an_image_gets_another_tag(office: Office):
    organization, repository = office.repository()
    name = f"{organization}/{repository}"
    one, two = office.push(name, "v1"), office.push(name, "v2")

    def request(destination: str, **more: bool) -> CreateRepoTagRequest:
        body = CreateRepoTagRequestBody(source_tag="v1", destination_tag=destination, **more)
        return CreateRepoTagRequest(namespace=organization, repository=repository, body=body)

    office.owner.sdk().create_repo_tag(request("stable"))
    assert office.owner.refused("create_repo_tag", request("v2")) == (409, "4090060")
    office.owner.sdk().create_repo_tag(request("v2", override=True))
    path = f"/v2/manage/namespaces/{organization}/repos/{repository}/tags"
    digests = {row["Tag"]: row["digest"] for row in office.owner.ask("GET", path)}
    assert digests == dict.fromkeys(("v1", "v2", "stable"), one.digest)
    assert two.digest != one.digest


def test_large_manifests_make_a_page_shorter_and_are_had_one_by_one(office: Office):
    organization, repository = office.repository()
    name, size = f"{organization}/{repository}", 3 * 1024 * 1024
    names = [f"v{number}" for number in range(5)]
    for tag in names:  # one document with five names
        push_large(office.registry.port, name, tag, office.owner.basic, size=size)
    path = f"/v2/manage/namespaces/{organization}/repos/{repository}/tags"
    seen: list[str] = []
    for offset, rows in ((0, 2), (2, 2), (4, 1)):
        query = {"limit": "1000", "offset": str(offset), "order_column": "tag", "order_type": "asc"}
        answer = office.owner.send("GET", path, None, query)
        assert answer.headers["content-range"] == f"{offset}-{rows}/5"
        assert {len(row["manifest"]) for row in answer.json} == {size}
        seen += [row["Tag"] for row in answer.json]
    assert seen == names
    assert office.owner.send("GET", path).headers["content-range"] == "0-2/5"


def test_manifests_that_lists_tell_are_among_the_pulls(office: Office):
    organization, repository = office.repository()
    name = f"{organization}/{repository}"
    office.push(name, "v1")
    tags(office, organization, repository, tag="nothing")
    assert tags(office, organization, repository) == ["v1"]

    def pulls() -> list[str]:
        found = office.operator.read(lambda conn: audit.find(conn, audit.Search(action="pull")))
        return [one.entry.actor for one in found if one.entry.resource.endswith(f"/{name}")]

    end = time.monotonic() + 10
    while not pulls():
        assert time.monotonic() < end
        time.sleep(0.1)
    assert pulls() == ["owner"]
