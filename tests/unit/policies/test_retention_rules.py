"""Which tags a retention policy removes."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.capabilities.policies.retention import (
    DAY,
    Measure,
    Reason,
    follower_tags,
    judge,
    subject_of,
)
from entrepot.model.patterns import PatternInvalid
from entrepot.model.retention import Keep, Rule, Selector, SelectorKind, TaggedImage

NOW = 1_000 * DAY
HEX = "0123456789abcdef" * 4
NAMES = st.text(alphabet="abv1.-", min_size=1, max_size=4)
FOLLOWERS = st.builds(
    "sha256-{}{}".format,
    st.sampled_from("012").map(lambda digit: digit * 64),
    st.sampled_from(["", ".sig", ".att"]),
)
TAGS = st.one_of(NAMES, NAMES, FOLLOWERS)
SELECTORS = st.one_of(
    NAMES.map(lambda text: Selector(SelectorKind.NAME, text)),
    st.sampled_from(["v.*", "a|b", "^1$", ".*-.*", "[ab]+"]).map(
        lambda text: Selector(SelectorKind.PATTERN, text)
    ),
)
EXEMPT = st.lists(SELECTORS, max_size=3).map(tuple)
BY_NUMBER = st.builds(Rule, st.just(Keep.NEWEST), st.integers(1, 8), EXEMPT)
BY_DAYS = st.builds(Rule, st.just(Keep.RECENT), st.integers(1, 8), EXEMPT)
RULES = st.one_of(BY_NUMBER, BY_DAYS)
# Few moments, so that many tags are of the same one and lie on the limits.
MOMENTS = st.integers(0, 10).map(lambda days: NOW - days * DAY)
IMAGES = st.lists(
    st.builds(TaggedImage, TAGS, st.sampled_from("abc"), MOMENTS),
    unique_by=lambda image: image.tag,
    max_size=25,
)


def exempts(rule: Rule, tag: str) -> bool:
    """A second reading of selectors, by Python's own engine."""
    return any(
        one.text == tag
        if one.kind is SelectorKind.NAME
        else re.fullmatch(one.text, tag) is not None
        for one in rule.exempt
    )


def follows(image: TaggedImage) -> bool:
    return len(image.tag) > 64


def newest(tag: str, *, age: float, digest: str = "d") -> TaggedImage:
    return TaggedImage(tag, digest, int(NOW - age * DAY))


def gone(images, *rules, now=NOW) -> list[str]:
    verdicts = judge(images, rules, now)
    return [image.tag for image, verdict in zip(images, verdicts, strict=True) if verdict.removes]


@given(images=IMAGES, rule=BY_NUMBER)
def test_a_rule_by_number_keeps_exactly_the_newest(images, rule):
    judged = [one for one in images if not follows(one) and not exempts(rule, one.tag)]
    removed = set(gone(images, rule))

    kept = [one for one in judged if one.tag not in removed]
    assert len(kept) == min(rule.number, len(judged))
    for lost in (one for one in judged if one.tag in removed):
        assert all((lost.set_at, lost.tag) < (one.set_at, one.tag) for one in kept)


@given(images=IMAGES, rule=BY_DAYS)
def test_a_rule_by_days_removes_exactly_what_is_older(images, rule):
    old = {
        one.tag
        for one in images
        if not follows(one) and not exempts(rule, one.tag) and NOW - one.set_at > rule.number * DAY
    }

    assert set(gone(images, rule)) == old


@given(images=IMAGES, rule=RULES)
def test_exempt_tags_stay_and_do_not_count(images, rule):
    exempt = [one for one in images if exempts(rule, one.tag)]
    others = [one for one in images if not exempts(rule, one.tag)]

    assert gone(exempt, rule) == []
    assert gone(images, rule) == gone(others, rule)


@given(images=IMAGES, rules=st.lists(RULES, max_size=4))
def test_followers_stay_and_do_not_count(images, rules):
    others = [one for one in images if not follows(one)]
    verdicts = judge(images, rules, NOW)

    assert gone(images, *rules) == gone(others, *rules)
    for one, verdict in zip(images, verdicts, strict=True):
        assert (verdict.reason is Reason.FOLLOWS) == follows(one)


@settings(deadline=None)
@given(images=IMAGES, rule=RULES)
def test_followers_of_what_is_gone_go_by_their_own_age_and_do_not_count(images, rule):
    measure = Measure([rule], NOW)
    measure.see(images)
    found = measure.judge()
    kept = [one for one in images if not follows(one) and not found.verdict(one).removes]
    counted = [one for one in kept if not exempts(rule, one.tag)]

    for one in filter(follows, images):
        goes = found.verdict(one, is_orphan=True).removes
        if exempts(rule, one.tag):
            assert not goes
        elif rule.keep is Keep.RECENT:
            assert goes == (NOW - one.set_at > rule.number * DAY)
        else:
            oldest = min(((kept.set_at, kept.tag) for kept in counted), default=None)
            is_full = len(counted) == rule.number
            assert goes == (is_full and (one.set_at, one.tag) < oldest)
        if goes:
            assert (one.set_at, one.tag) < found.end


@given(images=IMAGES, rules=st.lists(RULES, min_size=1, max_size=4))
def test_a_tag_goes_when_any_rule_removes_it_and_the_first_that_does_is_named(images, rules):
    alone = [judge(images, [rule], NOW) for rule in rules]

    for number, verdict in enumerate(judge(images, rules, NOW)):
        removing = [
            rule for rule, verdicts in zip(rules, alone, strict=True) if verdicts[number].removes
        ]
        assert verdict.rule == (removing[0] if removing else None)


