"""`entrepot cluster`: kubeconfigs come from files and standard input and are never shown."""

import pytest

pytestmark = pytest.mark.broad

CONFIG = """\
contexts: [{name: one, context: {cluster: one, user: one}}]
clusters: [{name: one, cluster: {server: "https://kube.example:6443"}}]
users: [{name: one, user: {token: a-secret-token}}]
"""


def test_a_cluster_goes_through_life(commands, tmp_path):
    file = tmp_path / "kubeconfig"
    file.write_text(CONFIG)
    given = ("--kubeconfig", str(file), "--registry", "registry.example:5000")

    assert commands("cluster", "create", "factory", *given).exit_code == 2
    made = commands.json("cluster", "create", "factory", *given, "--namespace", "shop", "--default")

    assert (made["server"], made["default"], made["namespaces"]) == (
        "https://kube.example:6443",
        True,
        ["shop"],
    )
    assert commands.json("cluster", "show", "factory") == made
    assert commands.json("cluster", "list") == [made]
    assert commands.json("cluster", "list", "--tenant", "root") == [made]
    changed = commands.json(
        "cluster", "modify", made["id"], "--all-namespaces", "--no-default", "--name", "works"
    )
    assert (changed["name"], changed["namespaces"], changed["default"]) == (
        "works",
        ["*"],
        False,
    )
    stdin = CONFIG.replace("kube.example", "other.example")
    commands.ok("cluster", "modify", "works", "--kubeconfig", "-", stdin=stdin)
    shown = commands.ok("cluster", "show", "works")
    assert "https://other.example:6443" in shown
    assert "a-secret-token" not in shown
    both = ("cluster", "modify", "works", "--namespace", "a", "--all-namespaces")
    assert commands(*both).exit_code == 2
    bad = CONFIG.replace("token:", "exec:")
    said = commands.refused("cluster", "modify", "works", "--kubeconfig", "-", stdin=bad)
    assert "exec names a program" in said
    assert "a-secret-token" not in said
    commands.ok("cluster", "delete", "works")
    assert commands.refused("cluster", "show", "works").startswith("entrepot: No such cluster")
