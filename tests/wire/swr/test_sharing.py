"""Sharing with another account, from the API's word to docker's pull: who may, until when, and what lists tell."""

import json
import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from huaweicloudsdkswr.v2 import (
    CreateRepoDomainsRequest,
    CreateRepoDomainsRequestBody,
    DeleteRepoDomainsRequest,
    ListRepoDomainsRequest,
    ListSharedRepoDetailsRequest,
    ListSharedReposDetailsRequest,
    ShowAccessDomainRequest,
    UpdateRepoDomainsRequest,
    UpdateRepoDomainsRequestBody,
)
from office import Answer, Office, Person

from entrepot.capabilities.access.identities.caps import Cap, cap_tenant, uncap_tenant
from entrepot.capabilities.access.identities.policies import (
    AttachPolicy,
    WritePolicy,
    attach_policy,
    create_policy,
)
from entrepot.metadata.schema import shares


@pytest.fixture(scope="module")
def other(new_office: Callable[[], Office]) -> Office:
    """Who receives."""
    return new_office()


def share(
    organization: str, repository: str, to: str, deadline="forever"
) -> CreateRepoDomainsRequest:
    body = CreateRepoDomainsRequestBody(access_domain=to, permit="read", deadline=deadline, description="for them")  # fmt: skip
    return CreateRepoDomainsRequest(namespace=organization, repository=repository, body=body)


def pull(
    who: Person, full_name: str, what: str = "manifests/v1", authorization: str = ""
) -> Answer:
    headers = {"Authorization": authorization or who.basic}
    return who.office.plain("GET", f"/v2/{full_name}/{what}", headers=headers)


def token(who: Person, scope: str) -> str:
    path = f"/service/token?service=registry&scope={scope}"
    answer = who.office.plain("GET", path, headers={"Authorization": who.basic})
    return "Bearer " + str(answer.json["token"])


def soon(act: Callable[[], object], wanted: object) -> None:
    """What another process was told is known everywhere within a second or two."""
    end = time.monotonic() + 10
    while (found := act()) != wanted:
        assert time.monotonic() < end, found
        time.sleep(0.1)


def test_all_users_of_the_receiver_may_pull_until_it_is_deleted(office: Office, other: Office):
    organization, repository = office.repository()
    name = f"{organization}/{repository}"
    pushed = office.push(name, "v1")
    for who in (other.owner, other.member):
        assert pull(who, name).status == 403
    sdk = office.owner.sdk()

    assert (
        sdk.create_repo_domains(share(organization, repository, other.tenant.name)).status_code
        == 201
    )
    for who in (other.owner, other.member):
        answer = pull(who, name)
        assert (answer.status, answer.body) == (200, pushed.payload)
        assert pull(who, name, f"blobs/{pushed.config_digest}").status == 200
        assert pull(who, name, "tags/list").json["tags"] == ["v1"]
    assert (
        pull(office.member, name).status == 403
    )  # of the owning account, yet nobody gave them anything
    bearer = token(other.member, f"repository:{name}:pull,push")
    assert pull(other.member, name, authorization=bearer).status == 200
    push = other.plain("POST", f"/v2/{name}/blobs/uploads/", headers={"Authorization": bearer})
    assert push.status == 401  # the token has no such scope

    request = DeleteRepoDomainsRequest(namespace=organization, repository=repository, access_domain=other.tenant.name)  # fmt: skip
    assert sdk.delete_repo_domains(request).status_code == 204
    soon(lambda: pull(other.member, name, authorization=bearer).status, 403)
    assert pull(other.owner, name).status == 403
    assert office.owner.refused("delete_repo_domains", request) == (404, "4040091")


def test_a_layer_may_be_mounted_from_what_is_shared(office: Office, other: Office):
    organization, repository = office.repository()
    name = f"{organization}/{repository}"
    pushed = office.push(name, "v1", seed=name)
    own, target = other.repository()

    def mount() -> int:
        query = f"mount={pushed.config_digest}&from={name}"
        headers = {"Authorization": other.owner.basic}
        return other.plain(
            "POST", f"/v2/{own}/{target}/blobs/uploads/?{query}", headers=headers
        ).status

    assert mount() == 202
    office.owner.sdk().create_repo_domains(share(organization, repository, other.tenant.name))
    assert mount() == 201


