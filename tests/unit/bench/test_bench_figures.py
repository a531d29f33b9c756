"""The benchmark's own arithmetic."""

import pytest
from bench.figures import Reading, medians, merged, quantile, ratio, rows


def test_the_median_of_an_odd_number_of_rounds_is_the_middle_one():
    assert medians([{"rate": 30.0}, {"rate": 10.0}, {"rate": 20.0}]) == {"rate": 20.0}


def test_the_median_of_an_even_number_of_rounds_lies_halfway_between_the_two_in_the_middle():
    found = medians([{"rate": 10.0}, {"rate": 40.0}, {"rate": 20.0}, {"rate": 30.0}])
    assert found == {"rate": 25.0}


def test_a_measure_missing_from_a_round_is_taken_from_the_rounds_that_have_it():
    assert medians([{"rate": 1.0}, {"rate": 3.0, "cpu": 7.0}]) == {"rate": 2.0, "cpu": 7.0}


def test_no_rounds_give_no_medians():
    assert medians([]) == {}


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [(20.0, 10.0, 2.0), (5.0, 10.0, 0.5), (None, 10.0, None), (5.0, None, None), (5.0, 0.0, None)],
)
def test_a_ratio_needs_both_figures_and_a_positive_divisor(ours, theirs, expected):
    assert ratio(ours, theirs) == expected


def test_a_failed_turn_gives_no_figures_but_is_kept_in_the_row():
    readings = [
        Reading("line", "a", 0, {"rate": 10.0}),
        Reading("line", "a", 1, {"rate": 900.0}, failure="3 errors"),
        Reading("line", "a", 2, {"rate": 20.0}),
        Reading("line", "b", 0, {"rate": 1.0}),
    ]
    first, second = rows(readings)
    assert (first.server, dict(first.values), first.failures) == (
        "a",
        {"rate": 15.0},
        ("3 errors",),
    )
    assert (second.server, dict(second.values), second.failures) == ("b", {"rate": 1.0}, ())


def test_quantiles_come_from_counted_buckets():
    histogram = {10: 98, 500: 1, 70: 1}
    assert quantile(histogram, 0.5) == 10
    assert quantile(histogram, 0.99) == 70
    assert quantile(histogram, 1) == 500
    assert quantile(histogram, 0) == 10
    assert quantile({}, 0.5) is None


def test_histograms_of_several_processes_add_up():
    assert merged([{1: 2, 5: 1}, {5: 3}, {}]) == {1: 2, 5: 4}
