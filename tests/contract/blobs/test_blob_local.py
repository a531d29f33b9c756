"""What only holds on a disk: modes, locks among processes, a full disk, and holders that are killed."""

import errno
import fcntl
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from entrepot.model.errors import (
    NameTaken,
    ObjectMissing,
    StorageFull,
    StorageUnavailable,
    UploadHeld,
    ValueInvalid,
)
from entrepot.ports.blobs import ObjectKey
from entrepot.storage import locks
from entrepot.storage.local import LocalStore
from entrepot.storage.memory import MemoryStore
from entrepot.storage.opening import open_store

HERE = Path(__file__).parent
KEY = ObjectKey("ab" + "0" * 18)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


def whole(store: LocalStore, key: ObjectKey = KEY) -> bytes:
    with store.open(key) as reader:
        return b"".join(bytes(piece) for piece in reader.chunks())


def test_folders_and_files_are_the_owners_alone(root: Path) -> None:
    old = os.umask(0)
    try:
        store = LocalStore(root)
        upload = store.begin(KEY)
        upload.finish()
        upload.close()
    finally:
        os.umask(old)

    modes = {
        path.relative_to(root).parts[0:1]: stat.S_IMODE(path.stat().st_mode)
        for path in root.iterdir()
    }
    assert set(modes.values()) == {0o700}
    assert stat.S_IMODE((root / "blobs" / "ab").stat().st_mode) == 0o700
    assert stat.S_IMODE((root / "blobs" / "ab" / KEY).stat().st_mode) == 0o600


def test_a_key_is_begun_once(root: Path) -> None:
    store = LocalStore(root)
    upload = store.begin(KEY)
    with pytest.raises(NameTaken):
        store.begin(KEY)
    upload.finish()
    upload.close()

    with pytest.raises(NameTaken):
        store.begin(KEY)
    assert list(store.list_uploads()) == []


def test_the_reader_gives_a_descriptor_of_the_plain_file(root: Path) -> None:
    store = LocalStore(root)
    upload = store.begin(KEY)
    upload.write(memoryview(b"0123456789"))
    upload.finish()
    upload.close()

    with store.open(KEY, start=4, length=2) as reader:
        descriptor = reader.fileno()
        assert descriptor is not None
        assert os.pread(descriptor, 100, 0) == b"0123456789"
        assert [bytes(piece) for piece in reader.chunks()] == [b"45"]
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(descriptor)


def test_taking_an_upload_up_changes_nothing_before_the_first_write(root: Path) -> None:
    store = LocalStore(root)
    upload = store.begin(KEY)
    upload.write(memoryview(b"0123456789"))
    upload.finish()
    upload.close()

    store.resume(KEY, state=b"", offset=4).close()

    assert whole(store) == b"0123456789"


def test_foreign_files_and_folders_are_not_listed(root: Path) -> None:
    store = LocalStore(root)
    (root / "blobs" / "lost+found").mkdir()
    (root / "blobs" / "README").write_text("x")
    (root / "blobs" / "ab").mkdir()
    (root / "blobs" / "ab" / ("cd" + "0" * 18)).write_text("in the wrong folder")
    (root / "uploads" / ".nfs0001").write_text("x")

    assert list(store.list()) == []
    assert list(store.list_uploads()) == []


def test_another_process_holds_an_upload_until_it_is_killed(root: Path) -> None:
    store = LocalStore(root)
    store.begin(KEY).close()
    command = [sys.executable, str(HERE / "holding_writer.py"), str(root), KEY]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UploadHeld):
            store.resume(KEY, state=b"", offset=0)
        with pytest.raises(UploadHeld):
            store.abandon(KEY, state=b"")

        holder.kill()
        holder.wait()

        upload = store.resume(KEY, state=b"", offset=4)
    assert b"".join(bytes(piece) for piece in upload.read()) == b"held"
    upload.close()


