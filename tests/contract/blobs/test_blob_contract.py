"""What BlobStore promises, on every store."""

import contextlib
import itertools
import secrets
import threading

import pytest
from blob_places import EXCLUSIVE, SMALL, Place

from entrepot.model.errors import ObjectMissing, StorageUnavailable, UploadHeld
from entrepot.ports.blobs import BlobStore, ObjectKey, Upload

_numbers = itertools.count()
PART = SMALL.first_bytes
SIZES = [
    0,
    1,
    PART - 1,
    PART,
    PART + 1,
    3 * PART - 1,
    3 * PART,
    3 * PART + 1,
    5 * PART + 17,
    2_500_000,
]


def new_key() -> ObjectKey:
    return ObjectKey(f"key{next(_numbers):017d}")


def some_bytes(size: int) -> bytes:
    return secrets.token_bytes(size)


def put(store: BlobStore, data: bytes) -> ObjectKey:
    key = new_key()
    upload = store.begin(key)
    upload.write(memoryview(data))
    assert upload.finish() == len(data)
    upload.close()
    return key


def read(store: BlobStore, key: ObjectKey, *, start: int = 0, length: int | None = None) -> bytes:
    with store.open(key, start=start, length=length) as reader:
        return b"".join(bytes(piece) for piece in reader.chunks())


def saved(store: BlobStore, data: bytes) -> tuple[ObjectKey, bytes]:
    key = new_key()
    upload = store.begin(key)
    upload.write(memoryview(data))
    state = upload.save()
    upload.close()
    return key, state


@pytest.mark.parametrize("size", SIZES)
def test_what_was_written_is_read_back(store: BlobStore, size: int) -> None:
    data = some_bytes(size)

    key = put(store, data)

    assert read(store, key) == data
    found = store.stat(key)
    assert found is not None
    assert (found.key, found.size) == (key, size)
    assert list(store.list_uploads()) == []


@pytest.mark.parametrize("step", [1, 4095, PART, PART + 1, 1 << 20])
def test_writes_of_any_size_make_the_same_object(store: BlobStore, step: int) -> None:
    data = some_bytes(3 if step == 1 else 70_001)
    key = new_key()
    upload = store.begin(key)

    for position in range(0, len(data), step):
        buffer = bytearray(data[position : position + step])
        upload.write(memoryview(buffer))
        buffer[:] = bytes(len(buffer))  # the caller's to reuse
        assert upload.offset == min(position + step, len(data))
    upload.finish()
    upload.close()

    assert read(store, key) == data


@pytest.mark.parametrize(
    ("start", "length"),
    [
        (0, 0),
        (0, 1),
        (1, None),
        (PART - 1, 2),
        (PART, PART),
        (29_999, 1),
        (29_999, 9),
        (30_000, None),
        (40_000, 5),
    ],
)
def test_a_range_is_exactly_what_lies_in_it(
    store: BlobStore, start: int, length: int | None
) -> None:
    data = some_bytes(30_000)
    key = put(store, data)

    got = read(store, key, start=start, length=length)

    assert got == data[start : None if length is None else start + length]
    with store.open(key, start=start, length=length) as reader:
        assert reader.size == 30_000


def test_pieces_are_at_most_a_mebibyte(store: BlobStore) -> None:
    key = put(store, bytes(2_500_000))

    with store.open(key) as reader:
        assert {len(piece) <= 1 << 20 for piece in reader.chunks()} == {True}


def test_an_absent_object_is_missing(store: BlobStore) -> None:
    key = new_key()

    assert store.stat(key) is None
    store.delete(key)
    store.abandon(key, state=b"")
    with pytest.raises(ObjectMissing):
        store.open(key)
    with pytest.raises(ObjectMissing):
        store.resume(key, state=b"", offset=1)


def test_an_unfinished_object_is_not_there(store: BlobStore) -> None:
    key, state = saved(store, some_bytes(3 * PART))

    assert store.stat(key) is None
    assert list(store.list()) == []
    assert [found.key for found in store.list_uploads()] == [key]
    with pytest.raises(ObjectMissing):
        store.open(key)
    store.abandon(key, state=state)
    store.abandon(key, state=state)
    assert list(store.list_uploads()) == []


@pytest.mark.parametrize(
    "key",
    [
        "",
        "short",
        "../../../../etc/passwd0",
        "ABCDEFGHIJKLMNOPQ",
        "a" * 65,
        "a" * 16 + "\n",
        "a/" * 9,
    ],
)
def test_what_is_no_key_never_reaches_the_backend(store: BlobStore, key: str) -> None:
    bad = ObjectKey(key)

    for act in (store.begin, store.open, store.stat, store.delete):
        with pytest.raises(ValueError, match="no object key"):
            act(bad)
    with pytest.raises(ValueError, match="no object key"):
        store.resume(bad, state=b"", offset=0)
    with pytest.raises(ValueError, match="no object key"):
        store.abandon(bad, state=b"")


