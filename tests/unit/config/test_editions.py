"""Editions of instances as settings say them."""

import itertools

import pytest

from entrepot.config import ConfigError, Edition, Source, load
from entrepot.config.editions import FEATURES, RESOURCES


def test_an_edition_is_a_name_with_limits_and_features():
    edition = Edition.parse("  premium replicas=0  namespaces=500 signatures ")
    assert edition.name == "premium"
    assert (edition.limit("namespaces"), edition.limit("replicas")) == (500, 0)
    assert edition.limit("tokens") is None
    assert edition.features == {"signatures"}


def test_what_is_shown_reads_back():
    words = [f"{resource}={number}" for number, resource in enumerate(RESOURCES)]
    text = " ".join(["whole", *words, *FEATURES])
    assert str(Edition.parse(text)) == text
    assert Edition.parse(str(Edition.parse("bare"))) == Edition("bare")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Premium",
        "p" * 33,
        "a tokens=1 tokens=2",
        "a signatures signatures",
        "a tokens=-1",
        "a tokens=",
        "a tokens",
        "a houses=1",
        "a signatures=1",
        "a tokens=1,accounts=2",
    ],
)
def test_what_is_no_edition_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        Edition.parse(text)


@pytest.mark.parametrize("value", ["", "one tokens=1,two,one"])
def test_there_is_at_least_one_and_each_has_a_name_of_its_own(value):
    with pytest.raises(ConfigError, match=r"instances\.editions"):
        load(Source(None, {"instances.editions": value}, {}))


def test_the_first_editions_grow_from_one_to_the_next():
    editions = load(Source(None, {}, {})).instances.editions
    assert [edition.name for edition in editions] == ["basic", "standard", "premium"]
    for small, large in itertools.pairwise(editions):
        assert small.features <= large.features
        for resource in RESOURCES:
            assert (small.limit(resource) or 0) <= (large.limit(resource) or 0)
