"""Commands that manage people and places, on a real database."""

import json
import subprocess
import sys

import pytest
import sqlalchemy as sa

from entrepot.metadata.database import Database
from entrepot.metadata.schema import audit


def test_the_first_command_shows_the_secrets_of_the_first_start_and_no_later_one(commands):
    again = commands("tenant", "list")

    assert (again.exit_code, again.stderr, again.exception) == (0, "", None)
    assert "root" in again.stdout


def test_a_tenant_is_created_listed_and_deleted(commands):
    made = commands.json("tenant", "create", "acme", "--generate")
    assert made["login"] == "acme/owner"
    assert len(made["password"]) >= 27

    assert [t["name"] for t in commands.json("tenant", "list")] == ["acme", "root"]
    assert commands.json("tenant", "projects", "acme")[0]["region"] == "local-1"
    assert "acme/owner" not in commands.ok("user", "list", "--tenant", "acme")
    assert commands.refused("tenant", "delete", "root", "--yes").endswith("(name=tenant root)")
    commands.ok("tenant", "delete", "acme", "--yes")
    assert [t["name"] for t in commands.json("tenant", "list")] == ["root"]


def test_a_user_goes_through_life(commands, tmp_path):
    file = tmp_path / "password"
    file.write_text("from a file\n")
    user = commands.json("user", "create", "alice", "--password-file", str(file))
    assert (user["role"], user["password"], user["enabled"]) == ("member", True, True)
    assert "generated_password" not in user

    commands.ok("user", "role", "alice", "administrator")
    commands.ok("user", "disable", "alice")
    commands.ok("user", "password", "alice", "--password-file", "-", stdin="another one\n")
    made = commands.json("user", "password", "alice", "--generate")
    assert len(made["generated_password"]) >= 27
    (found,) = [u for u in commands.json("user", "list") if u["name"] == "alice"]
    assert (found["role"], found["enabled"]) == ("administrator", False)
    commands.ok("user", "enable", "alice")
    commands.ok("user", "delete", "alice", "--yes")
    assert commands.refused("user", "role", "alice", "member").startswith("entrepot: no such user")


@pytest.mark.parametrize(
    ("text", "words"),
    [("short\n", "at least 8"), ("two\nlines, both long\n", "one line")],
)
def test_a_bad_password_is_refused_in_words(commands, text, words):
    line = commands("user", "create", "bob", "--password-file", "-", stdin=text)

    assert line.exit_code == 1
    assert words in line.stderr
    assert text.strip() not in line.stderr
    assert [u["name"] for u in commands.json("user", "list")] == ["root"]


def test_without_a_terminal_somebody_must_say_where_the_password_comes_from(commands):
    result = commands("user", "create", "bob", stdin="")

    assert result.exit_code == 2
    assert "--password-file or --generate" in result.stderr


def test_groups_and_policies(commands, tmp_path):
    file = tmp_path / "policy.json"
    rule = {"effect": "allow", "actions": ["repository:pull"], "resources": ["team/*"]}
    file.write_text(json.dumps({"statements": [rule]}))
    commands.ok("user", "create", "alice", "--generate")
    commands.ok("group", "create", "staff")
    commands.ok("group", "add", "staff", "alice")
    commands.ok("policy", "create", "readers", str(file), "--description", "may pull")
    commands.ok("policy", "attach", "readers", "--group", "staff")
    commands.ok("policy", "attach", "readers", "--user", "alice")

    shown = commands.json("policy", "show", "readers")
    assert shown["attached"] == ["user alice", "group staff"]
    assert json.loads(shown["document"]) == {"statements": [rule]}
    assert commands.json("group", "members", "staff")[0]["name"] == "alice"
    commands.ok("policy", "update", "readers", "-", stdin='{"statements": []}')
    assert "statements" in commands.refused("policy", "update", "readers", "-", stdin="{}")
    commands.ok("policy", "detach", "readers", "--user", "alice")
    commands.ok("group", "remove", "staff", "alice")
    commands.ok("group", "delete", "staff", "--yes")
    commands.ok("policy", "delete", "readers", "--yes")
    assert {policy["built_in"] for policy in commands.json("policy", "list")} == {True}
    assert commands.json("group", "list") == []
    assert commands.ok("group", "list") == "none\n"