@pytest.mark.parametrize(
    "offset", [0, 1, PART - 1, PART, PART + 1, 2 * PART, 3 * PART + 5, 100_000]
)
def test_an_upload_goes_on_where_it_was_saved(store: BlobStore, offset: int) -> None:
    data = some_bytes(offset + 20_000)
    key, state = saved(store, data[:offset])
    assert len(state) <= 64 << 10

    upload = store.resume(key, state=state, offset=offset)
    assert upload.offset == offset
    upload.write(memoryview(data)[offset:])
    upload.finish()
    upload.close()

    assert read(store, key) == data


def test_an_upload_goes_on_through_many_requests(store: BlobStore) -> None:
    data = some_bytes(90_000)
    key, state = saved(store, b"")

    for position in range(0, len(data), 3001):
        upload = store.resume(key, state=state, offset=position)
        upload.write(memoryview(data)[position : position + 3001])
        state = upload.save()
        upload.close()
    upload = store.resume(key, state=state, offset=len(data))
    assert upload.finish() == len(data)
    upload.close()

    assert read(store, key) == data
    assert list(store.list_uploads()) == []


@pytest.mark.parametrize("beyond", [1, 4000, 3 * PART])
def test_what_a_dead_holder_wrote_behind_the_saved_offset_is_dropped(
    store: BlobStore, beyond: int
) -> None:
    data = some_bytes(2 * PART + 100)
    key = new_key()
    upload = store.begin(key)
    upload.write(memoryview(data))
    state = upload.save()
    upload.write(memoryview(some_bytes(beyond)))
    del upload  # its process died: nobody closed it

    upload = store.resume(key, state=state, offset=len(data))
    upload.write(memoryview(b"the end"))
    upload.finish()
    upload.close()

    assert read(store, key) == data + b"the end"


def test_an_upload_never_saved_starts_again_at_nothing(store: BlobStore) -> None:
    key = new_key()
    upload = store.begin(key)
    upload.write(memoryview(some_bytes(3 * PART)))
    del upload

    upload = store.resume(key, state=b"", offset=0)
    upload.write(memoryview(b"anew"))
    upload.finish()
    upload.close()

    assert read(store, key) == b"anew"


@pytest.mark.parametrize("size", [10, 3 * PART, 5 * PART + 1])
def test_finishing_again_after_a_lost_answer_gives_the_same_object(
    store: BlobStore, size: int
) -> None:
    data = some_bytes(size)
    key, state = saved(store, data)
    upload = store.resume(key, state=state, offset=size)
    upload.finish()
    assert upload.finish() == size
    upload.close()

    again = store.resume(key, state=state, offset=size)
    assert store.stat(key) is not None  # nothing moves before it must
    assert again.finish() == size
    again.close()

    assert read(store, key) == data
    assert list(store.list_uploads()) == []


@pytest.mark.parametrize("kept", [10, 3 * PART, 5 * PART + 1])
def test_a_finished_object_is_taken_up_at_an_earlier_offset(store: BlobStore, kept: int) -> None:
    data = some_bytes(kept)
    key, state = saved(store, data)
    upload = store.resume(key, state=state, offset=kept)
    upload.write(memoryview(b"first ending"))
    upload.finish()
    upload.close()

    again = store.resume(key, state=state, offset=kept)
    assert again.offset == kept
    again.write(memoryview(b"second"))
    again.finish()
    again.close()

    assert read(store, key) == data + b"second"


def test_a_finished_object_taken_up_and_left_is_what_it_was(store: BlobStore) -> None:
    data = some_bytes(3 * PART)
    key, state = saved(store, data)
    upload = store.resume(key, state=state, offset=len(data))
    upload.finish()
    upload.close()

    looked = store.resume(key, state=state, offset=len(data))
    looked.close()

    assert read(store, key) == data


def test_more_than_is_there_cannot_be_resumed(store: BlobStore) -> None:
    key, state = saved(store, b"12345")

    with pytest.raises(ObjectMissing):
        store.resume(key, state=state, offset=6)

    upload = store.resume(key, state=state, offset=5)
    upload.close()


@pytest.mark.parametrize("size", [0, 100, PART, 4 * PART + 3])
def test_bytes_taken_are_read_again_before_the_finish(store: BlobStore, size: int) -> None:
    data = some_bytes(size)
    key, state = saved(store, data)
    upload = store.resume(key, state=state, offset=size)
    upload.write(memoryview(b"tail"))

    seen = b"".join(bytes(piece) for piece in upload.read())
    upload.finish()
    upload.close()

    assert seen == data + b"tail"
    assert read(store, key) == data + b"tail"


