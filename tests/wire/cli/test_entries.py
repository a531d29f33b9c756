"""Commands about who may reach an instance, and by which names."""

import sqlite3

import pytest

from issuing import Authority

AUTHORITY = Authority.new()


@pytest.fixture
def instance(commands):
    commands.ok("instance", "create", "acme-own")
    return "acme-own"


def rewrite(commands, statement):
    """What a worker or a tenant would do meanwhile."""
    connection = sqlite3.connect(commands.folder / "data" / "entrepot.db")
    with connection:
        connection.execute(statement)
    connection.close()


def test_networks_are_set_down_listed_and_forgotten(commands):
    made = commands.json("network", "create", "vpc-1", "10.0.0.9/8", "fd00::/8")
    assert made == {"name": "vpc-1", "tenant": None, "cidrs": ["10.0.0.0/8", "fd00::/8"]}
    own = commands.json("network", "create", "vpc-2", "10.0.0.0/8", "--tenant", "root")
    assert own["tenant"] == "root"
    assert commands.json("network", "list") == [made, own]
    assert commands.json("network", "list", "--tenant", "root") == [made, own]
    assert commands.refused("network", "create", "vpc-1", "10.0.0.0/8")
    assert "no network" in commands.refused("network", "create", "vpc-3", "ten")
    commands.ok("network", "delete", "vpc-1")
    assert "No such private network" in commands.refused("network", "delete", "vpc-1")


def test_an_entry_is_shown_closed_and_opened(commands, instance):
    assert commands.json("entry", "show", instance) == {
        "entry": "opened",
        "networks": ["0.0.0.0/0", "::/0"],
        "version": 1,
    }
    assert "10.1.0.0/16" in commands.ok("entry", "allow", instance, "10.1.0.0/16")
    commands.ok("entry", "remove", instance, "0.0.0.0/0", "::/0")
    assert commands.json("entry", "show", instance)["networks"] == ["10.1.0.0/16"]
    assert "nobody" in commands.ok("entry", "remove", instance, "10.1.0.0/16")
    assert "is closed" in commands.ok("entry", "close", instance)
    assert "not opened" in commands.refused("entry", "allow", instance, "10.1.0.0/16")
    assert "is opening" in commands.ok("entry", "open", instance)
    assert commands.json("entry", "show", "")["entry"] == "opened"
    assert "built in" in commands.refused("entry", "close", "")


def test_links_are_made_listed_and_ended(commands, instance):
    commands.ok("network", "create", "vpc-1", "10.0.0.0/8")
    assert "creating" in commands.ok("link", "create", instance, "vpc-1", "--subnet", "s")
    (listed,) = commands.json("link", "list", instance)
    assert listed == {
        "network": "vpc-1",
        "subnet": "s",
        "status": "creating",
        "address": None,
        "names": False,
    }
    assert "linked" in commands.refused("network", "delete", "vpc-1")
    assert commands.refused("link", "delete", instance, "vpc-1")
    assert "deleting" in commands.ok("link", "delete", instance, "vpc-1", "--subnet", "s")


def test_certificates_and_domains_are_kept_and_no_key_is_shown(commands, instance):
    chain, key = AUTHORITY.issue("*.example.test")
    (commands.folder / "c.pem").write_text(chain)
    (commands.folder / "k.pem").write_text(key)
    pair = ("--chain", "c.pem", "--key", "k.pem")
    made = commands.json("certificate", "add", "images", *pair)
    shown = commands.json("certificate", "show", made["id"])
    assert shown == {**made, "chain": chain}
    assert made["hosts"] == ["*.example.test"]
    assert commands.json("certificate", "list") == [made]
    assert "PRIVATE" not in commands.ok("certificate", "show", made["id"])
    refusal = commands.refused("certificate", "add", "x", "--chain", "k.pem", "--key", "c.pem")
    assert "PEM" in refusal
    assert "PRIVATE" not in refusal

    refused = ("domain", "create", instance, "other.test", "--certificate", made["id"])
    assert "not for this host" in commands.refused(*refused)
    # the first edition has no room for domains
    create = ("domain", "create", instance, "a.example.test", "--certificate", made["id"])
    assert "limit of 0 domains" in commands.refused(*create)
    commands.ok("instance", "modify", instance, "--edition", "standard")
    assert "creating" in commands.ok(*create)
    assert commands.json("domain", "list", instance) == [
        {"host": "a.example.test", "status": "creating", "certificate": made["id"]}
    ]
    assert "served with" in commands.refused("certificate", "delete", made["id"])
    assert "deleting" in commands.ok("domain", "delete", instance, "a.example.test")
    rewrite(commands, "DELETE FROM instance_hosts")
    commands.ok("certificate", "delete", made["id"])
    assert commands.json("certificate", "list") == []
