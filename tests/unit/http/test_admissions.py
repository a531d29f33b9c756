"""What is remembered of who may come in, and when it counts no more."""

import pytest

from entrepot.http.admission import Admissions
from entrepot.model.errors import RightsStale
from entrepot.model.network_access import EntryRules, EntryStatus
from entrepot.model.tenancy import Instance, InstanceKind

OPENED = EntryRules(EntryStatus.OPENED, ("10.0.0.0/8", "2001:db8::/32"), ("192.0.2.0/24",))
CLOSED = EntryRules(EntryStatus.CLOSED, OPENED.allowed, OPENED.linked)
OPENING = EntryRules(EntryStatus.OPENING, OPENED.allowed, OPENED.linked)
OWN = Instance(1, "tcr-aaaaaaaa", InstanceKind.DEDICATED, 1, "own", False)
SHARED = Instance(2, "tcr-bbbbbbbb", InstanceKind.SHARED, None, "shared", True)


class Asked:
    """As much of a request as admission looks at."""

    def __init__(self, client):
        self.client = client


def admits(admissions, address, instance=OWN):
    return admissions.refusal(Asked(address), instance) is None


@pytest.mark.parametrize(
    ("rules", "admitted"),
    [
        (OPENED, {"10.1.2.3", "2001:db8::1", "192.0.2.1", "::ffff:10.1.2.3"}),
        (CLOSED, {"192.0.2.1"}),
        (OPENING, {"192.0.2.1"}),
        (EntryRules(EntryStatus.OPENED, (), ()), set()),
        (EntryRules(EntryStatus.CLOSED, ("0.0.0.0/0",), ()), set()),
    ],
)
def test_a_private_network_comes_in_always_and_the_rest_over_an_opened_entry(rules, admitted):
    everybody = {
        *("10.1.2.3", "2001:db8::1", "192.0.2.1", "::ffff:10.1.2.3"),
        *("11.0.0.1", "2001:db9::1", "", "garbage", "::ffff:11.0.0.1"),
    }
    admissions = Admissions({1: rules})

    for _ in range(2):  # decided, then remembered
        assert {one for one in everybody if admits(admissions, one)} == admitted
    assert all(admits(admissions, one, SHARED) for one in everybody)


def test_what_is_remembered_is_bounded():
    admissions = Admissions({1: OPENED})
    for number in range(20_000):
        assert admits(admissions, f"10.0.{number >> 8}.{number & 255}")
    for number in range(1000):
        assert not admits(admissions, "x" * 1000 + str(number))

    decided = admissions.by_instance[1]._decided
    assert len(decided) <= 4096
    assert max(map(len, decided)) <= 64


def test_decisions_stay_while_an_instances_rules_do():
    first = Admissions({1: OPENED, 2: CLOSED})
    admits(first, "10.0.0.1")
    same = EntryRules(OPENED.status, OPENED.allowed, OPENED.linked)

    second = Admissions({1: same, 2: OPENED}, before=first)

    assert second.by_instance[1] is first.by_instance[1]
    assert second.by_instance[2] is not first.by_instance[2]
    assert 3 not in Admissions({}, before=second).by_instance


def test_nothing_remembered_counts_when_changes_could_not_be_read():
    def stale():
        raise RightsStale(6.0)

    admissions = Admissions({1: OPENED}, check=stale)
    with pytest.raises(RightsStale):
        admits(admissions, "10.0.0.1")
    assert admits(admissions, "10.0.0.1", SHARED)


def test_every_refusal_is_told():
    told = []
    admissions = Admissions(
        {1: CLOSED}, on_refused=lambda request, instance, error: told.append(error.sentence)
    )

    answer = admissions.refusal(Asked("203.0.113.9"), OWN)

    assert answer is not None
    assert answer.status == 403
    assert b"203.0.113.9" in answer.body
    assert told == [
        "address 203.0.113.9 may not reach instance own: its public entry is closed, and no private link covers it"
    ]
