"""Repositories by the vendor's SDK: made, changed, listed, shown, deleted, and what is counted about them."""

import time

import pytest
from huaweicloudsdkswr.v2 import (
    CreateRepoRequest,
    CreateRepoRequestBody,
    DeleteRepoRequest,
    ListReposDetailsRequest,
    ShowRepositoryRequest,
    UpdateRepoRequest,
    UpdateRepoRequestBody,
)
from office import Office
from swr_docker import pull, push_index

LIST = "/v2/manage/repos"


def path(organization: str, repository: str = "") -> str:
    base = f"/v2/manage/namespaces/{organization}/repos"
    return f"{base}/{repository.replace('/', '$')}" if repository else base


def shown(office: Office, organization: str, repository: str) -> dict:
    return office.owner.ask("GET", path(organization, repository))


def test_one_is_made_changed_shown_and_deleted(office: Office):
    organization, sdk = office.organization(), office.owner.sdk()
    body = CreateRepoRequestBody(
        repository="app/sub", is_public=False, category="linux", description="größer"
    )
    assert sdk.create_repo(CreateRepoRequest(namespace=organization, body=body)).status_code == 201
    request = ShowRepositoryRequest(namespace=organization, repository="app$sub")
    made = sdk.show_repository(request).to_json_object()
    assert {name: made[name] for name in ("name", "category", "description", "is_public")} == {
        "name": "app/sub",
        "category": "linux",
        "description": "größer",
        "is_public": False,
    }
    assert made["creator_name"] == "owner"
    assert made["creator_id"] == office.owner.user.public_id
    assert made["domain_id"] == office.tenant.public_id
    assert made["path"] == made["internal_path"]
    assert made["path"].endswith(f"/{organization}/app/sub")
    assert (made["num_images"], made["num_download"], made["size"], made["priority"]) == (
        0,
        0,
        0,
        0,
    )
    assert made["ns_id"] == office.owner.ask("GET", f"/v2/manage/namespaces/{organization}")["id"]

    change = UpdateRepoRequestBody(is_public=True, description="")
    update = UpdateRepoRequest(namespace=organization, repository="app$sub", body=change)
    assert sdk.update_repo(update).status_code == 201
    now = sdk.show_repository(request)
    assert (now.is_public, now.category, now.description) == (True, "linux", "")

    gone = DeleteRepoRequest(namespace=organization, repository="app$sub")
    assert sdk.delete_repo(gone).status_code == 204
    assert office.owner.refused("show_repository", request) == (404, "4040010")


def test_slashes_come_as_dollars_encoded_or_not_and_as_encoded_slashes(office: Office):
    organization, _ = office.repository(name="a/b/c")
    for name in ("a$b$c", "a%24b%24c", "a%2Fb%2Fc", "a%2fb$c"):
        answer = office.plain_signed(office.owner, "GET", f"{path(organization)}/{name}")
        assert answer.json["name"] == "a/b/c", name
    assert office.owner.send("GET", f"{path(organization)}/a/b/c").code == "4040083"


@pytest.mark.parametrize(
    "name", ["Upper", "a//b", "/a", "a/", "a$b", "a" * 129, "", "a b", "a/../b"]
)
def test_a_name_that_breaks_the_grammar_is_refused(office: Office, name: str):
    answer = office.owner.send(
        "POST", path(office.organization()), {"repository": name, "is_public": True}
    )
    assert (answer.status, answer.code) == (400, "4001029")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"repository": "x"}, "4001014"),
        ({"is_public": True}, "4001014"),
        ({"repository": "x", "is_public": "yes"}, "4001009"),
        ({"repository": "x", "is_public": None}, "4001014"),
        ({"repository": 5, "is_public": True}, "4001018"),
        ({"repository": "x", "is_public": True, "category": "toys"}, "4000014"),
        ({"repository": "x", "is_public": True, "description": "x" * 20_000}, "4131012"),
        ([], "4001018"),
        (b"{", "4001018"),
        (b"\xff", "4001018"),
        (b'{"repository": "\\ud800", "is_public": true}', "4001018"),
        ({"repository": "x\0", "is_public": True}, "4000014"),
    ],
)
def test_a_body_that_cannot_be_is_refused(office: Office, body: object, code: str):
    assert office.owner.send("POST", path(office.organization()), body).code == code


def test_what_nobody_knows_is_ignored(office: Office):
    body = {"repository": "x", "is_public": True, "colour": "red", "category": None}
    assert office.owner.send("POST", path(office.organization()), body).status == 201


def test_one_with_a_tag_stays(office: Office):
    organization, repository = office.repository()
    office.push(f"{organization}/{repository}", "v1")
    refused = office.owner.send("DELETE", path(organization, repository))
    assert (refused.status, refused.code) == (406, "4060012")
    office.owner.ask("DELETE", f"{path(organization, repository)}/tags/v1")
    office.owner.ask("DELETE", path(organization, repository))


