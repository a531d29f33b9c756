"""Upload sessions under two racing writers, broken connections and dead processes: the recorded offset never lies, no blob has wrong
content, at most one commit wins. On a store that locks by itself, and on one where leases in the rows do it.

Two contexts over one database and one store stand for two processes: each has its own hash states, as processes do.
"""

import asyncio
import secrets
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from entrepot.capabilities.content import pulling, uploading
from entrepot.capabilities.content.feeding import FeedBroken, nothing
from entrepot.capabilities.content.hashers import LiveHashers
from entrepot.capabilities.content.uploading import Chunk
from entrepot.capabilities.context import Context
from entrepot.metadata.database import Database
from entrepot.metadata.schema import SCHEMA
from entrepot.model.access import SYSTEM
from entrepot.model.errors import (
    BlobUnknown,
    DigestMismatch,
    LeaseLost,
    OffsetMismatch,
    SizeMismatch,
    UploadHeld,
    UploadUnknown,
)
from entrepot.oci.digest import Algorithm, Digest
from registry_in_memory import Registry, open_registry

# The stores and the fake service belong to the contract suite of BlobStore, a folder of its own.
sys.path.append(str(Path(__file__).parents[1] / "contract" / "blobs"))
from blob_places import make_place

LOSING = (UploadHeld, UploadUnknown, OffsetMismatch, LeaseLost)
PIECES = st.binary(min_size=1, max_size=9000)
PROCESSES = st.sampled_from([0, 1])
ALGORITHMS = st.sampled_from(list(Algorithm))