def test_policies_in_the_words_of_tencent_cloud_and_those_that_are_built_in(commands, tmp_path):
    file = tmp_path / "policy.json"
    rule = {"effect": "allow", "action": "tcr:PullRepository", "resource": "*"}
    file.write_text(json.dumps({"version": "2.0", "statement": rule}))
    commands.ok("user", "create", "alice", "--generate")
    commands.ok("policy", "create", "pullers", str(file), "--dialect", "tcr")
    misspelt = json.dumps({"version": "2.0", "statement": {**rule, "action": "tcr:PulRepository"}})
    line = ("policy", "update", "pullers", "-", "--dialect", "tcr")
    assert "tcr:PulRepository" in commands.refused(*line, stdin=misspelt)

    commands.ok("policy", "attach", "QcloudTCRFullAccess", "--user", "alice")

    rows = commands.json("policy", "list")
    listed = {row["name"]: row["built_in"] for row in rows if row["dialect"] == "tcr"}
    assert listed == {
        "QcloudTCRFullAccess": True,
        "QcloudTCRReadOnlyAccess": True,
        "pullers": False,
    }
    commands.ok("group", "create", "crew")
    (project,) = [row["name"] for row in commands.json("tenant", "projects", "root")]
    commands.ok("policy", "attach", "QcloudTCRFullAccess", "--group", "crew", "--project", project)
    attached = ["user alice", f"group crew in {project}"]
    assert commands.json("policy", "show", "QcloudTCRFullAccess")["attached"] == attached
    commands.ok("policy", "detach", "QcloudTCRFullAccess", "--group", "crew", "--project", project)
    assert commands.json("policy", "show", "QcloudTCRReadOnlyAccess")["created"] is None
    refusal = commands.refused("policy", "delete", "QcloudTCRFullAccess", "--yes")
    assert "QcloudTCRFullAccess" in refusal


def test_caps(commands):
    commands.ok("tenant", "create", "acme", "--generate")
    commands.ok("policy", "cap", "SWR ReadOnlyAccess", "--tenant", "acme")
    assert [row["name"] for row in commands.json("policy", "caps", "--tenant", "acme")] == [
        "SWR ReadOnlyAccess"
    ]
    shown = commands.json("policy", "show", "SWR ReadOnlyAccess")
    assert shown["attached"] == ["tenant acme"]
    assert "root" in commands.refused("policy", "cap", "SWR Admin", "--tenant", "root")
    commands.ok("policy", "uncap", "SWR ReadOnlyAccess", "--tenant", "acme")
    assert commands.json("policy", "caps", "--tenant", "acme") == []
    commands.refused("policy", "uncap", "SWR ReadOnlyAccess", "--tenant", "acme")


def test_keys(commands):
    commands.ok("user", "create", "alice", "--generate")
    made = commands.json("key", "create", "alice")
    assert made["access_key_id"].startswith("AKID")
    assert len(made["secret_access_key"]) == 40
    commands.ok("key", "create", "alice")
    assert "limit of 2" in commands.refused("key", "create", "alice")

    commands.ok("key", "disable", made["access_key_id"])
    first, second = commands.json("key", "list", "alice")
    assert (first["enabled"], second["enabled"]) == (False, True)
    assert "secret" not in json.dumps([first, second])
    commands.ok("key", "enable", made["access_key_id"])
    commands.ok("key", "delete", made["access_key_id"], "--yes")
    assert len(commands.json("key", "list", "alice")) == 1
    assert "No such access key" in commands.refused("key", "disable", made["access_key_id"])


def test_the_deployments_own_keys_are_rotated(commands):
    assert "signing key" in commands.ok("key", "rotate-signing", "--keep", "0s")
    assert commands("key", "rotate-signing", "--keep", "soon").exit_code == 2
    key_file = commands.folder / "data.key"
    before = key_file.read_text().split()

    assert "2 keys" in commands.ok("key", "rotate-master")

    assert key_file.read_text().split()[1:] == before
    # the root user's access key and the one key of bearer tokens that is left
    assert commands.ok("key", "rotate-master", "--reseal").startswith("2 secrets")
    assert commands.ok("key", "rotate-master", "--reseal").startswith("0 secrets")
    key_file.write_text(key_file.read_text().split()[0] + "\n")
    commands.ok("tenant", "list")


