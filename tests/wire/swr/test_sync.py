"""Image sync as the vendor's clients see it: rules, copies within the deployment, jobs, and the oddities of its texts."""

import pytest
from huaweicloudsdkswr.v2 import (
    CreateImageSyncRepoRequest,
    CreateImageSyncRepoRequestBody,
    CreateManualImageSyncRepoRequest,
    CreateManualImageSyncRepoRequestBody,
    DeleteImageSyncRepoRequest,
    DeleteImageSyncRepoRequestBody,
    ListImageAutoSyncReposDetailsRequest,
    ListSyncRegionsRequest,
    ShowSyncJobRequest,
)

from entrepot.capabilities.access.identities.grants import SetGrant, set_grant
from entrepot.capabilities.access.targets import Target
from entrepot.capabilities.policies.peers import CreatePeer, create_peer
from entrepot.model.access import Level

REGION = "local-1"


@pytest.fixture
def place(office):
    """A repository with a tag, an organization to copy to, and the repository's path."""
    organization, name = office.repository()
    office.push(f"{organization}/{name}", "v1")
    target = office.organization()
    return organization, name, target, f"/v2/manage/namespaces/{organization}/repos/{name}"


@pytest.fixture(scope="module")
def still(office):
    """Likewise, for requests that change nothing."""
    organization, name = office.repository()
    office.push(f"{organization}/{name}", "v1")
    target = office.organization()
    return organization, name, target, f"/v2/manage/namespaces/{organization}/repos/{name}"


def rule(target, **other):
    return {"remoteRegionId": REGION, "remoteNamespace": target, **other}


def test_the_vendors_sdk_makes_shows_and_ends_rules(office, place):
    organization, name, target, _ = place
    sdk = office.owner.sdk()
    where = {"namespace": organization, "repository": name}

    body = CreateImageSyncRepoRequestBody(
        remote_region_id=REGION, remote_namespace=target, sync_auto=True, override=True
    )
    assert (
        sdk.create_image_sync_repo(CreateImageSyncRepoRequest(**where, body=body)).status_code
        == 200
    )
    listed = sdk.list_image_auto_sync_repos_details(ListImageAutoSyncReposDetailsRequest(**where))
    (shown,) = listed.body
    assert listed.status_code == 200
    facts = shown.to_dict()
    assert isinstance(facts.pop("id"), int)
    assert facts.pop("created_at").endswith("Z")
    assert facts.pop("updated_at").endswith("Z")
    assert facts == {
        "domain_id": office.tenant.public_id,
        "domain_name": office.tenant.name,
        "namespace": organization,
        "override": True,
        "remote_namespace": target,
        "remote_region_id": REGION,
        "repo_name": name,
        "sync_auto": True,
    }
    gone = DeleteImageSyncRepoRequestBody(remote_region_id=REGION, remote_namespace=target)
    ended = sdk.delete_image_sync_repo(DeleteImageSyncRepoRequest(**where, body=gone))
    assert ended.status_code == 200
    assert not sdk.list_image_auto_sync_repos_details(
        ListImageAutoSyncReposDetailsRequest(**where)
    ).body


def test_tags_are_copied_before_the_answer_and_the_job_tells_of_it(office, place):
    organization, name, target, _ = place
    sdk = office.owner.sdk()
    where = {"namespace": organization, "repository": name}
    body = CreateManualImageSyncRepoRequestBody(
        image_tag=["v1", "absent"], remote_namespace=target, remote_region_id=REGION
    )

    failed = sdk.create_manual_image_sync_repo(CreateManualImageSyncRepoRequest(**where, body=body))

    assert failed.body == ["absent"]
    tags = f"/v2/manage/namespaces/{organization}/repos/{name}/tags"
    copies = f"/v2/manage/namespaces/{target}/repos/{name}/tags"
    (here,), (there,) = office.owner.ask("GET", tags), office.owner.ask("GET", copies)
    assert (there["Tag"], there["digest"], there["size"]) == ("v1", here["digest"], here["size"])
    asked = ShowSyncJobRequest(**where, filter="limit::10|offset::0|order::desc")
    jobs = sdk.show_sync_job(asked)
    assert jobs.content_range == "0-1/1"
    facts = jobs.body[0].to_dict()
    assert isinstance(facts.pop("id"), int)
    assert facts.pop("created_at").endswith("Z")
    assert facts.pop("updated_at").endswith("Z")
    assert facts == {
        "domain_id": office.tenant.public_id,
        "domain_name": office.tenant.name,
        "namespace": organization,
        "override": False,
        "remote_namespace": target,
        "remote_region_id": REGION,
        "repo_name": name,
        "status": "success",
        "sync_operator_id": office.owner.user.public_id,
        "sync_operator_name": "owner",
        "tag": "v1",
    }


