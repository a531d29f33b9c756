"""Patterns of policy documents."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.capabilities.access.wildcard import Wildcard

SMALL = st.text(alphabet="ab*/", max_size=12)


@given(pattern=SMALL, text=st.text(alphabet="ab/", max_size=12))
def test_a_pattern_matches_what_the_same_regular_expression_matches(pattern: str, text: str):
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None

    assert Wildcard.parse(pattern).matches(text) == expected


@given(SMALL)
def test_a_pattern_shows_itself_as_it_was_written(pattern: str):
    assert str(Wildcard.parse(pattern)) == pattern


def test_many_stars_over_a_long_text_take_no_time():
    pattern = Wildcard.parse("*a" * 500 + "b")
    text = "a" * 200_000

    started = time.perf_counter()

    assert not pattern.matches(text)
    assert time.perf_counter() - started < 0.5


def test_a_pattern_without_end_is_refused():
    with pytest.raises(ValueError, match="1024"):
        Wildcard.parse("a" * 1025)
