"""What only the vendor's SDK knows: lists by marker, and numbers of an account."""

from collections.abc import Callable

from huaweicloudsdkswr.v2 import (
    ListRepoDetailsRequest,
    ListRepositoryTagRequest,
    ShowDomainOverviewRequest,
)
from office import Office


def test_repositories_by_marker_come_once_each(new_office: Callable[[], Office]):
    office = new_office()
    organization = office.organization()
    made = {office.repository(organization)[1] for _ in range(5)}
    sdk, marker, seen = office.owner.sdk(), 0, []
    for _ in range(4):
        page = sdk.list_repo_details(ListRepoDetailsRequest(limit=2, marker=marker))
        seen += [one.name for one in page.repos]
        marker = page.next_marker
        if not marker:
            break
    assert (len(seen), set(seen)) == (5, made)


def test_tags_by_marker_come_once_each(office: Office):
    organization, repository = office.repository()
    for tag in ("a", "b", "c"):
        office.push(f"{organization}/{repository}", tag)
    sdk, marker, seen = office.owner.sdk(), "", []
    for _ in range(3):
        request = ListRepositoryTagRequest(
            namespace=organization,
            repository=repository,
            limit=2,
            marker=marker,
            order_column="tag",
            order_type="asc",
        )
        page = sdk.list_repository_tag(request)
        seen += [one.tag for one in page.tags]
        marker = page.next_marker
        if not page.has_more:
            break
    assert seen == ["a", "b", "c"]


def test_manifests_come_with_tags_where_they_are_asked_for(office: Office):
    organization, repository = office.repository()
    pushed = office.push(f"{organization}/{repository}", "v1")
    sdk = office.owner.sdk()
    for asked, told in ((None, ""), (False, ""), (True, pushed.payload.decode())):
        request = ListRepositoryTagRequest(
            namespace=organization, repository=repository, with_manifest=asked
        )
        (one,) = sdk.list_repository_tag(request).tags
        assert (one.manifest, one.digest, one.size) == (told, pushed.digest, pushed.size)


def test_an_account_has_numbers(new_office: Callable[[], Office]):
    office = new_office()
    organization, repository = office.repository()
    office.push(f"{organization}/{repository}", "v1")
    shown = office.owner.sdk().show_domain_overview(ShowDomainOverviewRequest())
    assert (shown.domain_id, shown.domain_name) == (office.tenant.public_id, office.tenant.name)
    assert (shown.namspace_num, shown.repo_num, shown.image_num) == (1, 1, 1)


def test_the_api_describes_itself(office: Office):
    answer = office.plain("GET", "/v2/manage/openapi.json")
    document = answer.json
    assert document["openapi"] == "3.1.0"
    one = document["paths"]["/v2/manage/namespaces/{namespace}/repos/{repository}"]
    assert set(one) == {"get", "patch", "delete"}
    assert one["get"]["operationId"] == "ShowRepository"
    body = one["patch"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["is_public"]