@given(data=st.data(), images=IMAGES, rules=st.lists(RULES, max_size=4))
def test_the_order_of_tags_does_not_matter(data, images, rules):
    shuffled = data.draw(st.permutations(images))

    assert sorted(gone(shuffled, *rules)) == sorted(gone(images, *rules))


@given(images=IMAGES, rule=RULES)
def test_a_second_run_at_the_same_moment_finds_nothing(images, rule):
    removed = set(gone(images, rule))

    assert gone([one for one in images if one.tag not in removed], rule) == []


@given(images=IMAGES, rule=RULES)
def test_a_looser_rule_keeps_what_the_tighter_one_keeps(images, rule):
    looser = Rule(rule.keep, rule.number + 1, rule.exempt)

    assert set(gone(images, looser)) <= set(gone(images, rule))


@given(images=IMAGES, rule=RULES, name=st.text(alphabet="xyz", min_size=1, max_size=3))
def test_a_new_push_never_saves_an_older_tag_and_is_never_removed_itself(images, rule, name):
    pushed = TaggedImage(name, "new", NOW + 1)
    removed = gone([*images, pushed], rule)

    assert name not in removed
    assert set(gone(images, rule)) <= set(removed)


@given(images=IMAGES, rule=RULES)
def test_time_passing_never_brings_a_tag_back(images, rule):
    assert set(gone(images, rule)) <= set(gone(images, rule, now=NOW + 3 * DAY))


@given(images=IMAGES, rules=st.lists(RULES, max_size=3), size=st.integers(1, 7))
def test_pages_give_the_same_verdicts_as_the_whole(images, rules, size):
    measure = Measure(rules, NOW)
    for start in range(0, len(images), size):
        measure.see(images[start : start + size])
    found = measure.judge()

    assert [found.verdict(one) for one in images] == judge(images, rules, NOW)


@given(images=IMAGES, rules=st.lists(RULES, max_size=3))
def test_the_newest_are_enough_to_measure_and_what_goes_is_older_than_the_end(images, rules):
    measure = Measure(rules, NOW)
    for one in sorted(images, key=lambda one: (one.set_at, one.tag), reverse=True):
        if measure.is_full:
            break
        measure.see([one])
    found = measure.judge()

    assert [found.verdict(one) for one in images] == judge(images, rules, NOW)
    for one in images:
        if found.verdict(one).removes:
            assert (one.set_at, one.tag) < found.end


def test_verdicts_say_why():
    images = [
        newest("latest", age=0),
        newest("v2", age=1),
        newest("v1", age=40),
        newest(f"sha256-{HEX}.sig", age=50),
        newest("base", age=60),
    ]
    surplus = Rule(Keep.NEWEST, 1, (Selector(SelectorKind.NAME, "base"),))
    old = Rule(Keep.RECENT, 30, (Selector(SelectorKind.PATTERN, "ba.*"),))

    reasons = [(one.rule, one.reason) for one in judge(images, [old, surplus], NOW)]

    assert reasons == [
        (None, Reason.KEPT),
        (surplus, Reason.SURPLUS),
        (old, Reason.OLD),
        (None, Reason.FOLLOWS),
        (None, Reason.EXEMPT),
    ]


def test_a_tag_of_exactly_so_many_days_is_kept():
    rule = Rule(Keep.RECENT, 30)

    assert gone([newest("v1", age=30)], rule) == []
    assert gone([TaggedImage("v1", "d", NOW - 30 * DAY - 1)], rule) == ["v1"]


@pytest.mark.parametrize("end", ["", ".sig", ".att", ".sbom"])
def test_tags_named_after_a_digest_follow_it(end):
    tag = f"sha256-{HEX}{end}"

    assert gone([newest(tag, age=900)], Rule(Keep.RECENT, 1)) == []
    assert tag in follower_tags(f"sha256:{HEX}")
    assert subject_of(tag) == f"sha256:{HEX}"


@pytest.mark.parametrize(
    "tag", [f"sha256-{HEX}.tar", f"sha256-{HEX[1:]}", f"x-sha256-{HEX}", f"sha512-{HEX}"]
)
def test_other_tags_are_judged_however_they_look(tag):
    assert subject_of(tag) is None
    assert gone([newest(tag, age=900)], Rule(Keep.RECENT, 1)) == [tag]


def test_no_tags_are_named_after_digests_of_other_lengths():
    assert follower_tags(f"sha512:{HEX}{HEX}") == ()
    assert follower_tags("sha256:12") == ()


def test_a_pattern_that_is_none_is_refused():
    with pytest.raises(PatternInvalid):
        judge([], [Rule(Keep.NEWEST, 1, (Selector(SelectorKind.PATTERN, "["),))], NOW)


def test_many_tags_are_judged_quickly_and_few_are_remembered():
    rules = [
        Rule(Keep.NEWEST, 100, (Selector(SelectorKind.PATTERN, "release-.*"),)),
        Rule(Keep.RECENT, 30),
    ]
    started = time.perf_counter()
    measure = Measure(rules, NOW)

    measure.see(newest(f"v{number}", age=number / 100) for number in range(10_000))
    found = measure.judge()
    removed = sum(found.verdict(newest(f"v{n}", age=n / 100)).removes for n in range(10_000))

    assert removed == 9_900
    assert max(len(held) for held in measure._newest) == 100
    assert time.perf_counter() - started < 10