@pytest.mark.broad
def test_both_spellings_are_read_and_told(office, place):
    *_, target, path = place
    body = {"remoteRegionId": REGION, "remoteNamepace": target, "imageTag": ["v1"]}

    assert office.owner.ask("POST", f"{path}/sync_images", body) == []
    assert office.owner.ask("POST", f"{path}/sync_repo", {**body, "syncAuto": False}) == {}

    (told,) = office.owner.ask("GET", f"{path}/sync_repo")
    assert told["remoteNamepace"] == told["remoteNamespace"] == target
    (job,) = office.owner.ask("GET", f"{path}/sync_job")
    assert job["remoteNamepace"] == job["remoteNamespace"] == target
    assert (told["syncAuto"], told["override"]) == (False, False)


def test_a_tag_that_means_something_else_there_is_told_and_stays(office, place):
    organization, name, target, path = place
    body = rule(target, imageTag=["v1"])
    assert office.owner.ask("POST", f"{path}/sync_images", body) == []
    office.push(f"{organization}/{name}", "v1", seed="another")

    assert office.owner.ask("POST", f"{path}/sync_images", body) == ["v1"]
    newest, _ = office.owner.ask("GET", f"{path}/sync_job")
    assert newest["status"] == "existed"

    assert office.owner.ask("POST", f"{path}/sync_images", {**body, "override": True}) == []


def test_a_slash_in_the_name_is_a_dollar_in_the_path(office):
    organization, name = office.repository(name="deep/er")
    office.push(f"{organization}/{name}", "v1")
    target = office.organization()
    path = f"/v2/manage/namespaces/{organization}/repos/deep$er/sync_images"

    assert office.owner.ask("POST", path, rule(target, imageTag=["v1"])) == []
    copies = office.owner.ask("GET", f"/v2/manage/namespaces/{target}/repos/deep$er/tags")
    assert [one["Tag"] for one in copies] == ["v1"]


def test_a_push_is_copied_by_itself(office, place):
    import time  # noqa: PLC0415

    organization, name, target, path = place
    office.owner.ask("POST", f"{path}/sync_repo", rule(target, syncAuto=True))
    office.push(f"{organization}/{name}", "v2")

    deadline = time.monotonic() + 30
    while [job["status"] for job in office.owner.ask("GET", f"{path}/sync_job")] != ["success"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    copies = office.owner.ask("GET", f"/v2/manage/namespaces/{target}/repos/{name}/tags")
    assert [one["Tag"] for one in copies] == ["v2"]  # and not the one that was there before


@pytest.mark.broad
def test_jobs_come_in_pages(office, place):
    organization, name, target, path = place
    for number in range(3):
        office.push(f"{organization}/{name}", f"t{number}")
    tags = [f"t{number}" for number in range(3)]
    office.owner.ask("POST", f"{path}/sync_images", rule(target, imageTag=tags))

    def page(said):
        answer = office.owner.send("GET", f"{path}/sync_job", None, {"filter": said})
        assert answer.status == 200, answer
        return answer.headers["content-range"], [job["tag"] for job in answer.json]

    assert page("limit::2|offset::0") == ("0-2/3", ["t2", "t1"])
    assert page("limit::2|offset::2|order::desc") == ("2-1/3", ["t0"])
    assert page("limit::2|offset::0|order::asc") == ("0-2/3", ["t0", "t1"])
    assert page("limit::10|offset::10") == ("10-0/3", [])


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("order::sideways|limit::1|offset::0", "4001035"),
        ("limit::0|offset::0", "4000056"),
        ("limit::x|offset::0", "4000056"),
        ("page::1", "4001035"),
        ("limit", "4001035"),
    ],
)
@pytest.mark.broad
def test_filters_that_say_nothing_sensible_are_refused(office, still, said, code):
    answer = office.owner.send("GET", f"{still[3]}/sync_job", None, {"filter": said})
    assert answer.code == code