def test_a_push_makes_one_and_counts_and_sizes_are_exact(office: Office):
    organization = office.organization()
    name = f"{organization}/by/push"
    one, two = office.push(name, "v1"), office.push(name, "v2")
    office.push(name, "again", seed="v1")  # the same image: another tag of it
    index = push_index(office.registry.port, name, "both", office.owner.basic, [one, two])
    assert index
    found = shown(office, organization, "by/push")
    assert (found["num_images"], found["category"], found["is_public"]) == (4, "other", False)
    assert found["size"] == one.size + two.size + one.size + (one.size + two.size)

    office.owner.ask("DELETE", f"{path(organization, 'by/push')}/tags/again")
    office.push(name, "v2", seed="v1")  # moved
    found = shown(office, organization, "by/push")
    assert (found["num_images"], found["size"]) == (3, one.size * 2 + one.size + two.size)


@pytest.mark.broad
def test_pulls_are_counted(office: Office):
    organization, repository = office.repository()
    name = f"{organization}/{repository}"
    office.push(name, "v1")
    for _ in range(3):
        assert pull(office.registry.port, name, "v1", office.owner.basic) == 200
    deadline = time.monotonic() + 30
    while shown(office, organization, repository)["num_download"] != 3:
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_public_ones_are_pulled_by_anybody_and_private_ones_are_not(office: Office):
    organization, repository = office.repository(is_public=True)
    name = f"{organization}/{repository}"
    office.push(name, "v1")
    assert pull(office.registry.port, name, "v1") == 200
    office.owner.ask("PATCH", path(organization, repository), {"is_public": False})
    assert pull(office.registry.port, name, "v1") == 401


# -- lists ------------------------------------------------------------------------------------------------------------


def test_lists_are_paged_sorted_and_filtered(new_office):
    office = new_office()
    organization = office.organization()
    for number in range(7):
        office.repository(
            organization,
            f"r{number}",
            is_public=number % 2 == 0,
            category="linux" if number < 3 else "lang",
        )
    office.push(f"{organization}/r3", "v1")
    office.push(f"{organization}/r3", "v2")
    sdk = office.owner.sdk()

    def names(**query: str) -> list[str]:
        answer = office.owner.send("GET", LIST, None, query)
        assert answer.status == 200, answer
        rows = answer.json
        total = int(answer.headers["content-range"].partition("/")[2])
        assert {row["total_range"] for row in rows} <= {total}
        first, _, count = answer.headers["content-range"].partition("/")[0].partition("-")
        assert (int(first), int(count)) == (int(query.get("offset", 0)), len(rows))
        return [row["name"] for row in rows]

    assert names()[0] == "r3"  # the last that changed
    assert names(order_column="name", order_type="asc") == [f"r{n}" for n in range(7)]
    assert names(order_column="name", order_type="desc", limit="2", offset="2") == ["r4", "r3"]
    assert names(limit="3", offset="6", order_column="name", order_type="asc") == ["r6"]
    assert names(limit="3", offset="9") == []
    assert names(order_column="tag_count", order_type="desc")[0] == "r3"
    assert sorted(names(is_public="true")) == ["r0", "r2", "r4", "r6"]
    assert sorted(names(category="linux")) == ["r0", "r1", "r2"]
    assert sorted(names(name="3")) == ["r3"]
    assert sorted(names(namespace=organization[:-1])) == sorted(names())
    request = ListReposDetailsRequest(filter="name::r3|limit::10|offset::0", name="nothing")
    (row,) = sdk.list_repos_details(request).body
    assert (row.num_images, row.tags, row.domain_name) == (2, ["v2", "v1"], office.tenant.name)
    assert (row.namespace, row.status) == (organization, False)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"limit": "0"}, "4000056"),
        ({"limit": "x"}, "4000056"),
        ({"offset": "-1"}, "4000056"),
        ({"limit": "99999999999999999999"}, "4000056"),
        ({"is_public": "perhaps"}, "4001025"),
        ({"category": "toys"}, "4001025"),
        ({"order_column": "colour", "order_type": "asc"}, "4001025"),
        ({"order_column": "name", "order_type": "up"}, "4001025"),
        ({"filter": "name"}, "4001035"),
        ({"filter": "limit::0|offset::0"}, "4000056"),
    ],
)
def test_a_query_that_cannot_be_is_refused(office: Office, query: dict[str, str], code: str):
    assert office.owner.send("GET", LIST, None, query).code == code


def test_a_thousand_is_the_most_and_one_alone_takes_the_others_default(office: Office):
    assert office.owner.send("GET", LIST, None, {"limit": "5000"}).status == 200
    assert office.owner.send("GET", LIST, None, {"offset": "0"}).status == 200
    assert office.owner.send("GET", LIST, None, {"order_column": "name"}).status == 200