def test_namespaces_and_grants(commands):
    assert "<registry>/team/" in commands.ok("namespace", "create", "team")
    assert commands.json("namespace", "create", "open", "--public")["public"] is True
    commands.ok("user", "create", "alice", "--generate")
    commands.ok("grant", "set", "team", "alice", "edit")
    commands.ok("grant", "set", "open", "alice", "7")

    assert commands.json("grant", "list", "team") == [
        {"target": "team", "user": "alice", "level": "edit"}
    ]
    assert "No such repository" in commands.refused("grant", "set", "team/app", "alice", "read")
    commands.ok("grant", "remove", "team", "alice")
    assert commands.json("grant", "list", "team") == []
    commands.ok("namespace", "modify", "team", "--public")
    assert commands.json("namespace", "show", "team")["public"] is True
    commands.ok("namespace", "modify", "team", "--private")
    assert [(n["name"], n["tenant"], n["public"]) for n in commands.json("namespace", "list")] == [
        ("open", "root", True),
        ("team", "root", False),
    ]
    commands.ok("namespace", "delete", "open")
    assert "No such namespace" in commands.refused("namespace", "show", "open")
    assert "grammar" in commands.refused("namespace", "create", "Not-This")


def test_quotas(commands):
    commands.ok("quota", "set", "tenant", "root", "bytes", "20GiB")
    commands.ok("quota", "set", "tenant", "root", "namespaces", "1")
    commands.ok("namespace", "create", "team")
    assert "limit of 1 namespaces" in commands.refused("namespace", "create", "more")

    shown = {row["resource"]: row for row in commands.json("quota", "show", "tenant", "root")}
    assert shown["bytes"]["limit"] == 20 * 2**30
    assert (shown["namespaces"]["limit"], shown["namespaces"]["used"]) == (1, 1)
    commands.ok("quota", "set", "tenant", "root", "namespaces", "default")
    commands.ok("namespace", "create", "more")
    assert "unlimited" in commands.ok("quota", "show", "namespace", "team")
    assert commands("quota", "set", "tenant", "root", "bytes", "much").exit_code == 2


def test_instances_and_their_hosts(commands):
    commands.ok("tenant", "create", "acme", "--generate")
    made = commands.json("instance", "create", "acme-own", "--tenant", "acme")
    assert made["host"] == "acme-own.entrepot.localhost"
    commands.ok("instance", "host", "add", "acme-own", "registry.example")
    commands.ok("namespace", "create", "team", "--tenant", "acme", "--instance", made["id"])

    listed = {row["name"]: row for row in commands.json("instance", "list")}
    assert listed["acme-own"]["hosts"] == ["registry.example"]
    assert listed["swr-local-1"]["default"] is True
    assert "still contains" in commands.refused("instance", "delete", "acme-own", "--yes")
    commands.ok("namespace", "delete", "team", "--instance", "acme-own")
    commands.ok("instance", "host", "remove", "acme-own", "registry.example")
    commands.ok("instance", "delete", "acme-own", "--yes")
    assert [row["name"] for row in commands.json("instance", "list")] == ["swr-local-1"]


def test_an_instance_is_shown_changed_and_protected(commands):
    made = commands.json("instance", "create", "acme-own", "--edition", "standard")
    shown = commands.json("instance", "show", made["id"])
    assert (shown["status"], shown["edition"], shown["entry"]) == ("running", "standard", "opened")
    commands.ok("instance", "modify", "acme-own", "--edition", "premium", "--protect")
    shown = commands.json("instance", "show", "acme-own")
    assert (shown["status"], shown["edition"], shown["protected"]) == ("running", "premium", True)
    assert "protected" in commands.refused("instance", "delete", "acme-own", "--yes")
    assert "edition" in commands.refused("instance", "modify", "acme-own", "--edition", "none")
    commands.ok("quota", "set", "instance", "acme-own", "domains", "1")
    shown = {row["resource"]: row for row in commands.json("quota", "show", "instance", "acme-own")}
    assert (shown["domains"]["limit"], shown["namespaces"]["limit"]) == (1, 500)
    commands.ok("instance", "create", "shut-one", "--closed")
    assert commands.json("instance", "show", "shut-one")["entry"] == "closed"


