"""What only holds over an object service: its limits, its lost replies, and holders that do not know that they are dead."""

import itertools
import json
import secrets

import pytest
from blob_places import NO_WAIT, SMALL
from fake_s3 import FakeS3, Faults

from entrepot.model.errors import ObjectMissing, StorageFull, StorageUnavailable, UploadHeld
from entrepot.ports.blobs import ObjectKey
from entrepot.storage.objects import PART_MINIMUM_BYTES, PARTS_MAXIMUM
from entrepot.storage.parted import PartedStore
from entrepot.storage.parted_state import PartSizes

KEY = ObjectKey("k" * 20)
PART = SMALL.first_bytes


def small(service: FakeS3) -> PartedStore:
    return PartedStore(service, patience=NO_WAIT, sizes=SMALL)


def fake() -> FakeS3:
    return FakeS3(part_minimum=SMALL.minimum_bytes)


def whole(store: PartedStore) -> bytes:
    with store.open(KEY) as reader:
        return b"".join(bytes(piece) for piece in reader.chunks())


def test_the_real_limits_hold_at_part_boundaries() -> None:
    service = FakeS3()
    store = PartedStore(service, patience=NO_WAIT)
    for number, size in enumerate(((8 << 20) - 1, 8 << 20, (8 << 20) + 1, 13 << 20)):
        data = secrets.token_bytes(1 << 20) * 14
        key = ObjectKey(f"{number:016d}")
        upload = store.begin(key)
        upload.write(memoryview(data)[: size // 2])
        state = upload.save()
        upload.close()
        upload = store.resume(key, state=state, offset=size // 2)
        upload.write(memoryview(data)[size // 2 : size])
        upload.finish()
        upload.close()
        assert service.objects[f"blobs/{key}"][0] == data[:size]
    assert service.multiparts == {}


def test_ten_thousand_parts_reach_five_tebibytes() -> None:
    sizes = PartSizes()

    plain = itertools.accumulate(sizes.of(number) for number in range(1, PARTS_MAXIMUM + 1))
    cut_short = sizes.short_parts * PART_MINIMUM_BYTES + sum(
        sizes.of(number) for number in range(sizes.short_parts + 1, PARTS_MAXIMUM + 1)
    )

    assert next(n for n, total in enumerate(plain, start=1) if total >= 5 << 40) <= PARTS_MAXIMUM
    assert cut_short >= 5 << 40
    assert max(sizes.of(n) for n in range(1, PARTS_MAXIMUM + 1)) <= 5 << 30  # S3's largest part


def test_bytes_pass_once_but_for_the_tails() -> None:
    service = fake()
    store = small(service)
    upload = store.begin(KEY)
    upload.write(memoryview(bytes(10 * PART + 100)))

    upload.finish()

    assert service.bytes_in == 10 * PART + 100


def test_the_state_stays_small_however_many_parts_and_saves_there_are() -> None:
    store = small(fake())
    state = b""
    upload = store.begin(KEY)
    for _ in range(1500):
        upload.write(memoryview(bytes(100)))
        state = upload.save()

    assert len(state) <= 64 << 10
    assert json.loads(state)["v"] == 1
    upload = store.resume(KEY, state=state, offset=150_000)
    assert upload.finish() == 150_000


def test_saves_outdated_by_a_recorded_one_are_removed_at_the_next_resume() -> None:
    service = fake()
    store = small(service)
    upload = store.begin(KEY)
    for _ in range(5):
        upload.write(memoryview(b"x" * 10))
        state = upload.save()
    upload.close()
    assert len(service.objects) == 5

    store.resume(KEY, state=state, offset=50).close()

    assert len(service.objects) == 1


def test_a_state_of_a_newer_program_is_refused_and_kept() -> None:
    store = small(fake())

    with pytest.raises(StorageUnavailable):
        store.resume(KEY, state=b'{"v":2,"novel":true}', offset=5)
    with pytest.raises(ObjectMissing):
        store.resume(KEY, state=b"\x80\x04pickle", offset=5)


def test_an_offset_inside_an_uploaded_part_is_missing_and_others_are_not() -> None:
    store = small(fake())
    data = secrets.token_bytes(3 * PART + 100)
    upload = store.begin(KEY)
    upload.write(memoryview(data))
    state = upload.save()
    upload.close()

    with pytest.raises(ObjectMissing):
        store.resume(KEY, state=state, offset=PART + 1)
    for offset in (3 * PART + 50, 3 * PART, 2 * PART):
        upload = store.resume(KEY, state=state, offset=offset)
        assert upload.offset == offset
    upload.write(memoryview(b"end"))
    upload.finish()
    assert whole(store) == data[: 2 * PART] + b"end"


@pytest.mark.parametrize("seed", range(30))
def test_lost_replies_and_503s_neither_spoil_nor_leak(seed: int) -> None:
    service = FakeS3(part_minimum=SMALL.minimum_bytes, faults=Faults(seed, rate=0.5))
    store = small(service)
    data = secrets.token_bytes(7 * PART + seed)
    upload = store.begin(KEY)
    upload.write(memoryview(data)[: 4 * PART + 11])
    state = upload.save()
    upload.close()
    upload = store.resume(KEY, state=state, offset=4 * PART + 11)
    upload.write(memoryview(data)[4 * PART + 11 :])

    assert upload.finish() == len(data)

    assert whole(store) == data
    assert service.faults is not None
    assert service.faults.lost > 0
    assert service.multiparts == {}
    assert list(service.objects) == [f"blobs/{KEY}"]


def test_a_service_that_stays_away_is_unavailable_and_the_upload_goes_on_later() -> None:
    service = fake()
    store = small(service)
    upload = store.begin(KEY)
    service.down = True
    with pytest.raises(StorageUnavailable):
        upload.write(memoryview(bytes(PART)))
    taken = upload.offset
    for act in (upload.save, upload.finish, store.probe, lambda: list(store.list())):
        with pytest.raises(StorageUnavailable):
            act()
    calls = len(service.calls)
    with pytest.raises(StorageUnavailable):
        store.stat(KEY)
    assert len(service.calls) - calls == NO_WAIT.attempts

    service.down = False
    upload.write(memoryview(bytes(2 * PART))[taken:])

    assert upload.finish() == 2 * PART
    assert whole(store) == bytes(2 * PART)


def test_no_room_is_full_and_leaves_nothing_half() -> None:
    service = FakeS3(part_minimum=SMALL.minimum_bytes, room=3 * PART)
    store = small(service)
    upload = store.begin(KEY)
    with pytest.raises(StorageFull):
        upload.write(memoryview(bytes(10 * PART)))
    upload.close()

    store.abandon(KEY, state=b"")

    assert store.stat(KEY) is None
    assert service.objects == {}
    assert service.multiparts == {}


# -- zombies: holders whose lease has passed on -----------------------------------------------------------------------


def test_a_zombie_that_never_saved_can_complete_nothing_once_another_began_anew() -> None:
    store = small(fake())
    zombie = store.begin(KEY)
    zombie.write(memoryview(b"z" * 3 * PART))
    holder = store.resume(KEY, state=b"", offset=0)
    holder.write(memoryview(b"h" * 3 * PART))
    holder.finish()

    with pytest.raises(UploadHeld):
        zombie.write(memoryview(b"z" * 3 * PART))
    with pytest.raises(UploadHeld):
        zombie.finish()
    zombie.close()

    assert whole(store) == b"h" * 3 * PART


@pytest.mark.parametrize("zombie_writes", [0, 5, PART, 3 * PART, 3 * PART + 5])
def test_a_zombie_of_the_same_save_cannot_change_what_the_holder_finished(
    zombie_writes: int,
) -> None:
    service = fake()
    store = small(service)
    first = store.begin(KEY)
    first.write(memoryview(b"a" * (PART + 7)))
    state = first.save()
    zombie = store.resume(KEY, state=state, offset=PART + 7)
    holder = store.resume(KEY, state=state, offset=PART + 7)
    holder.write(memoryview(b"h" * 3 * PART))
    holder.finish()
    expected = b"a" * (PART + 7) + b"h" * 3 * PART

    for act in (
        lambda: zombie.write(memoryview(b"z" * zombie_writes)),
        zombie.save,
        zombie.finish,
        zombie.close,
        lambda: first.write(memoryview(b"f" * 3 * PART)),
        first.finish,
        first.close,
    ):
        try:
            act()
        except (UploadHeld, StorageUnavailable):
            continue

    assert whole(store) == expected
    store.abandon(KEY, state=state)
    assert list(service.objects) == [f"blobs/{KEY}"]
    assert service.multiparts == {}


@pytest.mark.parametrize("seed", range(60))
def test_racing_holders_finish_their_own_bytes_or_are_refused(seed: int) -> None:
    """The law that keeps a digest from naming other bytes: the last finish that succeeded is what is read."""
    service = FakeS3(part_minimum=SMALL.minimum_bytes, faults=Faults(seed, rate=0.4))
    store = small(service)
    chance = Faults(seed + 1000).random
    first = store.begin(KEY)
    first.write(memoryview(b"s" * (PART + 9)))
    state = first.save()
    first.close()
    racers = {letter: store.resume(KEY, state=state, offset=PART + 9) for letter in "ab"}
    taken = dict.fromkeys(racers, b"s" * (PART + 9))
    finished = []
    while racers:
        letter = chance.choice(sorted(racers))
        try:
            if chance.random() < 0.7:
                data = letter.encode() * chance.choice([1, PART // 2, PART, 2 * PART])
                racers[letter].write(memoryview(data))
                taken[letter] += data
            else:
                racers[letter].finish()
                finished.append(letter)
                racers.pop(letter)
        except UploadHeld:
            racers.pop(letter).close()

    if finished:
        assert len({taken[letter] for letter in finished}) == 1
        assert whole(store) == taken[finished[-1]]
    else:
        assert store.stat(KEY) is None


def test_after_a_zombie_completed_the_shared_parts_the_holder_still_gets_its_own_object() -> None:
    store = small(fake())
    first = store.begin(KEY)
    first.write(memoryview(b"a" * (PART + 7)))
    state = first.save()
    zombie = store.resume(KEY, state=state, offset=PART + 7)
    zombie.write(memoryview(b"z" * 100))
    holder = store.resume(KEY, state=state, offset=PART + 7)
    zombie.finish()
    with pytest.raises(UploadHeld):
        holder.write(memoryview(b"h" * 3 * PART))

    again = store.resume(KEY, state=state, offset=PART + 7)
    again.write(memoryview(b"h" * 3 * PART))
    again.finish()

    assert whole(store) == b"a" * (PART + 7) + b"h" * 3 * PART


def test_a_holder_whose_parts_a_zombie_left_out_is_refused() -> None:
    store = small(fake())
    first = store.begin(KEY)
    first.write(memoryview(b"a" * PART))
    state = first.save()
    zombie = store.resume(KEY, state=state, offset=PART)
    holder = store.resume(KEY, state=state, offset=PART)
    holder.write(memoryview(b"h" * 2 * PART))
    zombie.finish()

    with pytest.raises(UploadHeld):
        holder.finish()
