"""Commands that look after the registry: collector, scrub, undelete, doctor, on a real database and real files."""

import json

import sqlalchemy as sa

from entrepot.metadata.database import Database
from entrepot.metadata.schema import blobs


def test_a_sound_deployment_is_told_so(commands):
    assert commands.ok("doctor").strip() == "sound: 0 blobs, 0 objects"
    assert json.loads(commands.ok("doctor", "--quick", "--json"))["sound"] is True


def test_the_collector_runs_and_tells_what_it_did(commands):
    done = commands.json("gc", "run")
    assert done["failed"] == 0
    assert commands.json("gc", "status")["waiting"] == 0
    assert set(commands.json("gc", "run", "--dry-run")) == {
        "reclaimable_objects",
        "reclaimable_bytes",
    }


def test_scrub_says_what_it_read(commands):
    found = commands.json("scrub", "--rate", "0")
    assert (found["blobs"], found["digests"]) == (0, [])
    assert "No such repository" in commands.refused("scrub", "--repository", "team/app")
    assert commands("scrub", "--rate", "fast").exit_code == 2


def test_undelete_refuses_what_was_never_there(commands):
    commands.ok("namespace", "create", "team")
    assert commands.json("undelete", "team/app", "--list") == []
    for name in ("team/app", "team/app:v1", f"team/app@sha256:{'0' * 64}"):
        assert "No such" in commands.refused("undelete", name)
    assert commands("undelete", "no name").exit_code == 2
    assert commands("undelete", "team/app", "--at", "yesterday").exit_code == 2


def test_doctor_names_a_lost_object_mends_what_it_can_and_says_what_is_left(commands):
    digest = f"sha256:{'0' * 64}"
    database = Database.open(f"sqlite:///{commands.folder / 'data' / 'entrepot.db'}")
    row = {"digest": digest, "size": 8, "object_key": "ab" * 16, "state": "live", "created_at": 0}
    database.write_sync(lambda conn: conn.execute(sa.insert(blobs).values(**row)))
    database.close_sync()

    found = commands("doctor")
    assert found.exit_code == 1
    assert "damage: 1 blobs have no object in the store." in found.stdout
    assert digest in found.stdout
    mended = json.loads(commands("doctor", "--repair", "--json").stdout)
    assert mended["repaired"] == {"quarantined": 1, "reviews_restored": 1}
    assert [one["code"] for one in mended["findings"]] == ["quarantined"]
    assert commands.json("gc", "status")["quarantined_blobs"] == 1