class Shared:
    """What all examples of one store use: a database, a store, two processes, a loop."""

    def __init__(self, kind: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        root = Path(self.folder.name)
        self.db = Database.open(f"sqlite:///{root / 'metadata.db'}")
        self.db.change_schema(SCHEMA.create_all)
        self.runner = asyncio.Runner()
        self.opening = open_registry(self.db, root)
        self.registry: Registry = self.runner.run(self.opening.__aenter__())
        store = make_place(kind, root).store
        first = replace(self.registry.ctx, blobs=store)
        self.processes: list[Context] = [first, replace(first, hashers=LiveHashers())]

    def close(self) -> None:
        self.runner.run(self.opening.__aexit__(None, None, None))
        self.runner.close()
        self.db.close_sync()
        self.folder.cleanup()


def feeding(content: bytes, *, breaks: bool = False, hangs: asyncio.Event | None = None):
    """A body in pieces; it may break off after its bytes, or never end."""

    async def feed(sink, limit):
        for start in range(0, len(content), 1000):
            await asyncio.sleep(0)
            piece = content[start : start + 1000]
            await asyncio.get_running_loop().run_in_executor(None, sink.write, memoryview(piece))
        if hangs is not None:
            hangs.set()
            await asyncio.sleep(60)
        if breaks:
            raise FeedBroken
        return len(content)

    return feed


class Uploads(RuleBasedStateMachine):
    """The model is the bytes that were acknowledged."""

    shared: Shared

    @initialize(algorithm=ALGORITHMS)
    def begin(self, algorithm: Algorithm) -> None:
        self.place = self.shared.registry.place(f"r{secrets.token_hex(6)}")
        self.stored: list[bytes] = []
        self.start(algorithm)

    def start(self, algorithm: Algorithm) -> None:
        ctx = self.shared.processes[0]
        session = self.run(uploading.start_upload(ctx, SYSTEM, self.place, algorithm))
        self.upload, self.content = session.id, b""

    def run(self, awaitable):
        async def wait():
            return await asyncio.wait_for(awaitable, 20)

        return self.shared.runner.run(wait())

    def append(self, process: int, feed, chunk: Chunk | None = None):
        ctx = self.shared.processes[process]
        return uploading.append(ctx, SYSTEM, self.place, self.upload, feed=feed, chunk=chunk)

    def commit(self, process: int, digest: Digest, feed=nothing):
        ctx = self.shared.processes[process]
        return uploading.commit(ctx, SYSTEM, self.place, self.upload, digest=digest, feed=feed)

    def offset(self, process: int = 0) -> int:
        ctx = self.shared.processes[process]
        return self.run(uploading.get_upload(ctx, SYSTEM, self.place, self.upload)).offset

    def check_blob(self, content: bytes, algorithm: Algorithm) -> None:
        async def read() -> bytes:
            ctx = self.shared.processes[1]
            digest = Digest.of(content, algorithm)
            blob = await pulling.find_blob(ctx, SYSTEM, self.place, digest)
            assert blob.size == len(content)
            with await pulling.open_blob(ctx, blob) as reader:
                return b"".join(bytes(piece) for piece in reader.chunks())

        assert self.run(read()) == content

    # -- one writer ---------------------------------------------------------------------------------------------------

    @rule(process=PROCESSES, piece=PIECES, says=st.booleans())
    def appends(self, process: int, piece: bytes, says: bool) -> None:
        chunk = Chunk(len(self.content), len(piece)) if says else None
        session = self.run(self.append(process, feeding(piece), chunk))
        self.content += piece
        assert session.offset == len(self.content)

    @rule(process=PROCESSES, piece=PIECES, off=st.integers(-50, 50).filter(bool))
    def appends_elsewhere(self, process: int, piece: bytes, off: int) -> None:
        start = max(0, len(self.content) + off)
        if start == len(self.content):
            return
        with pytest.raises(OffsetMismatch) as caught:
            self.run(self.append(process, feeding(piece), Chunk(start, len(piece))))
        assert caught.value.offset == len(self.content)

    @rule(process=PROCESSES, piece=PIECES, missing=st.integers(1, 5))
    def appends_less_than_said(self, process: int, piece: bytes, missing: int) -> None:
        chunk = Chunk(len(self.content), len(piece) + missing)
        with pytest.raises(SizeMismatch):
            self.run(self.append(process, feeding(piece), chunk))

    @rule(process=PROCESSES, piece=PIECES)
    def breaks_off(self, process: int, piece: bytes) -> None:
        """The connection is cut: what came is kept."""
        with pytest.raises(FeedBroken):
            self.run(self.append(process, feeding(piece, breaks=True)))
        self.content += piece

    @rule(process=PROCESSES, piece=PIECES)
    def dies(self, process: int, piece: bytes) -> None:
        """The holder ends amid its work and records nothing; its hash states go with it."""

        async def killed() -> None:
            writing = asyncio.Event()
            task = asyncio.ensure_future(self.append(process, feeding(piece, hangs=writing)))
            await writing.wait()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

        self.run(killed())
        old = self.shared.processes[process]
        self.shared.processes[process] = replace(old, hashers=LiveHashers())

    @rule(process=PROCESSES)
    def looks(self, process: int) -> None:
        assert self.offset(process) == len(self.content)

    @rule(process=PROCESSES, algorithm=ALGORITHMS, piece=st.binary(max_size=50))
    def commits_with_a_wrong_digest(self, process: int, algorithm: Algorithm, piece: bytes) -> None:
        wrong = Digest.of(self.content + piece + b"!", algorithm)
        with pytest.raises(DigestMismatch) as caught:
            self.run(self.commit(process, wrong, feeding(piece)))
        assert caught.value.actual == str(Digest.of(self.content + piece, algorithm))
        assert self.offset() == len(self.content)
        ctx = self.shared.processes[process]
        with pytest.raises(BlobUnknown):
            self.run(pulling.find_blob(ctx, SYSTEM, self.place, wrong))

    @rule(process=PROCESSES, algorithm=ALGORITHMS, piece=st.binary(max_size=50))
    def commits(self, process: int, algorithm: Algorithm, piece: bytes) -> None:
        whole = self.content + piece
        self.run(self.commit(process, Digest.of(whole, algorithm), feeding(piece)))
        self.check_blob(whole, algorithm)
        with pytest.raises(UploadUnknown):
            self.offset()
        self.start(algorithm)

    @rule(process=PROCESSES, algorithm=ALGORITHMS)
    def cancels(self, process: int, algorithm: Algorithm) -> None:
        ctx = self.shared.processes[process]
        self.run(uploading.cancel(ctx, SYSTEM, self.place, self.upload))
        with pytest.raises(UploadUnknown):
            self.run(self.append(process, feeding(b"late")))
        self.start(algorithm)

    # -- two writers --------------------------------------------------------------------------------------------------

    def race(self, one, other):
        async def both():
            return await asyncio.gather(one, other, return_exceptions=True)

        results = self.run(both())
        for result in results:
            if isinstance(result, BaseException) and not isinstance(
                result, (*LOSING, DigestMismatch)
            ):
                raise result
        return results

    @rule(one=PIECES, other=PIECES, says=st.booleans(), apart=st.booleans())
    def two_append(self, one: bytes, other: bytes, says: bool, apart: bool) -> None:
        """Those that say where they begin cannot both win; those that do not come one after the other."""
        start = len(self.content)
        chunks = [Chunk(start, len(piece)) if says else None for piece in (one, other)]
        results = self.race(
            self.append(0, feeding(one), chunks[0]),
            self.append(1 if apart else 0, feeding(other), chunks[1]),
        )
        won = [
            (result.offset, piece)
            for result, piece in zip(results, (one, other), strict=True)
            if not isinstance(result, BaseException)
        ]
        assert won
        assert len(won) == 1 or not says
        for offset, piece in sorted(won):
            self.content += piece
            assert offset == len(self.content)
        assert self.offset() == len(self.content)

    @rule(algorithm=ALGORITHMS, apart=st.booleans())
    def two_commit(self, algorithm: Algorithm, apart: bool) -> None:
        digest = Digest.of(self.content, algorithm)
        results = self.race(self.commit(0, digest), self.commit(1 if apart else 0, digest))
        assert sum(not isinstance(result, BaseException) for result in results) == 1
        self.check_blob(self.content, algorithm)
        self.start(algorithm)

    @precondition(lambda self: self.content)
    @rule(algorithm=ALGORITHMS, piece=PIECES)
    def one_commits_while_the_other_appends(self, algorithm: Algorithm, piece: bytes) -> None:
        digest = Digest.of(self.content, algorithm)
        committed, appended = self.race(self.commit(0, digest), self.append(1, feeding(piece)))
        if isinstance(committed, DigestMismatch):
            assert not isinstance(appended, BaseException)
            self.content += piece
        elif isinstance(committed, BaseException):  # it lost its hold to the other
            if not isinstance(appended, BaseException):
                self.content += piece
            assert self.offset() == len(self.content)
        else:
            assert isinstance(appended, LOSING)
            self.check_blob(self.content, algorithm)
            self.start(algorithm)

    @rule(algorithm=ALGORITHMS, piece=PIECES)
    def one_cancels_while_the_other_appends(self, algorithm: Algorithm, piece: bytes) -> None:
        ctx = self.shared.processes[1]
        cancelled, appended = self.race(
            uploading.cancel(ctx, SYSTEM, self.place, self.upload), self.append(0, feeding(piece))
        )
        if isinstance(cancelled, BaseException):
            assert not isinstance(appended, BaseException)
            self.content += piece
        else:
            with pytest.raises(UploadUnknown):
                self.offset()
            self.start(algorithm)


@pytest.mark.parametrize("kind", ["local", "parted"])
@pytest.mark.parametrize("seeds", [2, pytest.param(8, marks=pytest.mark.broad)])
def test_upload_sessions_hold_under_racing_writers(kind, seeds):
    """Each seed by itself: what may be done next depends on who won a race, which Hypothesis must not hold against another example."""
    shared = Shared(kind)

    class Machine(Uploads):
        pass

    Machine.shared = shared
    rules = settings(
        max_examples=2,  # the simplest, and one by the seed
        stateful_step_count=25,
        deadline=None,
        phases=[Phase.generate],  # races shrink badly
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    try:
        for number in range(seeds):
            run_state_machine_as_test(seed(number)(Machine), settings=rules)
    finally:
        shared.close()
