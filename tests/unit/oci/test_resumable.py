"""Hash states that outlive their process: equal to hashlib's digests at any cut, and refused when they are not what they should be."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.oci import resumable
from entrepot.oci.digest import Algorithm
from entrepot.oci.resumable import is_available, restored, resumable_hasher, saved

ALGORITHMS = st.sampled_from(Algorithm)
needs_libcrypto = pytest.mark.skipif(not is_available(), reason="libcrypto gives no state away")


@needs_libcrypto
@given(algorithm=ALGORITHMS, parts=st.lists(st.binary(max_size=300), max_size=8))
def test_a_state_taken_up_after_every_part_gives_hashlibs_digest(algorithm, parts):
    hasher, length = resumable_hasher(algorithm), 0
    for part in parts:
        hasher.update(memoryview(part))
        length += len(part)
        twin = hasher.copy()
        state = saved(hasher, length=length)
        hasher = restored(algorithm, state, length=length)
        twin.update(b"something else")
    assert hasher.hexdigest() == hashlib.new(algorithm, b"".join(parts)).hexdigest()


@needs_libcrypto
def test_lengths_beyond_32_bits_of_bits_are_carried():
    piece = bytearray(1 << 20)
    hasher = resumable_hasher(Algorithm.SHA256)
    for _ in range(513):  # 2^32 bits and more
        hasher.update(piece)
    again = restored(Algorithm.SHA256, saved(hasher, length=513 << 20), length=513 << 20)
    again.update(b"end")
    hasher.update(b"end")
    assert again.hexdigest() == hasher.hexdigest()


@needs_libcrypto
@given(algorithm=ALGORITHMS, content=st.binary(max_size=200), junk=st.binary(max_size=220))
def test_what_is_no_state_of_that_length_is_refused(algorithm, content, junk):
    hasher = resumable_hasher(algorithm)
    hasher.update(content)
    state = saved(hasher, length=len(content))
    other = Algorithm.SHA512 if algorithm is Algorithm.SHA256 else Algorithm.SHA256
    assert saved(hasher, length=len(content) + 1) == b""
    assert restored(algorithm, state, length=len(content) + 1) is None
    assert restored(other, state, length=len(content)) is None
    assert restored(algorithm, state + b"x", length=len(content)) is None
    assert restored(algorithm, state[:-1], length=len(content)) is None
    assert restored(algorithm, junk, length=len(content)) is None or junk == state


def test_without_such_a_libcrypto_there_are_hashlibs_hashers_and_no_states(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(resumable, "is_available", lambda: False)
        hasher = resumable_hasher(Algorithm.SHA256)
        hasher.update(b"abc")
        assert hasher.hexdigest() == hashlib.sha256(b"abc").hexdigest()
        assert saved(hasher, length=3) == b""
        assert restored(Algorithm.SHA256, b"\x01" + bytes(43), length=3) is None