@pytest.mark.crash
def test_a_writer_killed_before_any_step_leaves_the_object_absent_or_whole(root: Path) -> None:
    command = [sys.executable, str(HERE / "dying_writer.py"), str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    store = LocalStore(root)
    outcomes = []
    for key, status in (line.split() for line in done.stdout.splitlines()):
        finished = store.stat(ObjectKey(key)) is not None
        outcomes.append((int(status), finished))
        if finished:
            assert whole(store, ObjectKey(key)) == b"firsecond"
        store.abandon(ObjectKey(key), state=b"")  # the lock died with its holder

    assert outcomes[-1] == (0, True)
    assert len(outcomes) > 12
    assert {status for status, _ in outcomes[:-1]} == {-9}
    assert {finished for _, finished in outcomes[:-1]} == {False, True}
    assert list(store.list_uploads()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB, if we may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if mount.returncode:
        pytest.skip("may not mount a tmpfs here; the size limit below covers the same path")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_full_and_serves_again_once_there_is_room(small_disk: Path) -> None:
    store = LocalStore(small_disk / "store")
    upload = store.begin(KEY)
    with pytest.raises(StorageFull):
        upload.write(memoryview(bytes(4 << 20)))

    assert 0 < upload.offset <= 2 << 20
    assert sum(map(len, upload.read())) == upload.offset
    assert store.stat(KEY) is None
    with pytest.raises(StorageFull):
        store.probe()
    upload.close()
    store.abandon(KEY, state=b"")
    assert [path for path in small_disk.rglob("*") if path.is_file()] == []
    store.probe()


def test_a_file_that_may_not_grow_is_full_and_says_how_much_was_taken(root: Path) -> None:
    store = LocalStore(root)
    upload = store.begin(KEY)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StorageFull):
            upload.write(memoryview(bytes(150_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert upload.offset == 100_000
    assert store.stat(KEY) is None
    upload.write(memoryview(b"x"))
    assert upload.finish() == 100_001
    assert whole(store) == bytes(100_000) + b"x"


def test_a_failed_fsync_drops_the_object_for_a_second_one_would_lie(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(root)
    upload = store.begin(KEY)
    upload.write(memoryview(b"perhaps lost"))

    fsync = os.fsync

    def failing(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)  # no disk that fails on demand without root
    with pytest.raises(StorageUnavailable):
        upload.finish()
    monkeypatch.undo()

    with pytest.raises(StorageUnavailable):
        upload.finish()
    assert store.stat(KEY) is None
    with pytest.raises(ObjectMissing):
        store.resume(KEY, state=b"", offset=12)
    assert list(store.list_uploads()) == []


def test_an_object_deleted_under_a_holder_cannot_be_finished_again(root: Path) -> None:
    store = LocalStore(root)
    upload = store.begin(KEY)
    upload.write(memoryview(b"abc"))
    upload.finish()
    upload.close()
    upload = store.resume(KEY, state=b"", offset=3)
    store.delete(KEY)

    with pytest.raises(ObjectMissing):
        upload.finish()
    upload.close()


def test_a_store_whose_folder_has_gone_is_unavailable(root: Path) -> None:
    store = LocalStore(root)
    (root / "uploads").rmdir()

    with pytest.raises(StorageUnavailable):
        store.probe()


def test_finishing_costs_two_fsyncs_and_the_first_of_a_folder_one_more(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(root)
    count = 0
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        nonlocal count
        count += 1
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    costs = []
    for number in range(2):
        upload = store.begin(ObjectKey(f"ab{number:018d}"))
        for _ in range(20):
            upload.write(memoryview(bytes(1 << 20)))
        upload.save()
        before, count = count, 0
        assert before == 0
        upload.finish()
        upload.close()
        costs.append(count)
        count = 0

    assert costs == [3, 2]


def test_a_setting_names_a_store(tmp_path: Path) -> None:
    local = open_store(f"file://{tmp_path}/with%20space")

    assert isinstance(local, LocalStore)
    assert (tmp_path / "with space" / "blobs").is_dir()
    assert isinstance(open_store("memory:"), MemoryStore)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/plain/path",
        "file:relative",
        "file://elsewhere/x",
        "file:///x?mode=ro",
        "memory:x",
        "ftp://x/y",
    ],
)
def test_a_setting_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ValueInvalid):
        open_store(url)


def test_two_that_begin_the_same_upload_do_not_lose_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look of one and its making, the other makes it."""
    store, other, key = LocalStore(root), LocalStore(root), ObjectKey("00" * 16)
    make, held = locks.create, []

    def late(key: ObjectKey, path: str) -> int | None:
        if not held:
            held.append(None)
            held.append(other.begin(key))
        return make(key, path)

    monkeypatch.setattr(locks, "create", late)
    with pytest.raises(UploadHeld):
        store.resume(key, state=b"", offset=0)
    held[1].close()
    store.resume(key, state=b"", offset=0).close()


def test_a_file_that_went_between_its_look_up_and_its_lock_is_not_held(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(root)
    store.begin(KEY).close()
    flock = fcntl.flock
    name = root / "uploads" / KEY

    def late(descriptor: int, operation: int) -> None:
        if operation & fcntl.LOCK_EX:
            monkeypatch.undo()
            name.unlink()  # as an abandoning process does it
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    upload = store.resume(KEY, state=b"", offset=0)

    assert name.exists()
    upload.write(memoryview(b"abc"))
    upload.finish()
    upload.close()
    assert whole(store) == b"abc"