def test_a_closed_or_finished_handle_takes_nothing(store: BlobStore) -> None:
    key = new_key()
    upload = store.begin(key)
    upload.write(memoryview(b"whole"))
    upload.finish()

    with pytest.raises(StorageUnavailable):
        upload.write(memoryview(b"more"))
    upload.close()
    upload.close()
    for act in (upload.finish, upload.save):
        with pytest.raises(StorageUnavailable):
            act()
    assert read(store, key) == b"whole"


def test_abandon_leaves_a_finished_object_alone(store: BlobStore) -> None:
    key, state = saved(store, b"abc")
    upload = store.resume(key, state=state, offset=3)
    upload.finish()
    upload.close()

    store.abandon(key, state=state)

    assert read(store, key) == b"abc"


def test_a_reader_gives_the_old_bytes_or_none_once_the_object_is_deleted(store: BlobStore) -> None:
    data = some_bytes(2_500_000)
    key = put(store, data)
    with store.open(key) as reader:
        pieces = reader.chunks()
        got = bytes(next(pieces))
        store.delete(key)
        try:
            for piece in pieces:
                got += bytes(piece)
        except StorageUnavailable:
            assert data.startswith(got)
        else:
            assert got == data
    with pytest.raises(ObjectMissing):
        store.open(key)


def test_a_reader_never_gives_bytes_written_later(store: BlobStore) -> None:
    data = some_bytes(30_000)
    key, state = saved(store, data)
    upload = store.resume(key, state=state, offset=len(data))
    upload.finish()
    upload.close()
    reader = store.open(key)

    store.delete(key)
    store.resume(key, state=b"", offset=0).close()
    upload = store.resume(key, state=b"", offset=0)
    upload.write(memoryview(some_bytes(30_000)))
    upload.finish()
    upload.close()

    with contextlib.suppress(StorageUnavailable):  # the other thing that it may say
        assert b"".join(bytes(piece) for piece in reader.chunks()) == data
    reader.close()


def test_listing_is_in_key_order_and_goes_on_behind_a_key(store: BlobStore) -> None:
    keys = sorted({ObjectKey(secrets.token_hex(8 + number % 20)) for number in range(40)})
    for key in reversed(keys):
        upload = store.begin(key)
        upload.finish()
        upload.close()

    assert [found.key for found in store.list()] == keys
    for position in (0, 1, 17, 38, 39):
        assert [found.key for found in store.list(after=keys[position])] == keys[position + 1 :]
    between = ObjectKey(keys[5] + "0")
    assert [found.key for found in store.list(after=between)] == [
        key for key in keys if key > between
    ]


def test_unfinished_uploads_are_listed_once(store: BlobStore) -> None:
    keys = [saved(store, some_bytes(size))[0] for size in (0, 5, 3 * PART, 0, 7, 9 * PART, 1, 2, 3)]

    assert sorted(found.key for found in store.list_uploads()) == sorted(keys)


def test_a_probe_leaves_nothing(place: Place) -> None:
    place.store.probe()

    assert place.leftovers() == []


@pytest.mark.parametrize("place", EXCLUSIVE, indirect=True)
def test_a_second_holder_is_refused_until_the_first_lets_go(place: Place) -> None:
    store = place.store
    key = new_key()
    first: Upload | None = store.begin(key)
    assert first is not None
    first.write(memoryview(b"abc"))

    with pytest.raises(UploadHeld):
        store.resume(key, state=b"", offset=3)
    with pytest.raises(UploadHeld):
        store.abandon(key, state=b"")
    first = None

    store.resume(key, state=b"", offset=3).close()


@pytest.mark.parametrize("place", EXCLUSIVE, indirect=True)
def test_of_many_threads_one_holds_an_upload_at_a_time(place: Place) -> None:
    store = place.store
    key, state = saved(store, b"")
    inside = 0
    written = 0
    clashes = 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal inside, written, clashes
        for _ in range(60):
            with lock:
                offset = written
            try:
                upload = store.resume(key, state=state, offset=offset)
            except UploadHeld:
                continue
            with lock:
                inside += 1
                clashes += inside > 1
                stale = offset != written
            if not stale:
                upload.write(memoryview(b"x" * 10))
            with lock:
                written += 0 if stale else 10
                inside -= 1
            upload.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    upload = store.resume(key, state=state, offset=written)
    assert upload.finish() == written > 0
    upload.close()
    assert clashes == 0
    assert read(store, key) == b"x" * written
