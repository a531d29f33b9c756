"""Every store against a model that a child understands: whatever is done in whatever order, the same bytes come out."""

import itertools
import tempfile
from pathlib import Path

import pytest
from blob_places import KINDS, SMALL, Place, make_place
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from entrepot.ports.blobs import ObjectKey, Upload

PART = SMALL.first_bytes
SIZES = st.one_of(
    st.integers(0, 64),
    st.sampled_from([PART - 1, PART, PART + 1, 2 * PART]),
    st.integers(0, 4 * PART),
)
_numbers = itertools.count()


def pattern(size: int, number: int) -> bytes:
    return (number.to_bytes(4, "big") * (size // 4 + 1))[:size]


class Uploads(RuleBasedStateMachine):
    """One upload at a time, as its lawful holders see it; finished objects pile up beside it."""

    kind = ""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.place: Place = make_place(self.kind, Path(self.folder.name))
        self.finished: dict[ObjectKey, bytes] = {}
        self.writes = 0

    @initialize(seed=st.integers(0, 1 << 16))
    def start(self, seed: int) -> None:
        if self.kind == "parted_faulty":
            self.place = make_place(self.kind, Path(self.folder.name), seed=seed)
        self.store = self.place.store
        self.another()

    def another(self) -> None:
        self.key = ObjectKey(f"{next(_numbers):016d}")
        self.handle: Upload | None = self.store.begin(self.key)
        self.taken = b""
        self.state, self.saved = b"", b""

    @precondition(lambda self: self.handle is not None)
    @rule(size=SIZES)
    def write(self, size: int) -> None:
        assert self.handle is not None
        self.writes += 1
        data = pattern(size, self.writes)
        self.handle.write(memoryview(data))
        self.taken += data
        assert self.handle.offset == len(self.taken)

    @precondition(lambda self: self.handle is not None)
    @rule()
    def save(self) -> None:
        assert self.handle is not None
        self.state, self.saved = self.handle.save(), self.taken
        assert len(self.state) <= 64 << 10

    @precondition(lambda self: self.handle is not None)
    @rule(politely=st.booleans())
    def leave(self, politely: bool) -> None:
        assert self.handle is not None
        if politely:
            self.handle.close()
        self.handle = None

    @precondition(lambda self: self.handle is None)
    @rule()
    def resume(self) -> None:
        self.handle = self.store.resume(self.key, state=self.state, offset=len(self.saved))
        self.taken = self.saved
        assert self.handle.offset == len(self.taken)

    @precondition(lambda self: self.handle is not None)
    @rule(hashed=st.booleans(), lost=st.booleans())
    def finish(self, hashed: bool, lost: bool) -> None:
        assert self.handle is not None
        if hashed:
            assert b"".join(bytes(piece) for piece in self.handle.read()) == self.taken
        assert self.handle.finish() == len(self.taken)
        self.handle.close()
        self.handle = None
        assert self.bytes_of(self.key) == self.taken
        if (
            not lost
        ):  # else the caller never heard of it: the same upload goes on from what was saved
            self.finished[self.key] = self.taken
            self.another()

    @rule()
    def abandon(self) -> None:
        if self.handle is not None:
            self.handle.close()
            self.handle = None
        self.store.abandon(self.key, state=self.state)
        self.store.delete(self.key)  # in case it was finished and the answer got lost
        self.another()

    @precondition(lambda self: self.finished)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.finished)))
        self.store.delete(key)
        del self.finished[key]

    @precondition(lambda self: self.finished)
    @rule(data=st.data(), start=SIZES, length=st.one_of(st.none(), SIZES))
    def look(self, data: st.DataObject, start: int, length: int | None) -> None:
        key = data.draw(st.sampled_from(sorted(self.finished)))
        whole = self.finished[key]
        end = None if length is None else start + length
        with self.store.open(key, start=start, length=length) as reader:
            assert b"".join(bytes(piece) for piece in reader.chunks()) == whole[start:end]

    @rule()
    def listings(self) -> None:
        seen = [found.key for found in self.store.list() if found.key != self.key]
        assert seen == sorted(self.finished)
        assert {found.key for found in self.store.list_uploads()} <= {self.key}

    def bytes_of(self, key: ObjectKey) -> bytes:
        with self.store.open(key) as reader:
            return b"".join(bytes(piece) for piece in reader.chunks())

    def teardown(self) -> None:
        if getattr(self, "handle", None) is not None:
            self.handle.close()
        self.listings()
        self.place.sweep()
        left = self.place.leftovers()
        self.folder.cleanup()
        assert left == []


@pytest.mark.parametrize("kind", KINDS)
def test_any_order_of_calls_gives_the_bytes_of_the_model(kind: str) -> None:
    machine = type(f"Uploads_{kind}", (Uploads,), {"kind": kind})

    machine.TestCase.settings = settings(
        max_examples=25,
        stateful_step_count=30,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    machine.TestCase().runTest()