def test_after_its_end_nobody_pulls_and_lists_tell_so(
    office: Office, new_office: Callable[[], Office]
):
    receiver = new_office()
    organization, repository = office.repository(name=office.fresh("a/deep"))
    name = f"{organization}/{repository}"
    office.push(name, "v1")
    wire = repository.replace("/", "$")
    sdk, theirs = office.owner.sdk(), receiver.member.sdk()
    sdk.create_repo_domains(
        share(organization, wire, receiver.tenant.name, "2099-10-01T16:00:00.000Z")
    )
    listed = theirs.list_shared_repos_details(
        ListSharedReposDetailsRequest(center="thirdparty")
    ).body
    assert [(one.namespace, one.name, one.domain_name, one.status, one.tags, one.num_images) for one in listed] == [
        (organization, repository, office.tenant.name, True, ["v1"], 1)
    ]  # fmt: skip
    bearer = token(receiver.member, f"repository:{name}:pull")
    assert pull(receiver.member, name, authorization=bearer).status == 200

    ours = shares.c.deadline == "2099-10-01T16:00:00.000Z"
    past = sa.update(shares).where(ours).values(ends_at=int(time.time() * 1e6) - 1)
    office.operator.do(office.operator.ctx.db.write(lambda conn: conn.execute(past)))

    assert pull(receiver.member, name).status == 403
    assert token(receiver.member, f"repository:{name}:pull")  # with nothing in it
    listed = theirs.list_shared_repos_details(
        ListSharedReposDetailsRequest(center="thirdparty")
    ).body
    told = [(one.name, one.domain_name, one.status, one.tags, one.num_images, one.size, one.num_download) for one in listed]  # fmt: skip
    assert told == [(repository, office.tenant.name, False, [], 0, 0, 0)]
    newer = ListSharedRepoDetailsRequest(shared_by="thirdparty")
    (alike,) = theirs.list_shared_repo_details(newer).repos
    assert (alike.status, alike.num_images, alike.size, alike.num_download) == (False, 0, 0, 0)
    (shown,) = sdk.list_repo_domains(
        ListRepoDomainsRequest(namespace=organization, repository=wire)
    ).body
    assert (shown.status, shown.deadline) == (False, "2099-10-01T16:00:00.000Z")
    change = UpdateRepoDomainsRequestBody(permit="read", deadline="forever")
    request = UpdateRepoDomainsRequest(namespace=organization, repository=wire, access_domain=receiver.tenant.name, body=change)  # fmt: skip
    assert sdk.update_repo_domains(request).status_code == 201
    assert pull(receiver.member, name).status == 200


def test_one_is_shown_or_said_not_to_be(office: Office, other: Office):
    organization, repository = office.repository()
    sdk = office.owner.sdk()

    def show(to: str) -> dict:
        request = ShowAccessDomainRequest(namespace=organization, repository=repository, access_domain=to)  # fmt: skip
        return sdk.show_access_domain(request).to_json_object()

    nothing = show(other.tenant.name)
    assert nothing.pop("exist") is False
    assert {key: value for key, value in nothing.items() if value} == {
        "namespace": organization,
        "repository": repository,
        "access_domain": other.tenant.name,
    }
    sdk.create_repo_domains(share(organization, repository, other.tenant.name))
    shown = show(other.tenant.name)
    assert shown["exist"] is True
    assert shown["status"] is True
    assert (shown["permit"], shown["deadline"], shown["description"]) == (
        "read",
        "forever",
        "for them",
    )
    assert (shown["creator_name"], shown["creator_id"]) == ("owner", office.owner.user.public_id)
    assert shown["created"] == shown["updated"]


def test_lists_of_own_ones_page_by_range(new_office: Callable[[], Office], other: Office):
    office = new_office()
    names = []
    organization = office.organization()
    for _ in range(3):
        _, repository = office.repository(organization)
        names.append(repository)
        office.owner.sdk().create_repo_domains(share(organization, repository, other.tenant.name))
    path = "/v2/manage/shared-repositories"

    def page(**query: str) -> tuple[list[str], str]:
        answer = office.owner.send("GET", path, None, {"center": "self", **query})
        assert answer.status == 200, answer
        assert not any(row["status"] for row in answer.json)
        return [row["name"] for row in answer.json], answer.headers["content-range"]

    by_name = {"order_column": "name", "order_type": "asc"}
    assert page(**by_name) == (names, "0-3/3")
    assert page(limit="2", offset="2", **by_name) == (names[2:], "2-1/3")
    assert names[1] in page(name=names[1][:-1])[0]
    assert page(name="no-such-name") == ([], "0-0/0")
    combined = f"center::self|namespace::{organization}|limit::1|offset::0|order_column::updated_time|order_type::desc"  # fmt: skip
    answer = office.owner.send("GET", path, None, {"filter": combined})
    assert (len(answer.json), answer.headers["content-range"]) == (1, "0-1/3")
    for query, code in (
        ({}, "4001014"),
        ({"center": "all"}, "4001025"),
        ({"center": "self", "limit": "x"}, "4000056"),
        ({"center": "self", "order_column": "size"}, "4001025"),
        ({"center": "self", "status": "maybe"}, "4001025"),
        ({"filter": "centre::self"}, "4001035"),
    ):
        answer = office.owner.send("GET", path, None, query)
        assert (answer.status, answer.code) == (400, code), query


