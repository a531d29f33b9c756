"""Which goals a table of medians meets, and what the overview shows."""

import pytest
from bench.figures import Row
from bench.lines import LINES, chosen
from bench.report import bounds, comparisons, number, overview
from bench.run import CORES, shares


def _row(line, server, **values):
    return Row(line, server, values, ())


def _only(table):
    (found,) = comparisons(table)
    return found


def test_the_goal_depends_on_the_number_of_our_processes():
    peer = _row("manifest-tag", "distribution-v3", rate=1000.0, cpu_us=400.0)
    one = _only([peer, _row("manifest-tag", "entrepot, 1 process", rate=4500.0, cpu_us=100.0)])
    two = _only([peer, _row("manifest-tag", "entrepot, 2 processes", rate=4500.0, cpu_us=100.0)])
    assert (one.ratio, one.cpu_ratio, one.goal, one.met) == (4.5, 0.25, 4.0, True)
    assert (two.goal, two.met) == (5.0, False)


def test_speed_alone_does_not_meet_a_goal_that_bounds_cpu_too():
    peer = _row("large-4", "distribution-v3", rate=1000.0, cpu_s_per_gib=1.0)
    ours = _row("large-4", "entrepot, 2 processes", rate=1500.0, cpu_s_per_gib=0.7)
    assert _only([peer, ours]).met is False


def test_other_peers_are_compared_without_a_goal():
    peer = _row("large-1", "docker-registry", rate=500.0, cpu_s_per_gib=1.0)
    ours = _row("large-1", "entrepot, 2 processes", rate=1000.0, cpu_s_per_gib=1.0)
    assert (_only([peer, ours]).ratio, _only([peer, ours]).met) == (2.0, None)


def test_a_missing_figure_is_neither_met_nor_missed():
    peer = Row("large-1", "distribution-v3", {}, ("StartFailed: gone",))
    ours = _row("large-1", "entrepot, 2 processes", rate=1000.0, cpu_s_per_gib=1.0)
    assert (_only([peer, ours]).ratio, _only([peer, ours]).met) == (None, None)


def test_absolute_limits_bind_only_us():
    table = [
        _row("memory-idle", "entrepot, 1 process", pss_mib=80.0),
        _row("memory-idle", "entrepot, 2 processes", pss_mib=81.0),
        _row("memory-idle", "distribution-v3", pss_mib=500.0),
    ]
    assert [(bound.server, bound.value, bound.kept) for bound in bounds(table)] == [
        ("entrepot, 1 process", 80.0, True),
        ("entrepot, 2 processes", 81.0, False),
    ]


def test_the_crowd_is_bound_by_errors_and_by_the_largest_process():
    ours = _row("crowd", "entrepot, 2 processes", rate=900.0, errors=1.0, rss_process_mib=149.0)
    assert [(each.measure, each.kept) for each in bounds([ours])] == [
        ("errors", False),
        ("rss_process_mib", True),
    ]


def test_the_overview_says_failed_and_skipped_instead_of_leaving_a_server_out():
    table = [
        _row("start-million", "entrepot, 2 processes", seconds=0.9),
        Row("start-million", "distribution-v3", {}, ("skipped: no loader",)),
        Row("start-million", "docker-registry", {}, ("StartFailed: gone",)),
    ]
    header, [cells] = overview(table)
    shown = dict(zip(header, cells, strict=True))
    assert shown["entrepot, 2 processes"] == "0.9"
    assert shown["distribution-v3"] == "skipped"
    assert shown["docker-registry"] == "failed"
    assert "kept" in cells[-1]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0"), (1234.5, "1234"), (12.345, "12.3"), (0.0456, "0.0456")],
)
def test_numbers_are_shown_with_the_digits_they_are_worth(value, text):
    assert number(value) == text


def test_lines_are_chosen_by_group_name_and_pattern_in_catalogue_order():
    assert [line.name for line in chosen("crowd-tls, blob-*")] == [
        "blob-head",
        "blob-1k",
        "crowd-tls",
    ]
    assert {line.group for line in chosen("tls")} == {"tls"}
    assert chosen("") == list(LINES)


def test_an_unknown_line_is_refused_by_name():
    with pytest.raises(ValueError, match="no line 'manifst'"):
        chosen("large,manifst")


@pytest.mark.parametrize("count", [1, 2, 3, 16, 1000])
def test_connections_are_shared_over_the_cores_and_none_is_lost(count):
    parts = shares(count)
    assert sum(parts) == count
    assert len(parts) == min(count, CORES)
    assert max(parts) - min(parts) <= 1
