"""What is the same for all operations: who asks, in which order faults are told, how errors look, whose things they are."""

from collections.abc import Callable

import pytest
from office import Office, Person
from started import started

from entrepot.capabilities.access.identities.grants import SetGrant, set_grant
from entrepot.capabilities.access.targets import Target
from entrepot.model.access import Level

ORGANIZATIONS = "/v2/manage/namespaces"


def test_versions_are_told_to_anybody(office: Office):
    listed = office.plain("GET", "/")
    shown = office.plain("GET", "/v2")
    assert listed.status == shown.status == 200
    (version,) = listed.json["versions"]
    assert shown.json == {"version": version}
    assert (version["id"], version["status"], version["links"]["rel"]) == ("v2", "CURRENT", "self")
    assert version["links"]["href"].endswith("/v2/")


def test_the_registry_and_the_other_api_are_where_they_were(office: Office):
    assert office.plain("GET", "/v2/").status == 401
    assert "www-authenticate" in office.plain("GET", "/v2/").headers
    other = office.plain("POST", "/", b"{}", {"X-TC-Action": "DescribeRegions"})
    assert "Error" in other.json["Response"]


@pytest.mark.parametrize(
    "path", [ORGANIZATIONS, "/v2/manage/nowhere", "/v2/manage/", "/v3/manage/x"]
)
def test_whoever_is_not_known_learns_nothing(office: Office, path: str):
    answer = office.plain("GET", path)
    assert (answer.status, answer.json["error_code"]) == (401, "SVCSTG.S2I.4019000")


@pytest.mark.parametrize(
    "headers",
    [{"X-Auth-Token": "x"}, {"Authorization": "SDK-HMAC-SHA256 x"}, {"X-Auth-Token": "x" * 9000}],
)
def test_credentials_that_are_no_good_are_refused(office: Office, headers: dict[str, str]):
    answer = office.plain("GET", ORGANIZATIONS, b"", headers)
    assert (answer.status, answer.code) == (401, "4010000")


def test_a_path_or_method_that_is_not_served_is_told_to_who_is_known(office: Office):
    for method, path in (
        ("GET", "/v2/manage/nowhere"),
        ("PUT", ORGANIZATIONS),
        ("GET", f"{ORGANIZATIONS}/"),
        ("GET", "/v2/manage/namespaces/%ff"),
        ("GET", "/v2/manage/namespaces/a%00b"),
    ):
        answer = office.plain_signed(office.owner, method, path)
        assert answer.status in (401, 404), (path, answer)
        assert answer.code in ("4040083", "4010000"), (path, answer)


def test_parameters_come_before_rights_and_rights_before_what_is_there(office: Office):
    organization, _ = office.repository()
    path = f"{ORGANIZATIONS}/{organization}/repos"
    member = office.member
    assert member.send("POST", path, {"repository": "x"}).code == "4001014"
    assert member.send("POST", path, {"repository": "x", "is_public": True}).code == "4039002"
    assert member.send("GET", f"{path}/nothing").code == "4037020"
    assert office.owner.send("GET", f"{path}/nothing").code == "4040010"
    assert office.owner.send("GET", f"{ORGANIZATIONS}/nothing{organization}").code == "4040058"
    assert member.send("GET", f"{ORGANIZATIONS}/nothing{organization}").code == "4040058"


def test_things_of_another_account_are_said_to_be_so(
    office: Office, new_office: Callable[[], Office]
):
    organization, repository = office.repository()
    stranger = new_office().owner
    base = f"{ORGANIZATIONS}/{organization}"
    for method, path, body in (
        ("GET", base, None),
        ("DELETE", base, None),
        ("GET", f"{base}/repos/{repository}", None),
        ("GET", f"{base}/repos/nothing", None),
        ("POST", f"{base}/repos", {"repository": "x", "is_public": True}),
        ("DELETE", f"{base}/repos/{repository}", None),
        ("GET", f"{base}/repos/{repository}/tags", None),
        ("DELETE", f"{base}/repos/{repository}/tags/v1", None),
    ):
        answer = stranger.send(method, path, body)
        assert (answer.status, answer.code) == (401, "4011064"), (method, path, answer)
    assert stranger.ask("GET", "/v2/manage/repos") == []


