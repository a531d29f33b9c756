"""Regular expressions that users write."""

import re
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.model.patterns import MAX_LENGTH, PatternInvalid, compile_pattern

PIECES = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", r"\d", "^a", "b$"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("|".join).map("(?:{})".format),
        inner.map("(?:{})*".format),
    ),
    max_leaves=6,
)


@given(pattern=PIECES, text=st.text(alphabet="ab1", max_size=8))
def test_a_pattern_matches_whole_texts_as_pythons_own_does(pattern: str, text: str):
    expected = re.fullmatch(pattern, text) is not None

    assert compile_pattern(pattern).matches_whole(text) == expected


@pytest.mark.parametrize(
    ("pattern", "fits", "does_not"),
    [
        ("^123$", "123", "1234"),
        ("v1", "v1", "v1.2"),
        ("v1|v2", "v2", "v22"),
        ("(?i)RC.*", "rc1", "xrc1"),
        (".*", "anything", None),
    ],
)
def test_a_pattern_is_held_against_the_whole_text(pattern: str, fits: str, does_not: str | None):
    compiled = compile_pattern(pattern)

    assert compiled.matches_whole(fits)
    assert does_not is None or not compiled.matches_whole(does_not)


@pytest.mark.parametrize("cunning", ["(a+)+$", "(a|a)*b", "(a*)*b", "(.*a){12}b"])
def test_no_pattern_takes_more_time_than_the_text_is_long(cunning: str):
    compiled = compile_pattern(cunning)
    started = time.perf_counter()

    for _ in range(1000):
        compiled.matches_whole("a" * 127 + "!")

    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    "wrong", ["", "*", "[a", "(?=x)", r"(a)\1", "a{1001}", r"(?:\pL{30}){30}", "\ud800"]
)
def test_what_is_no_pattern_says_why(wrong: str):
    with pytest.raises(PatternInvalid) as refused:
        compile_pattern(wrong)

    assert refused.value.reason


def test_a_pattern_is_no_longer_than_the_bound():
    assert compile_pattern("a" * MAX_LENGTH).matches_whole("a" * MAX_LENGTH)
    with pytest.raises(PatternInvalid, match=str(MAX_LENGTH)):
        compile_pattern("a" * (MAX_LENGTH + 1))


def test_a_wrong_pattern_writes_nothing_to_the_log(capfd: pytest.CaptureFixture[str]):
    with pytest.raises(PatternInvalid):
        compile_pattern("[a")

    assert capfd.readouterr() == ("", "")


def test_patterns_are_equal_by_their_text():
    assert compile_pattern("a+") == compile_pattern("a+") != compile_pattern("a*")
    assert "engine" not in repr(compile_pattern("a+"))


def test_the_engine_is_loaded_by_the_first_pattern_and_not_before():
    program = (
        "import sys, entrepot.model.patterns as patterns\n"
        "print('re2' in sys.modules); patterns.compile_pattern('a'); print('re2' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True"]
