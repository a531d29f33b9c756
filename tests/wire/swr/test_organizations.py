"""Organizations by the vendor's SDK: made, listed, shown, deleted, and what is refused."""

from collections.abc import Callable

import pytest
from huaweicloudsdkswr.v2 import (
    CreateNamespaceRequest,
    CreateNamespaceRequestBody,
    DeleteNamespacesRequest,
    ListNamespacesRequest,
    ShowNamespaceRequest,
)
from office import Office

from entrepot.capabilities.access.identities.grants import SetGrant, set_grant
from entrepot.capabilities.access.targets import Target
from entrepot.capabilities.instances.limits import SetQuota, Subject, set_quota
from entrepot.model.access import Level

ALL = "/v2/manage/namespaces"


def creation(name: str) -> CreateNamespaceRequest:
    return CreateNamespaceRequest(body=CreateNamespaceRequestBody(namespace=name))


def test_one_is_made_shown_listed_and_deleted(office: Office):
    name, sdk = office.fresh("made"), office.owner.sdk()

    assert sdk.create_namespace(creation(name)).status_code == 201
    shown = sdk.show_namespace(ShowNamespaceRequest(namespace=name))
    assert (shown.name, shown.auth, shown.creator_name) == (name, 7, "owner")
    assert shown.id > 0
    listed = sdk.list_namespaces(ListNamespacesRequest()).namespaces
    (row,) = (one for one in listed if one.name == name)
    assert (row.id, row.creator_name, row.auth) == (shown.id, "owner", 7)
    assert sdk.delete_namespaces(DeleteNamespacesRequest(namespace=name)).status_code == 204
    assert office.owner.refused("show_namespace", ShowNamespaceRequest(namespace=name)) == (
        404,
        "4040058",
    )


@pytest.mark.parametrize("name", ["Upper", "1st", "a" * 65, "a..b", "a-_b", "a_", "manage", "a b"])
def test_a_name_that_breaks_the_grammar_is_refused(office: Office, name: str):
    assert office.owner.refused("create_namespace", creation(name)) == (400, "4001028")


@pytest.mark.parametrize("name", ["a", "a" * 64, "a--b", "a__b", "a.b-c_d"])
def test_a_name_within_the_grammar_is_taken(new_office: Callable[[], Office], name: str):
    office = new_office()
    answer = office.owner.send("POST", ALL, {"namespace": name})
    assert answer.status in (201, 409)  # names are unique over all tenants
    assert answer.code in ("", "4090060")


def test_a_name_is_taken_once_over_all_tenants(office: Office, new_office: Callable[[], Office]):
    name = office.organization()
    assert office.owner.refused("create_namespace", creation(name)) == (409, "4090060")
    assert new_office().owner.refused("create_namespace", creation(name)) == (409, "4090060")


def test_one_that_holds_a_repository_stays(office: Office):
    organization, _ = office.repository()
    request = DeleteNamespacesRequest(namespace=organization)
    assert office.owner.refused("delete_namespaces", request) == (406, "4060074")


def test_the_sixth_is_refused_where_five_are_the_limit(new_office: Callable[[], Office]):
    office = new_office()
    limit = SetQuota(Subject("tenant", office.tenant.name), "namespaces", 5)
    office.operator.run(set_quota, limit)
    for _ in range(5):
        office.organization()
    answer = office.owner.send("POST", ALL, {"namespace": office.fresh("sixth")})
    assert (answer.status, answer.code) == (400, "4000097")
    quotas = office.owner.ask("GET", f"/v2/manage/projects/{office.project.public_id}/quotas")
    assert quotas == {
        "quotas": [{"quota_limit": 5, "quota_key": "namespace", "unit": "", "used": 5}]
    }


def test_quotas_are_asked_of_ones_own_project(office: Office, new_office: Callable[[], Office]):
    other = new_office().project.public_id
    paths = {other: "4039001", "0" * 32: "4039001", "{project_id}": "4000014"}
    for project, code in paths.items():
        path = f"/v2/manage/projects/{project}/quotas"
        assert office.owner.send("GET", path).code == code, project


def test_a_filter_matches_the_whole_name_and_may_find_nothing(office: Office):
    name = office.organization()
    sdk = office.owner.sdk()
    for text, found in ((f"namespace::{name}", [name]), (f"namespace::{name[:-1]}x", [])):
        rows = sdk.list_namespaces(ListNamespacesRequest(filter=text)).namespaces
        assert [one.name for one in rows] == found
    request = ListNamespacesRequest(namespace=f"{name}x")
    assert office.owner.refused("list_namespaces", request) == (404, "4040058")
    both = sdk.list_namespaces(
        ListNamespacesRequest(namespace="nowhere", filter=f"namespace::{name}")
    )
    assert [one.name for one in both.namespaces] == [name]  # the filter wins


@pytest.mark.parametrize(
    "text",
    [
        "",
        "namespace",
        "namespace:x",
        "colour::red",
        "mode::dark",
        "::",
        "namespace::a|namespace::b",
    ],
)
def test_a_filter_that_cannot_be_read_is_refused(office: Office, text: str):
    answer = office.owner.send("GET", ALL, None, {"filter": text} if text else {"filter": "|"})
    assert (answer.status, answer.code) == (400, "4001035")


def test_members_see_what_they_were_given(new_office: Callable[[], Office]):
    office = new_office()
    given, reached, _other = (office.organization() for _ in range(3))
    _, repository = office.repository(reached)
    instance = office.instance
    for target, level in (
        (Target(instance, given), Level.EDIT),
        (Target(instance, reached, repository), Level.READ),
    ):
        office.operator.run(set_grant, SetGrant(target, "member", level))

    def seen(**query: str) -> dict[str, int]:
        rows = office.member.ask("GET", ALL, **query)["namespaces"]
        return {row["name"]: row["auth"] for row in rows}

    assert seen() == {given: 3}
    assert seen(filter="mode::visible") == {given: 3, reached: 1}
    assert office.member.send("GET", f"{ALL}/{given}").json["auth"] == 3
    refused = office.member.send("GET", f"{ALL}/{_other}")
    assert (refused.status, refused.code) == (403, "4039002")


def test_who_makes_one_manages_it(new_office: Callable[[], Office]):
    """A member needs the right to make one; what they made is theirs to manage."""
    office = new_office()
    refused = office.member.send("POST", ALL, {"namespace": office.fresh("own")})
    assert (refused.status, refused.code) == (403, "4039002")