def test_public_repositories_of_others_are_shown(office: Office, new_office: Callable[[], Office]):
    organization, repository = office.repository(is_public=True)
    stranger = new_office().owner
    path = f"{ORGANIZATIONS}/{organization}/repos/{repository}"
    assert stranger.ask("GET", path)["name"] == repository
    assert stranger.send("PATCH", path, {"is_public": False}).code == "4011064"
    assert stranger.ask("GET", f"{path}/tags") == []
    assert stranger.send("GET", f"{path}/tags/nothing").code == "4041056"  # as to its owner
    assert stranger.send("DELETE", f"{path}/tags/nothing").code == "4011064"


def test_a_project_that_is_not_the_callers_is_refused(
    office: Office, new_office: Callable[[], Office]
):
    own, others = office.project.public_id, new_office().project.public_id
    assert office.owner.send("GET", ORGANIZATIONS, X_Project_Id=own).status == 200
    for project in (others, "x"):
        answer = office.owner.send("GET", ORGANIZATIONS, X_Project_Id=project)
        assert (answer.status, answer.code) == (403, "4039001")


def test_bodies_are_read_where_they_count_and_have_a_limit(office: Office):
    assert office.owner.send("GET", ORGANIZATIONS, b"{not json").status == 200
    answer = office.owner.send("POST", ORGANIZATIONS, b" " * (12 * 1024 * 1024 + 1))
    assert (answer.status, answer.code) == (413, "4131001")
    assert office.owner.send("POST", ORGANIZATIONS, b" " * 200_000).code == "4001014"


def test_content_type_may_be_missing_or_have_a_charset(office: Office):
    for kind in ("application/json;charset=utf-8", "text/plain"):
        answer = office.owner.send(
            "POST", ORGANIZATIONS, {"namespace": office.fresh("typed")}, Content_Type=kind
        )
        assert answer.status == 201


def test_answers_are_json_never_kept_and_never_elsewhere(office: Office):
    for answer in (
        office.owner.send("GET", ORGANIZATIONS),
        office.owner.send("GET", f"{ORGANIZATIONS}/nothing-at-all"),
    ):
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        assert "location" not in answer.headers
    name = office.organization()
    gone = office.owner.send("DELETE", f"{ORGANIZATIONS}/{name}")
    assert (gone.status, gone.body) == (204, b"")


def test_errors_may_be_the_bare_array_of_the_appendix(tmp_path):
    with started(tmp_path, ENTREPOT_API_SWR_ERROR_ARRAYS="true") as registry:
        office = Office.__new__(Office)
        office.registry = registry
        answer = office.plain("GET", ORGANIZATIONS)
    (one,) = answer.json
    assert set(one) == {"errorCode", "errorMessage", "detail"}
    assert one["errorCode"] == "SVCSTG.S2I.4019000"


def test_two_parameters_of_a_name_are_refused(office: Office):
    answer = office.owner.send(
        "GET", "/v2/manage/repos", None, {"name": "a", "filter": "name::a|name::b"}
    )
    assert answer.code == "4001035"


# -- logins -----------------------------------------------------------------------------------------------------------


def login(person: Person, **query: str) -> tuple[str, str]:
    """Docker's header of a temporary login, and the command that was told."""
    answer = person.send("POST", "/v2/manage/utils/secret", None, query)
    assert answer.status == 200, answer
    ((host, said),) = answer.json["auths"].items()
    command = answer.headers["x-swr-dockerlogin"].split()
    assert command[:3] == ["docker", "login", "-u"]
    assert command[-1] == host
    assert answer.headers["x-swr-expireat"].endswith("Z")
    return f"Basic {said['auth']}", command[3]


def test_a_temporary_login_pushes_and_pulls_with_the_rights_of_who_made_it(office: Office):
    organization, repository = office.repository()
    basic, username = login(office.owner)
    assert username == f"{office.project.name}@{office.owner.key_id}"
    asked = office.plain("GET", "/v2/", b"", {"Authorization": basic})
    assert asked.status == 200
    theirs, _ = login(office.member)
    path = f"/v2/{organization}/{repository}/tags/list"
    assert office.plain("GET", path, b"", {"Authorization": basic}).status == 200
    assert office.plain("GET", path, b"", {"Authorization": theirs}).status == 403
    target = Target(office.instance, organization, repository)
    office.operator.run(set_grant, SetGrant(target, "member", Level.READ))
    assert office.plain("GET", path, b"", {"Authorization": theirs}).status == 200


def test_a_login_is_for_a_project_of_the_callers(office: Office):
    answer = office.owner.send("POST", "/v2/manage/utils/secret", None, {"projectname": "nowhere"})
    assert (answer.status, answer.code) == (403, "4039001")
