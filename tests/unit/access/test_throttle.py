"""Failed logins are counted by source and account."""

import pytest

from entrepot.capabilities.access.throttle import Throttle
from entrepot.model.errors import RateLimited


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def throttle(failures: int = 3, **more) -> tuple[Throttle, Clock]:
    clock = Clock()
    return Throttle(failures, 60, clock=clock, **more), clock


def fail(throttle: Throttle, times: int, source: str = "192.0.2.1", account: str = "root"):
    for _ in range(times):
        throttle.failed(source, account)


def test_after_so_many_failures_nothing_is_tried_until_the_window_is_over():
    counts, clock = throttle()
    fail(counts, 2)
    counts.check("192.0.2.1", "root")
    fail(counts, 1)
    clock.now += 20

    with pytest.raises(RateLimited) as error:
        counts.check("192.0.2.1", "root")
    assert error.value.retry_after_seconds == 41
    clock.now += 40
    counts.check("192.0.2.1", "root")
    fail(counts, 2)
    counts.check("192.0.2.1", "root")


def test_others_are_not_kept_out():
    counts, _ = throttle()
    fail(counts, 5)

    counts.check("192.0.2.2", "root")
    counts.check("192.0.2.1", "alice")


def test_a_good_login_forgets_the_failures():
    counts, _ = throttle()
    fail(counts, 2)
    counts.succeeded("192.0.2.1", "root")
    fail(counts, 2)

    counts.check("192.0.2.1", "root")


def test_addresses_of_one_network_of_the_sixth_version_are_one_source():
    counts, _ = throttle()
    fail(counts, 2, "2001:db8::1")
    fail(counts, 1, "2001:db8::ffff:2")

    with pytest.raises(RateLimited):
        counts.check("2001:db8::3", "root")
    counts.check("2001:db8:0:1::3", "root")


def test_a_mapped_address_is_the_address_it_maps():
    counts, _ = throttle()
    fail(counts, 3, "::ffff:192.0.2.1")

    with pytest.raises(RateLimited):
        counts.check("192.0.2.1", "root")


def test_what_is_remembered_is_bounded():
    counts, _ = throttle(max_entries=10)
    for number in range(1000):
        fail(counts, 3, account=f"{number}" * 1000)

    assert len(counts) == 10
    with pytest.raises(RateLimited):
        counts.check("192.0.2.1", "999" * 1000)
