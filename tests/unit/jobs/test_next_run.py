"""When a schedule runs next: time zones and their changes of clocks."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.metadata.schedules import next_run
from entrepot.model.errors import ValueInvalid

BERLIN = ZoneInfo("Europe/Berlin")


def micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def runs(cron: str, zone: str, after: datetime, count: int) -> list[datetime]:
    at, found = micros(after), []
    for _ in range(count):
        at = next_run(cron, zone, after=at)
        found.append(datetime.fromtimestamp(at / 1e6, UTC))
    return found


def test_the_hour_is_the_zones():
    after = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert runs("0 3 * * *", "Asia/Shanghai", after, 1) == [datetime(2026, 6, 1, 19, tzinfo=UTC)]
    assert runs("0 3 * * *", "UTC", after, 1) == [datetime(2026, 6, 2, 3, tzinfo=UTC)]


def test_a_time_the_clocks_skip_runs_behind_the_gap():
    after = datetime(2026, 3, 28, 12, tzinfo=BERLIN)
    assert runs("30 2 * * *", "Europe/Berlin", after, 2) == [
        datetime(2026, 3, 29, 1, 0, tzinfo=UTC),  # 03:00 summer time
        datetime(2026, 3, 30, 0, 30, tzinfo=UTC),
    ]


def test_a_time_that_comes_twice_runs_once():
    after = datetime(2026, 10, 24, 12, tzinfo=BERLIN)
    assert runs("30 2 * * *", "Europe/Berlin", after, 2) == [
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),  # the first 02:30
        datetime(2026, 10, 26, 1, 30, tzinfo=UTC),
    ]


def test_asked_inside_the_second_of_two_hours_the_next_run_is_still_ahead():
    inside = datetime(2026, 10, 25, 2, 10, tzinfo=BERLIN, fold=1)
    assert runs("30 2 * * *", "Europe/Berlin", inside, 1) == [
        datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
    ]


def test_the_moment_itself_is_not_the_next_run():
    at = datetime(2026, 6, 1, 3, 0, tzinfo=UTC)
    assert runs("0 3 * * *", "UTC", at, 1) == [datetime(2026, 6, 2, 3, tzinfo=UTC)]


@given(
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    after=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(BERLIN)),
)
def test_a_daily_run_lies_ahead_by_at_most_a_day_and_an_hour(minute, hour, after):
    start = micros(after.astimezone(UTC))
    found = next_run(f"{minute} {hour} * * *", "Europe/Berlin", after=start)
    assert start < found <= start + 25 * 3600 * 1_000_000 + 3600 * 1_000_000


@pytest.mark.parametrize(
    ("cron", "zone", "field"),
    [
        ("* * * *", "UTC", "cron"),
        ("0 * * * * *", "UTC", "cron"),
        ("60 * * * *", "UTC", "cron"),
        ("0 0 30 2 *", "UTC", "cron"),
        ("", "UTC", "cron"),
        ("0 0 * * *", "Europe/Atlantis", "timezone"),
        ("0 0 * * *", "../../etc/passwd", "timezone"),
        ("0 0 * * *", "", "timezone"),
    ],
)
def test_what_means_nothing_is_refused_by_its_field(cron, zone, field):
    with pytest.raises(ValueInvalid) as refused:
        next_run(cron, zone, after=0)
    assert refused.value.field == field