@pytest.mark.parametrize("call", ["sync_repo", "sync_images"])
@pytest.mark.parametrize(
    ("other", "status", "code"),
    [
        ({"remoteRegionId": "nowhere-1"}, 400, "4000014"),
        ({"remoteRegionId": ""}, 400, "4001014"),
        ({"remoteRegionId": None}, 400, "4001014"),
        ({"remoteRegionId": 5}, 400, "4001018"),
        ({"remoteNamespace": ""}, 400, "4001014"),
        ({"remoteNamespace": "absent-organization"}, 404, "4040058"),
        ({"remoteNamespace": "No Name"}, 400, "4000014"),
        ({"remoteNamespace": "a/b"}, 400, "4000014"),
        ({"override": "false"}, 400, "4001018"),
    ],
)
@pytest.mark.broad
def test_bad_targets_are_refused(office, still, call, other, status, code):
    *_, target, path = still
    body = {**rule(target, imageTag=["v1"]), **other}
    answer = office.owner.send("POST", f"{path}/{call}", body)
    assert (answer.status, answer.code) == (status, code)
    assert office.owner.ask("GET", f"{path}/sync_repo") == []


def test_a_repository_is_no_target_of_its_own(office, still):
    organization, *_, path = still
    answer = office.owner.send("POST", f"{path}/sync_repo", rule(organization))
    assert answer.code == "4000014"


@pytest.mark.parametrize("tags", [[], None, "v1", [5]])
@pytest.mark.broad
def test_tags_are_a_list_of_at_least_one(office, still, tags):
    *_, target, path = still
    answer = office.owner.send("POST", f"{path}/sync_images", rule(target, imageTag=tags))
    assert answer.code in {"4001014", "4001018"}


def test_a_rule_that_is_not_there_has_a_code_of_its_own(office, still):
    *_, target, path = still
    answer = office.owner.send("DELETE", f"{path}/sync_repo", rule(target))
    assert (answer.status, answer.code) == (404, "4040202")


def test_missing_repositories_and_foreign_ones(office, still, new_office):
    organization, _, target, path = still
    missing = f"/v2/manage/namespaces/{organization}/repos/absent/sync_repo"
    assert office.owner.send("GET", missing).code == "4040010"
    stranger = new_office().owner
    for method, call, body in (
        ("GET", "sync_repo", None),
        ("POST", "sync_repo", rule(target)),
        ("DELETE", "sync_repo", rule(target)),
        ("POST", "sync_images", rule(target, imageTag=["v1"])),
        ("GET", "sync_job", None),
    ):
        assert stranger.send(method, f"{path}/{call}", body).code == "4011064"


def test_whoever_may_not_push_to_the_target_is_told_every_tag(office, place):
    organization, _, target, path = place
    for namespace, level in ((organization, Level.EDIT), (target, Level.READ)):
        command = SetGrant(Target(office.instance, namespace), "member", level)
        office.operator.run(set_grant, command)

    body = rule(target, imageTag=["v1"])
    assert office.member.ask("POST", f"{path}/sync_images", body) == ["v1"]
    assert office.member.send("POST", f"{path}/sync_repo", rule(target)).status == 403
    assert office.member.ask("GET", f"{path}/sync_job") == []


@pytest.mark.broad
def test_regions_are_those_served_here_and_the_accounts_own_peers(office, new_office):
    other = new_office()
    for tenant, name in ((office.tenant, "second-site"), (other.tenant, "third-site")):
        command = CreatePeer(tenant.id, name, "https://registry.example.test")
        office.operator.run(create_peer, command)

    told = office.owner.sdk().list_sync_regions(ListSyncRegionsRequest())

    assert [one.region_id for one in told.body] == [REGION, "second-site"]