def test_kept_content_is_restored_or_purged(commands):
    made = commands.json("instance", "create", "acme-own")
    commands.ok("namespace", "create", "team", "--instance", "acme-own")
    commands.ok("instance", "delete", "acme-own", "--content", "keep", "--yes")
    assert [row["name"] for row in commands.json("instance", "list")] == ["swr-local-1"]
    (kept,) = commands.json("bucket", "list")
    assert (kept["id"], kept["name"], kept["namespaces"]) == (made["id"], "acme-own", 1)

    back = commands.json("bucket", "restore", made["id"], "--name", "acme-two")
    assert back == {"name": "acme-two", "id": made["id"]}
    (team,) = commands.json("namespace", "list", "--instance", "acme-two")
    assert team["name"] == "team"
    assert "No such kept bucket" in commands.refused("bucket", "purge", made["id"], "--yes")
    commands.ok("instance", "delete", "acme-two", "--content", "keep", "--yes")
    commands.ok("bucket", "purge", made["id"], "--yes")
    assert commands.json("bucket", "list", "--tenant", "root") == []


def test_tokens_and_service_accounts(commands):
    commands.ok("namespace", "create", "team")
    made = commands.json("token", "create", "root", "--description", "laptop")
    assert len(made["password"]) >= 27
    commands.ok("token", "disable", made["id"])
    (listed,) = commands.json("token", "list")
    assert (listed["description"], listed["enabled"]) == ("laptop", False)
    commands.ok("token", "enable", made["id"])
    commands.ok("token", "delete", made["id"])
    assert commands.json("token", "list") == []

    service = ("token", "service")
    robot = commands.json(*service, "create", "ci", "--allow", "team=pull,push", "--expires", "90d")
    assert robot["login"] == "tcr$ci"
    (listed,) = commands.json(*service, "list")
    assert listed["permissions"] == {"team": ["pull", "push"]}
    commands.ok(*service, "modify", "ci", "--allow", "team=pull", "--disable", "--expires", "never")
    (listed,) = commands.json(*service, "list")
    assert (listed["permissions"], listed["enabled"], listed["expires"]) == (
        {"team": ["pull"]},
        False,
        None,
    )
    assert commands.json(*service, "renew", "ci")["password"] != robot["password"]
    commands.ok(*service, "delete", "ci")
    assert commands.json(*service, "list") == []
    assert commands(*service, "create", "ci", "--allow", "team=fly").exit_code == 2


def test_the_audit_trail_names_the_operator(commands):
    commands.ok("namespace", "create", "team")

    db = Database.open(f"sqlite:///{commands.folder / 'data' / 'entrepot.db'}")
    try:
        query = sa.select(audit.c.actor).where(audit.c.action == "namespace.create")
        (actor,) = db.read_sync(lambda conn: conn.scalars(query).all())
    finally:
        db.close_sync()
    assert actor.startswith("operator:")


def test_an_unusable_master_key_ends_a_command_in_words(commands):
    (commands.folder / "data.key").chmod(0o644)

    assert "chmod 600" in commands.refused("tenant", "list")


def test_real_processes_share_the_deployment(commands):
    def started(*arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "entrepot", *arguments],
            env={"PATH": "/usr/bin:/bin", **commands.environment},
            cwd=commands.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    both = [started("namespace", "create", name) for name in ("one", "two")]
    ended = [(process.communicate(timeout=60), process.returncode) for process in both]
    assert [code for _, code in ended] == [0, 0]
    again = started("namespace", "create", "one")
    out, err = again.communicate(timeout=60)

    assert (again.returncode, out) == (1, "")
    assert err == "entrepot: Something living has that name already (name=one)\n"
    assert [n["name"] for n in commands.json("namespace", "list")] == ["one", "two"]
