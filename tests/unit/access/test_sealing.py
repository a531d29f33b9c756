"""Master keys and what is sealed with them."""

import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.capabilities.access.sealing import (
    MasterKeys,
    MasterKeyUnusable,
    SealBroken,
    Sealer,
    load_master_keys,
    rotate_master_key,
)

OLD, NEW = MasterKeys((b"o" * 32,)), MasterKeys((b"n" * 32, b"o" * 32))


def load(tmp_path: Path, *, key_file: Path | None = None, command: str = "") -> MasterKeys:
    return load_master_keys(
        key_file=key_file or tmp_path / "data.key",
        key_command=command,
        data_folder=tmp_path / "data",
    )


@given(value=st.binary(max_size=200), context=st.text(max_size=40))
def test_what_was_sealed_opens_under_its_context_only(value: bytes, context: str):
    sealer = Sealer.of(OLD)
    sealed = sealer.seal(value, context)

    assert sealer.open(sealed, context) == value
    assert value not in sealed or len(value) < 4
    with pytest.raises(SealBroken):
        sealer.open(sealed, context + "x")


@given(st.data())
def test_a_changed_byte_anywhere_is_noticed(data: st.DataObject):
    sealer = Sealer.of(OLD)
    sealed = bytearray(sealer.seal(b"secret", "context"))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= data.draw(st.integers(1, 255))

    with pytest.raises(SealBroken):
        sealer.open(bytes(sealed), "context")


@pytest.mark.parametrize("length", [0, 1, 9, 20, 36])
def test_a_cut_value_is_noticed(length: int):
    sealer = Sealer.of(OLD)

    with pytest.raises(SealBroken):
        sealer.open(sealer.seal(b"secret", "context")[:length], "context")


def test_after_a_rotation_the_newest_key_seals_and_all_open():
    before, after = Sealer.of(OLD), Sealer.of(NEW)
    sealed = before.seal(b"secret", "context")

    resealed = after.reseal(sealed, "context")

    assert after.open(sealed, "context") == b"secret"
    assert not after.is_newest(sealed)
    assert after.is_newest(resealed)
    assert after.reseal(resealed, "context") is resealed
    assert Sealer.of(MasterKeys(NEW.keys[:1])).open(resealed, "context") == b"secret"
    with pytest.raises(SealBroken):
        before.open(resealed, "context")


def test_the_key_file_is_made_once_for_its_owner_only(tmp_path: Path):
    first = load(tmp_path)
    second = load(tmp_path)

    assert first.keys == second.keys
    assert len(first.keys[0]) == 32
    assert stat.S_IMODE((tmp_path / "data.key").stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.key"]


def test_many_who_make_the_key_file_at_once_get_the_same_key(tmp_path: Path):
    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(lambda _: load(tmp_path).keys, range(32)))

    assert len(set(keys)) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_file_that_others_may_read_or_change_is_refused(tmp_path: Path, mode: int):
    load(tmp_path)
    (tmp_path / "data.key").chmod(mode)

    with pytest.raises(MasterKeyUnusable, match="chmod 600"):
        load(tmp_path)


def test_a_key_in_the_data_folder_is_refused(tmp_path: Path):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")

    with pytest.raises(MasterKeyUnusable, match="data folder"):
        load(tmp_path, key_file=tmp_path / "link" / "key")


@pytest.mark.parametrize("text", ["", "# nothing\n", "abc\n", "z" * 64, "a" * 63, "a" * 128])
def test_a_malformed_key_file_is_refused_without_showing_it(tmp_path: Path, text: str):
    file = tmp_path / "data.key"
    file.write_text(text)
    file.chmod(0o600)

    with pytest.raises(MasterKeyUnusable) as error:
        load(tmp_path)
    assert len(text) < 10 or text not in str(error.value)


def test_rotation_puts_a_new_key_first_and_keeps_the_others(tmp_path: Path):
    before = load(tmp_path)

    rotated = rotate_master_key(tmp_path / "data.key")

    assert rotated.keys[1:] == before.keys
    assert load(tmp_path).keys == rotated.keys
    assert stat.S_IMODE((tmp_path / "data.key").stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.key"]


def test_a_command_may_give_the_keys(tmp_path: Path):
    program = tmp_path / "keys.py"
    program.write_text(f"print('{'a' * 64} # new'); print('{'b' * 64}')")

    keys = load(tmp_path, command=f"{sys.executable} '{program}'")

    assert keys.keys == (b"\xaa" * 32, b"\xbb" * 32)
    assert not (tmp_path / "data.key").exists()


@pytest.mark.parametrize("command", ["/no/such/program", "false", "true", "'"])
def test_a_command_that_fails_is_an_error(tmp_path: Path, command: str):
    with pytest.raises(MasterKeyUnusable):
        load(tmp_path, command=command)


def test_keys_show_nothing_when_printed():
    assert "6f" * 4 not in repr(OLD)
    assert "oooo" not in repr(OLD) + repr(Sealer.of(OLD))
