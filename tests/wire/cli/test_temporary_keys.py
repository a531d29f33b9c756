"""`entrepot key create --temporary`: shown once, ends by itself, beside the two lasting ones."""


def test_a_temporary_key_is_shown_once_with_its_token_and_its_end(commands):
    commands.ok("user", "create", "alice", "--generate")
    for _ in range(2):
        commands.ok("key", "create", "alice")

    made = commands.json("key", "create", "alice", "--temporary", "90m")

    assert made["access_key_id"].startswith("TKID")
    assert len(made["secret_access_key"]) == 40
    assert len(made["session_token"]) == 32
    listed = commands.json("key", "list", "alice")
    (found,) = (key for key in listed if key["access_key_id"] == made["access_key_id"])
    assert found["expires"] == made["expires"]
    assert [key["expires"] for key in listed].count(None) == 2
    assert made["session_token"] not in commands.ok("key", "list", "alice")
    assert made["session_token"] not in commands.ok("audit", "list")


def test_lifetimes_that_cannot_be_are_refused_in_words(commands):
    commands.ok("user", "create", "alice", "--generate")

    for lifetime in ("14m", "37h", "0"):
        refusal = commands.refused("key", "create", "alice", "--temporary", lifetime)
        assert "15 minutes to 36 hours" in refusal
    assert commands("key", "create", "alice", "--temporary", "soon").exit_code == 2
    assert commands.json("key", "list", "alice") == []
