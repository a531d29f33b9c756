"""Small blobs in memory: bounded (an entry costs its bytes and 512), the least asked for go first."""

from entrepot.capabilities.content.small import SmallBlobs


def test_what_was_not_asked_for_longest_goes_first():
    small = SmallBlobs(total_bytes=3 * (10 + 512))
    for key in ("a", "b", "c"):
        small.keep(key, key.encode() * 10)
    assert small.get("a") == b"a" * 10

    small.keep("d", b"d" * 10)

    assert [small.get(key) for key in "abcd"] == [b"a" * 10, None, b"c" * 10, b"d" * 10]


def test_keeping_again_counts_once():
    small = SmallBlobs(total_bytes=3 * (10 + 512))
    for _ in range(5):
        small.keep("a", b"a" * 10)
    small.keep("b", b"b" * 20)

    assert small.get("a") == b"a" * 10
    assert small.get("b") == b"b" * 20


def test_one_larger_than_all_room_is_not_kept():
    small = SmallBlobs(total_bytes=10 + 512)
    small.keep("a", b"a" * 11)
    small.keep("b", b"b" * 10)

    assert small.get("a") is None
    assert small.get("b") == b"b" * 10
