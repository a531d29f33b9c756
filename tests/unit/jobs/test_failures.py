"""What is written down of a failure."""

from dataclasses import dataclass

from entrepot.jobs.failures import LONGEST, failure, place
from entrepot.model.errors import RateLimited, RegistryError, StorageUnavailable, ValueInvalid


def raised(error):
    try:
        raise error
    except Exception as caught:
        return caught


def test_what_cannot_get_better_is_not_retried():
    assert not failure(ValueInvalid("peer", "gone")).may_retry
    assert failure(StorageUnavailable("no route")).may_retry


def test_the_other_sides_wait_is_kept():
    assert failure(RateLimited(30)).after_seconds == 30


def test_an_unexpected_errors_text_is_left_out_but_its_place_is_told():
    told = failure(raised(RuntimeError("password=hunter2")))
    assert told.may_retry
    assert "hunter2" not in told.error
    assert "RuntimeError in raised (test_failures.py:" in told.error


def test_an_error_that_was_never_raised_has_a_name_at_least():
    assert place(OSError("x")) == "OSError"


def test_a_long_error_is_cut():
    @dataclass(eq=False)
    class Long(RegistryError):
        """Long."""

        text: str

    assert len(failure(Long("x" * 10_000)).error) == LONGEST
