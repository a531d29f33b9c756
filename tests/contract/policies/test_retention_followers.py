"""Signatures and what else stands beside images: what goes with them, and what by its own age."""

import pytest
from retention_runs_harness import DAY, Retention, cosign, days, digest, newest, push, scenario

from registry_in_memory import image, index

pytestmark = pytest.mark.broad


@scenario()
async def test_signatures_are_not_counted_and_go_with_the_last_tag_of_what_they_sign(found):
    old = await found.registry.push_image("app", [b"layer"], "v1", "stable", note="old")
    await found.registry.push_image("app", [b"sig"], cosign(old), note="of old")
    await found.registry.age(DAY)
    new = await found.registry.push_image("app", [b"layer"], "v2", note="new")
    await found.registry.push_image("app", [b"sig"], cosign(new), note="of new")
    policy = await found.policy(newest(1, "stable"))

    await found.run(policy)
    assert await found.tags() == sorted([cosign(new), cosign(old), "stable", "v2"])

    await found.registry.delete_tag("app", "stable")
    await found.registry.push_manifest("app", old, "old-one")
    await found.registry.age(DAY)
    await found.registry.push_image("app", [b"layer"], "v3", note="newest")
    await found.run(policy)

    assert await found.tags() == ["v3"]
    assert await found.counted() == 1
    assert {tag for tag, _, _ in await found.log()} >= {cosign(old), cosign(new), "v1", "v2"}


@scenario()
async def test_a_signature_of_a_signature_goes_too(found: Retention):
    pushed = await push(found, "v1")
    sbom = await found.registry.push_image("app", [b"sbom"], cosign(pushed["v1"], ".sbom"))
    await found.registry.push_image("app", [b"sig"], cosign(sbom), note="of the list")
    await push(found, "v2")

    assert (await found.run(await found.policy(newest(1))))["removed"] == 3
    assert await found.tags() == ["v2"]


@scenario()
async def test_a_tag_that_people_chose_is_judged_as_its_own_whatever_its_subject(found: Retention):
    """Else one who may push lets tags go before their time, or stay for ever, by the subject that the manifest states."""
    pushed = await push(found, "base-1")
    base = pushed["base-1"]
    await found.registry.push_image("app", [b"old"], "list", note="old", subject=base)
    await push(found, "v1")
    await found.registry.push_image("app", [b"new"], "app-newest", note="new", subject=base)

    assert (await found.run(await found.policy(newest(2))))["removed"] == 2

    assert await found.tags() == ["app-newest", "v1"]


@scenario()
async def test_signatures_of_an_indexs_parts_go_with_the_index(found: Retention):
    parts = [await found.registry.push_image("app", [b"layer"], note=arch) for arch in ("a", "b")]
    for part in parts:
        await found.registry.push_image("app", [b"sig"], cosign(part), note=digest(part))
    whole = index(parts)
    await found.registry.push_manifest("app", whole, "v1")
    await push(found, "v2")

    await found.run(await found.policy(newest(1)))

    assert await found.tags() == ["v2"]
    assert await found.registry.pull("app", digest(whole)) == whole


@scenario()
async def test_signatures_of_a_part_stay_while_another_index_or_tag_has_it(found: Retention):
    parts = [await found.registry.push_image("app", [b"layer"], note=arch) for arch in ("a", "b")]
    for part in parts:
        await found.registry.push_image("app", [b"sig"], cosign(part), note=digest(part))
    await found.registry.push_manifest("app", index(parts), "v1")
    await found.registry.push_manifest("app", parts[0], "v1-a")
    await found.registry.age(DAY)
    await found.registry.push_manifest("app", index(parts[1:]), "v2")
    policy = await found.policy(newest(1, "v1-a"))

    await found.run(policy)
    assert await found.tags() == sorted(["v1-a", "v2", *map(cosign, parts)])

    await found.run(await found.policy(newest(1)))
    assert await found.tags() == sorted(["v2", cosign(parts[1])])


@scenario()
async def test_a_signature_whose_subject_is_not_there_goes_by_its_own_age(found: Retention):
    old, young = (cosign(image([b"of another repository", one])) for one in (b"1", b"2"))
    await found.registry.push_image("app", [b"sig"], old, note="old")
    await push(found, "v1", "v2")
    await found.registry.push_image("app", [b"sig"], young, note="young")

    await found.run(await found.policy(newest(1)))

    assert await found.tags() == sorted([young, "v2"])


@scenario()
async def test_signatures_of_what_a_tag_meant_before_go_by_their_own_age(found: Retention):
    """A nightly build moves one tag and is signed each time."""
    signatures = []
    for night in range(4):
        await found.registry.age(DAY)
        payload = await found.registry.push_image("app", [b"layer"], "nightly", note=f"{night}")
        signatures.append(cosign(payload))
        await found.registry.push_image("app", [b"sig"], signatures[-1], note=f"of {night}")
    await found.registry.push_image("app", [b"sig"], cosign(b"nobody's"), note="of nothing")
    rule = days(2, cosign(b"nobody's"))

    await found.run(await found.policy(rule))

    young = signatures[2:]
    assert await found.tags() == sorted([*young, cosign(b"nobody's"), "nightly"])
    assert {(tag, one) for tag, _, one in await found.log()} == {
        (tag, rule) for tag in signatures[:2]
    }
    assert await found.counted() == 4


@scenario()
async def test_signatures_of_deleted_tags_and_what_signs_them_go_too(found: Retention):
    pushed = await push(found, "v1")
    sbom = await found.registry.push_image("app", [b"sbom"], cosign(pushed["v1"], ".sbom"))
    await found.registry.push_image("app", [b"sig"], cosign(sbom), note="of the list")
    await push(found, "v2")
    await found.registry.delete_tag("app", "v1")

    assert (await found.run(await found.policy(newest(1))))["removed"] == 2
    assert await found.tags() == ["v2"]


@scenario()
async def test_a_signature_stays_while_an_index_in_a_tagged_index_lists_what_it_signs(found):
    part = await found.registry.push_image("app", [b"layer"], note="a part")
    await found.registry.push_image("app", [b"sig"], cosign(part), note="of the part")
    inner = index([part])
    await found.registry.push_manifest("app", inner)
    await push(found, "v1")
    await found.registry.push_manifest("app", index([inner]), "v2")
    policy = await found.policy(newest(1))

    await found.run(policy)
    assert await found.tags() == sorted([cosign(part), "v2"])

    await push(found, "v3")
    await found.run(policy)
    assert await found.tags() == ["v3"]


@scenario()
async def test_a_signature_whose_subject_is_tagged_meanwhile_stays(found: Retention):
    payload = await found.registry.push_image("app", [b"layer"], note="untagged")
    await found.registry.push_image("app", [b"sig"], cosign(payload), note="of it")
    await push(found, "v1", "v2")
    policy = await found.policy(newest(1))

    async def tagged():
        await found.registry.push_manifest("app", payload, "fresh")

    await found.run(policy, meanwhile=tagged)

    assert await found.tags() == sorted([cosign(payload), "fresh", "v2"])
