"""The older paths as another registry's replication asks them: Basic with the pair of keys, and a token for docker's protocol."""

import base64
import hashlib
import hmac
import json

from office import Office, Person


def pair(person: Person) -> str:
    """The header of the long-term login."""
    secret = hmac.new(person.secret.encode(), person.key_id.encode(), hashlib.sha256).hexdigest()
    username = f"{person.office.project.name}@{person.key_id}"
    return "Basic " + base64.b64encode(f"{username}:{secret}".encode()).decode()


def ask(office: Office, method: str, path: str, body: object = None, person: Person | None = None):
    headers = {
        "Authorization": pair(person or office.owner),
        "Content-Type": "application/json",
    }
    content = b"" if body is None else json.dumps(body).encode()
    return office.plain(method, path, content, headers)


def test_organizations_are_listed_found_and_made(office: Office):
    name = office.fresh("dock")
    missing = ask(office, "GET", f"/dockyard/v2/namespaces/{name}")
    assert (missing.status, missing.json) == (200, {})
    assert ask(office, "POST", "/dockyard/v2/namespaces", {"namespace": name}).status == 201
    found = ask(office, "GET", f"/dockyard/v2/namespaces/{name}").json
    assert (found["name"], found["auth"], found["creator_name"]) == (name, 7, "owner")
    listed = ask(office, "GET", "/dockyard/v2/visible/namespaces").json["namespaces"]
    assert name in {one["name"] for one in listed}
    assert ask(office, "POST", "/dockyard/v2/namespaces", {"namespace": name}).code == "4090060"


def test_repositories_are_one_array(office: Office):
    organization, repository = office.repository(name="deep/one")
    office.push(f"{organization}/{repository}", "v1")
    answer = ask(office, "GET", "/dockyard/v2/repositories?filter=center::self")
    rows = {(row["namespace"], row["name"]): row for row in answer.json}
    assert rows[organization, repository]["tags"] == ["v1"]
    assert rows[organization, repository]["total_range"] == len(answer.json)
    other = ask(office, "GET", "/dockyard/v2/repositories?filter=center::thirdparty")
    assert other.code == "4001035"


def test_a_token_for_pulling_is_had_at_the_old_path(office: Office):
    organization, repository = office.repository()
    name = f"{organization}/{repository}"
    office.push(name, "v1")
    token = ask(office, "GET", f"/swr/auth/v2/registry/auth?scope=repository:{name}:push,pull")
    assert token.status == 200
    assert {"token", "expires_in", "issued_at"} <= set(token.json)
    bearer = {"Authorization": f"Bearer {token.json['token']}"}
    shown = office.plain("GET", f"/v2/{name}/manifests/v1", b"", bearer)
    assert shown.status == 200
    gone = office.plain("DELETE", f"/v2/{name}/manifests/v1", b"", bearer)
    assert gone.status in (202, 401)  # deleting is a scope of its own


def test_wrong_and_missing_credentials_are_refused(office: Office):
    nobody = office.plain("GET", "/dockyard/v2/visible/namespaces")
    assert (nobody.status, nobody.json["error_code"]) == (401, "SVCSTG.S2I.4019000")
    wrong = {"Authorization": "Basic " + base64.b64encode(b"a@b:c").decode()}
    answer = office.plain("GET", "/dockyard/v2/visible/namespaces", b"", wrong)
    assert (answer.status, answer.code) == (401, "4010000")


def test_members_see_what_is_theirs(office: Office):
    name, newcomer = office.organization(), office.hire(office.fresh("newcomer"))
    found = ask(office, "GET", f"/dockyard/v2/namespaces/{name}", None, newcomer)
    assert found.json == {}
    assert ask(office, "GET", "/dockyard/v2/repositories", None, newcomer).json == []


def test_a_login_for_a_day_reads_and_changes_nothing(office: Office):
    answer = office.owner.send("POST", "/v2/manage/utils/secret")
    (login,) = answer.json["auths"].values()
    headers = {"Authorization": f"Basic {login['auth']}", "Content-Type": "application/json"}
    assert office.plain("GET", "/dockyard/v2/repositories", b"", headers).status == 200
    name = office.fresh("dock")
    body = json.dumps({"namespace": name}).encode()
    refused = office.plain("POST", "/dockyard/v2/namespaces", body, headers)
    assert (refused.status, refused.code[:3]) == (403, "403")
    assert ask(office, "GET", f"/dockyard/v2/namespaces/{name}").json == {}
