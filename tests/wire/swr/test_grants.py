"""Permissions of organizations and repositories by the vendor's SDK: given, changed, shown, taken back, and what is refused."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from huaweicloudsdkswr.v2 import (
    CreateNamespaceAuthRequest,
    CreateUserRepositoryAuthRequest,
    DeleteNamespaceAuthRequest,
    DeleteUserRepositoryAuthRequest,
    ShowNamespaceAuthRequest,
    ShowUserRepositoryAuthRequest,
    UpdateNamespaceAuthRequest,
    UpdateUserRepositoryAuthRequest,
    UserAuth,
)
from office import Office, Person


@dataclass
class Place:
    """An organization, or one repository of it."""

    office: Office
    organization: str
    repository: str = ""

    @property
    def path(self) -> str:
        inside = f"/repos/{self.repository}" if self.repository else ""
        return f"/v2/manage/namespaces/{self.organization}{inside}/access"

    def send(self, method: str, body=None, *, by: Person | None = None) -> tuple[int, str]:
        answer = (by or self.office.owner).send(method, self.path, body)
        return answer.status, answer.code

    def levels(self, by: Person | None = None) -> tuple[int, dict[str, int]]:
        """The caller's own, and others' by name."""
        shown = (by or self.office.owner).ask("GET", self.path)
        others = {one["user_name"]: one["auth"] for one in shown["others_auths"]}
        return shown["self_auth"]["auth"], others


@pytest.fixture(params=["organization", "repository"])
def place(request, office: Office) -> Place:
    organization, repository = office.repository()
    return Place(office, organization, repository if request.param == "repository" else "")


def one(who: Person, auth: object = 1) -> dict:
    return {"user_id": who.user.public_id, "user_name": who.user.name, "auth": auth}


def test_by_the_sdk_on_an_organization(office: Office):
    name, sdk = office.organization(), office.owner.sdk()
    member = office.member.user
    auth = UserAuth(user_id=member.public_id, user_name=member.name, auth=1)

    assert sdk.create_namespace_auth(CreateNamespaceAuthRequest(namespace=name, body=[auth])).status_code == 201  # fmt: skip
    shown = sdk.show_namespace_auth(ShowNamespaceAuthRequest(namespace=name))
    assert (shown.name, shown.creator_name, shown.self_auth.auth) == (name, "owner", 7)
    assert shown.id > 0
    assert [item.to_dict() for item in shown.others_auths] == [auth.to_dict()]
    auth.auth = 3
    assert sdk.update_namespace_auth(UpdateNamespaceAuthRequest(namespace=name, body=[auth])).status_code == 201  # fmt: skip
    office.push(f"{name}/app", "v1", office.member)
    request = DeleteNamespaceAuthRequest(namespace=name, body=[member.public_id])
    assert sdk.delete_namespace_auth(request).status_code == 204
    assert sdk.show_namespace_auth(ShowNamespaceAuthRequest(namespace=name)).others_auths == []


def test_by_the_sdk_on_a_repository(office: Office):
    name, repository = office.repository(name=office.fresh("deep/er"))
    sdk, wire = office.owner.sdk(), repository.replace("/", "$")
    member = office.member.user
    auth = UserAuth(user_id=member.public_id, user_name=member.name, auth=3)
    where = {"namespace": name, "repository": wire}

    assert sdk.create_user_repository_auth(CreateUserRepositoryAuthRequest(**where, body=[auth])).status_code == 201  # fmt: skip
    shown = sdk.show_user_repository_auth(ShowUserRepositoryAuthRequest(**where))
    assert (shown.name, shown.self_auth.auth) == (repository, 7)
    detail = office.owner.ask("GET", f"/v2/manage/namespaces/{name}/repos/{wire}")
    assert shown.id == detail["id"]
    assert [item.to_dict() for item in shown.others_auths] == [auth.to_dict()]
    office.push(f"{name}/{repository}", "v1", office.member)
    auth.auth = 7
    assert sdk.update_user_repository_auth(UpdateUserRepositoryAuthRequest(**where, body=[auth])).status_code == 201  # fmt: skip
    request = DeleteUserRepositoryAuthRequest(**where, body=[member.public_id])
    assert sdk.delete_user_repository_auth(request).status_code == 204


def test_many_at_once_or_none(place: Place):
    office = place.office
    first, second = (office.hire(office.fresh("user")) for _ in range(2))
    exists = "4090089" if place.repository else "4090076"
    missing = "4040091" if place.repository else "4040078"

    assert place.send("POST", [one(first), one(second, 3)]) == (201, "")
    expected = {first.user.name: 1, second.user.name: 3}
    assert place.levels() == (7, expected)
    assert place.levels(first) == (1, {second.user.name: 3})
    assert place.send("POST", [one(office.member), one(second)]) == (409, exists)
    assert place.send("POST", [one(office.member), one(office.member)]) == (409, exists)
    assert place.send("PATCH", [one(first, 7), one(office.member)]) == (404, missing)
    assert place.send("DELETE", [office.member.user.public_id]) == (404, missing)
    assert place.levels() == (7, expected)
    assert place.send("DELETE", [first.user.public_id, "0" * 32]) == (204, "")
    assert place.levels() == (7, {second.user.name: 3})


def test_what_is_refused(place: Place, new_office: Callable[[], Office]):
    _office, member = place.office, place.office.member
    wrong = "4001066" if place.repository else "4001065"
    good = one(member)
    for body, expected in (
        ([], (400, "4001014")),
        ({}, (400, "4001018")),
        ([good, 5], (400, "4001018")),
        ([{**good, "auth": "1"}], (400, "4001018")),
        ([{**good, "auth": True}], (400, "4001018")),
        ([{**good, "auth": 2}], (400, wrong)),
        ([{**good, "auth": 0}], (400, wrong)),
        ([{key: value for key, value in good.items() if key != "auth"}], (400, "4001014")),
        ([{key: value for key, value in good.items() if key != "user_name"}], (400, "4001014")),
        ([{**good, "user_id": "0" * 32}], (400, "4001067")),
        ([{**good, "user_name": "somebody"}], (400, "4001067")),
        ([one(new_office().member)], (400, "4001067")),
    ):
        for method in ("POST", "PATCH"):
            assert place.send(method, body) == expected, (method, body)
    for body, expected in (([], (400, "4001014")), ({}, (400, "4001018")), ([5], (400, "4001018"))):
        assert place.send("DELETE", body) == expected, body
    stranger = new_office().owner
    for method, body in (("GET", None), ("POST", [good]), ("PATCH", [good]), ("DELETE", ["x"])):
        assert place.send(method, body, by=stranger) == (401, "4011064")
        assert place.send(method, body, by=member)[0] == 403


def test_nobody_gives_themselves_anything_on_a_repository(office: Office):
    organization, repository = office.repository()
    lead = office.hire(office.fresh("lead"))
    there = Place(office, organization, repository)
    assert there.send("POST", [one(lead, 7)]) == (201, "")

    assert there.send("POST", [one(office.member, 7)], by=lead) == (201, "")
    for method, body in (("PATCH", [one(lead, 3)]), ("DELETE", [lead.user.public_id])):
        assert there.send(method, body, by=lead) == (400, "4001067")
    editor = office.hire(office.fresh("editor"))
    assert Place(office, organization).send("POST", [one(editor, 3)]) == (201, "")
    other = office.hire(office.fresh("other"))
    assert there.send("POST", [one(other, 7)], by=editor) == (201, "")
    assert Place(office, organization).send("POST", [one(other, 1)], by=editor)[0] == 403