def test_what_is_refused(office: Office, other: Office):
    organization, repository = office.repository()
    path = f"/v2/manage/namespaces/{organization}/repositories/{repository}/access-domains"
    good = {"access_domain": other.tenant.name, "permit": "read", "deadline": "forever"}

    def code(**changed) -> tuple[int, str]:
        body = {name: value for name, value in {**good, **changed}.items() if value is not None}
        answer = office.owner.send("POST", path, body)
        return answer.status, answer.code

    assert code(access_domain="nobody-of-that-name") == (400, "4001041")
    assert code(access_domain=office.tenant.name) == (400, "4001041")
    assert code(permit="write") == (400, "4001066")
    for deadline in ("2018-10-01T16:00:00.000Z", "tomorrow", "", "2030-02-30"):
        assert code(deadline=deadline) == (400, "4000014"), deadline
    for missing in ("access_domain", "permit", "deadline"):
        assert code(**{missing: None}) == (400, "4001014")
    assert code(description="x" * 1001) == (413, "4131012")
    assert code(permit=7) == (400, "4001018")
    assert code() == (201, "")
    assert code() == (409, "4090089")
    theirs = other.owner.send("POST", path, {**good, "access_domain": office.tenant.name})
    assert (theirs.status, theirs.code) == (401, "4011064")
    for method, at, body in (
        ("GET", path, None),
        ("GET", f"{path}/{other.tenant.name}", None),
        ("DELETE", f"{path}/{other.tenant.name}", None),
        ("PATCH", f"{path}/{other.tenant.name}", good),
    ):
        answer = office.member.send(method, at, body)
        assert (answer.status, answer.code) == (403, "4037020"), method
    # the receiver may read the repository, yet not with whom else it is shared
    assert other.owner.send("GET", path).status in (401, 403)
    missing = office.owner.send("POST", path.replace(repository, "nothing-here"), good)
    assert (missing.status, missing.code) == (404, "4040010")


def test_a_policy_may_say_with_whom(
    office: Office, other: Office, new_office: Callable[[], Office]
):
    organization, repository = office.repository()
    friend = new_office()
    lead = office.hire(office.fresh("lead"))
    document = json.dumps(
        {
            "Version": "5.0",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": ["swr:repo:createRepoDomain"],
                    "Resource": [f"swr:*:*:repo:{organization}/*"],
                    "Condition": {"StringEquals": {"swr:TargetAccountId": friend.tenant.public_id}},
                }
            ],
        }
    )
    name = office.fresh("sharing")
    office.operator.run(create_policy, WritePolicy(office.tenant.id, name, document, "swr"))
    office.operator.run(attach_policy, AttachPolicy(office.tenant.id, name, user=lead.user.name))

    assert lead.refused("create_repo_domains", share(organization, repository, other.tenant.name)) == (403, "4037020")  # fmt: skip
    answer = lead.sdk().create_repo_domains(share(organization, repository, friend.tenant.name))
    assert answer.status_code == 201
    assert (
        pull(friend.member, f"{organization}/{repository}").status == 404
    )  # may read; nothing is there


def test_a_cap_limits_the_whole_account(new_office: Callable[[], Office], other: Office):
    office = new_office()
    organization, repository = office.repository()
    name = f"{organization}/{repository}"
    office.push(name, "v1")
    bearer = token(office.owner, f"repository:{name}:pull,push")
    cap = Cap(office.tenant.id, "SWR ReadOnlyAccess")
    office.operator.run(cap_tenant, cap)

    soon(lambda: office.owner.send("POST", "/v2/manage/namespaces", {"namespace": "x"}).status, 403)
    request = share(organization, repository, other.tenant.name)
    assert office.owner.refused("create_repo_domains", request) == (403, "4037020")
    assert office.owner.send("GET", f"/v2/manage/namespaces/{organization}").status == 200
    assert pull(office.owner, name, authorization=bearer).status == 200
    push = office.plain("POST", f"/v2/{name}/blobs/uploads/", headers={"Authorization": bearer})
    assert push.status in (401, 403)
    office.operator.run(uncap_tenant, cap)
    soon(lambda: office.owner.sdk().create_repo_domains(request).status_code, 201)
