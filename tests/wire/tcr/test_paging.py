"""Lists as their clients read them: the loops of the vendor's SDK, of Harbor and of Terraform end, and see each row once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from account import Account
from tcr_rows import (
    account_rows_of,
    dedicated,
    image_rows_of,
    names,
    namespace_number,
    namespace_rows_of,
    repository_rows_of,
    repository_times,
)

from entrepot.model.access import AccountKind

pytestmark = pytest.mark.broad

COUNTS = (0, 1, 19, 20, 21, 40, 101, 199)
FEW = (0, 1, 19, 20, 21, 40)
PATIENCE = 40  # requests that a loop may need
ROWS, PAGES_FROM_ONE, PAGES_FROM_ZERO = "rows", "pages from one", "pages from zero"


@dataclass
class Listed:
    """A list action. `counting`: what its page says of Offset; `fill` adds rows; `name` of a row."""

    account: Account
    action: str
    rows: str
    counting: str
    fill: Callable[[list[str]], object]
    name: Callable[[dict[str, Any]], str]
    parameters: dict[str, Any] = field(default_factory=dict)
    total: str = "TotalCount"
    always: tuple[str, ...] = ()
    """What is in the list from the start."""

    def page(self, **window: Any) -> tuple[list[str], int]:
        answer = self.account.send(self.action, self.parameters | window)
        assert "Error" not in answer, answer
        return [self.name(row) for row in answer[self.rows]], answer[self.total]


# -- the loops --------------------------------------------------------------------------------------------------------


def by_page(listed: Listed) -> Iterator[tuple[list[str], int]]:
    """As the action's own page documents it: until a page is empty."""
    number = 1 if listed.counting == PAGES_FROM_ONE else 0
    for _ in range(PATIENCE):
        offset = number * 20 if listed.counting == ROWS else number
        found, total = listed.page(Offset=offset, Limit=20)
        if not found:
            return
        yield found, total
        number += 1
    raise AssertionError("the loop does not end")


def harbor(listed: Listed) -> list[str]:
    """Twenty a page, until there are as many as the total says."""
    number = 0 if listed.counting == PAGES_FROM_ZERO else 1
    seen: list[str] = []
    for _ in range(PATIENCE):
        found, total = listed.page(Offset=number, Limit=20)
        seen += found
        if len(seen) == total:
            return seen
        number += 1
    raise AssertionError(f"the loop does not end: {len(seen)} of {total}")


def terraform(listed: Listed) -> list[str]:
    """Two hundred a page from row 0; a short page is the last."""
    seen: list[str] = []
    offset = 0
    for _ in range(PATIENCE):
        found, _ = listed.page(Offset=offset, Limit=200)
        seen += found
        if len(found) < 200:
            return seen
        offset += 200
    raise AssertionError("the loop does not end")


# -- the lists --------------------------------------------------------------------------------------------------------


def the_namespaces(account: Account) -> Listed:
    (registry,) = dedicated(account, f"paged-{account.tenant.name}")
    return Listed(
        account,
        "DescribeNamespaces",
        "NamespaceList",
        PAGES_FROM_ZERO,
        lambda wanted: namespace_rows_of(account, registry, wanted),
        lambda row: row["Name"],
        {"RegistryId": registry},
    )


def all_namespaces(account: Account) -> Listed:
    listed = the_namespaces(account)
    listed.action, listed.counting, listed.parameters = "DescribeInstanceAllNamespaces", ROWS, {}
    return listed


def the_repositories(account: Account) -> Listed:
    registry, namespace = account.shared, account.namespace(account.shared)
    return Listed(
        account,
        "DescribeRepositories",
        "RepositoryList",
        PAGES_FROM_ONE,
        lambda wanted: repository_rows_of(account, registry, namespace, wanted),
        lambda row: row["Name"].removeprefix(f"{namespace}/"),
        {"RegistryId": registry, "NamespaceName": namespace},
    )


def the_images(account: Account) -> Listed:
    registry, namespace = account.shared, account.namespace(account.shared)
    repository_rows_of(account, registry, namespace, ["app"])
    return Listed(
        account,
        "DescribeImages",
        "ImageInfoList",
        PAGES_FROM_ONE,
        lambda wanted: image_rows_of(account, registry, f"{namespace}/app", wanted),
        lambda row: row["ImageVersion"],
        {"RegistryId": registry, "NamespaceName": namespace, "RepositoryName": "app"},
    )


def the_tokens(account: Account) -> Listed:
    registry = account.shared
    return Listed(
        account,
        "DescribeInstanceToken",
        "Tokens",
        ROWS,
        lambda wanted: account_rows_of(account, registry, AccountKind.LONGTERM, wanted),
        lambda row: row["Desc"],
        {"RegistryId": registry},
    )


def the_service_accounts(account: Account) -> Listed:
    (registry,) = dedicated(account, f"robots-{account.tenant.name}")
    return Listed(
        account,
        "DescribeServiceAccounts",
        "ServiceAccounts",
        ROWS,
        lambda wanted: account_rows_of(account, registry, AccountKind.SERVICE, wanted),
        lambda row: row["Name"].removeprefix("tcr$"),
        {"RegistryId": registry},
    )


def the_instances(account: Account) -> Listed:
    prefix = f"{account.tenant.name}-"
    return Listed(
        account,
        "DescribeInstances",
        "Registries",
        ROWS,
        lambda wanted: dedicated(account, *(prefix + name for name in wanted)),
        lambda row: row["RegistryName"].removeprefix(prefix),
        always=(account.send("DescribeInstances")["Registries"][0]["RegistryName"],),
    )


LISTS = [
    (the_namespaces, COUNTS),
    (all_namespaces, FEW),
    (the_repositories, COUNTS),
    (the_images, COUNTS),
    (the_tokens, COUNTS),
    (the_service_accounts, COUNTS),
    (the_instances, FEW),
]
NAMED = [make.__name__ for make, _ in LISTS]


@pytest.mark.parametrize(("make", "counts"), LISTS, ids=NAMED)
def test_every_loop_ends_and_sees_each_row_once(
    make: Callable[[Account], Listed], counts: tuple[int, ...], account: Account
) -> None:
    listed, before = make(account), 0
    for count in counts:
        listed.fill(names(before, count))
        before, expected = count, [*names(0, count), *listed.always]

        pages = list(by_page(listed))
        assert [name for page, _ in pages for name in page] == expected
        assert {total for _, total in pages} <= {len(expected)}
        assert all(len(page) == 20 for page, _ in pages[:-1])
        if listed.counting != ROWS:
            assert harbor(listed) == expected
        if listed.action != "DescribeInstances":  # its page has a maximum, and Terraform names ids
            assert terraform(listed) == expected


@pytest.mark.parametrize("make", [make for make, _ in LISTS], ids=NAMED)
def test_limits_and_offsets_at_their_bounds(
    make: Callable[[Account], Listed], account: Account
) -> None:
    listed = make(account)
    listed.fill(names(0, 30))
    total = 30 + len(listed.always)
    everything = [*names(0, 30), *listed.always]
    first = 1 if listed.counting == PAGES_FROM_ONE else 0

    assert listed.page() == (everything[:20], total)
    assert listed.page(Limit=0) == (everything[:20], total)
    assert listed.page(Limit=1, Offset=first) == (everything[:1], total)
    assert listed.page(Limit=7, Offset=first + (7 if listed.counting == ROWS else 1)) == (
        everything[7:14],
        total,
    )
    assert listed.page(Limit=2**31 - 1) == (everything, total)
    for offset in (10**6, 2**31 - 1):
        assert listed.page(Offset=offset) == ([], total)
        assert listed.page(Offset=offset, Limit=2**31 - 1) == ([], total)
    assert listed.page(Limit="3", Offset=str(first)) == (everything[:3], total)


@pytest.mark.parametrize("make", [make for make, _ in LISTS], ids=NAMED)
def test_a_window_that_is_none_is_refused(
    make: Callable[[Account], Listed], account: Account
) -> None:
    listed = make(account)

    for window in ({"Limit": -1}, {"Offset": -1}, {"Limit": 2**31}, {"Offset": "many"}):
        code = account.code(listed.action, listed.parameters | window)
        assert code.startswith("InvalidParameter"), (window, code)


def test_pages_from_one_take_zero_for_the_first(account: Account) -> None:
    for listed in (the_repositories(account), the_images(account)):
        listed.fill(names(0, 21))
        assert listed.page(Offset=0) == listed.page(Offset=1) == (names(0, 20), 21)
        assert listed.page(Offset=2) == (["row-020"], 21)


def test_instances_are_at_most_a_hundred_a_page(account: Account) -> None:
    listed = the_instances(account)
    listed.fill(names(0, 101))

    found, total = listed.page(Limit=1000)

    assert (len(found), total) == (100, 102)


def test_everything_at_once_where_all_is_asked_for(account: Account) -> None:
    for listed in (the_namespaces(account), the_service_accounts(account)):
        listed.fill(names(0, 45))
        assert listed.page(All=True, Limit=5, Offset=3) == (names(0, 45), 45)


# -- what is asked for ------------------------------------------------------------------------------------------------


def test_names_match_in_part_and_the_exact_one_comes_first(account: Account) -> None:
    listed = the_namespaces(account)
    listed.fill(["a-web", "web", "web-1", "other"])
    assert listed.page(NamespaceName="web") == (["web", "a-web", "web-1"], 3)
    assert listed.page(NamespaceName="web", Limit=1) == (["web"], 3)
    assert listed.page(NamespaceName="web", Limit=2, Offset=1) == (["web-1"], 3)
    assert listed.page(NamespaceName="nothing") == ([], 0)

    images = the_images(account)
    images.fill(["1.0", "1.0-rc1", "v1.0", "2.0"])
    assert images.page(ImageVersion="1.0") == (["1.0", "1.0-rc1", "v1.0"], 3)
    assert images.page(ImageVersion="1.0", Limit=1, Offset=3) == (["v1.0"], 3)
    assert images.page(ImageVersion="1.0", ExactMatch=True) == (["1.0"], 1)
    assert images.page(ImageVersion="1.", ExactMatch=True) == ([], 0)
    assert images.page(ImageVersion="1.0", ExactMatch=None) == (["1.0", "1.0-rc1", "v1.0"], 3)
    for unlike in ("%", "_", "V1.0", "*"):
        assert images.page(ImageVersion=unlike) == ([], 0)


def test_repositories_match_by_namespace_and_name_in_part(account: Account) -> None:
    listed = the_repositories(account)
    listed.fill(["api", "api-docs", "team/api", "web"])
    registry, namespace = listed.parameters["RegistryId"], listed.parameters["NamespaceName"]
    account.send(
        "CreateNamespace",
        {"RegistryId": registry, "NamespaceName": f"{namespace}x", "IsPublic": False},
    )
    repository_rows_of(account, registry, f"{namespace}x", ["api"])

    both = ["api", f"{namespace}x/api"]  # of which neither namespace is asked for exactly
    assert listed.page(RepositoryName="api") == (["api", "api-docs", "team/api", both[1]], 4)
    assert listed.page(RepositoryName="api", Limit=1) == (["api"], 4)
    listed.parameters = {"RegistryId": registry}
    assert listed.page(RepositoryName="api") == ([*both, "api-docs", "team/api"], 4)
    whole = account.send("DescribeRepositories", {"RegistryId": registry})
    assert whole["TotalCount"] == 5


def test_images_are_found_by_their_digest(account: Account) -> None:
    listed = the_images(account)
    registry, namespace = listed.parameters["RegistryId"], listed.parameters["NamespaceName"]
    first = image_rows_of(account, registry, f"{namespace}/app", ["a", "b", "b-old"])
    second = image_rows_of(account, registry, f"{namespace}/app", ["c"])

    assert listed.page(Digest=first) == (["a", "b", "b-old"], 3)
    assert listed.page(Digest=second) == (["c"], 1)
    assert listed.page(Digest=first, ImageVersion="b") == (["b", "b-old"], 2)
    assert listed.page(Digest=second, ImageVersion="b") == ([], 0)
    assert listed.page(Digest=first[:20]) == ([], 0)
    assert listed.page(Digest="sha256:" + "0" * 64) == ([], 0)


def test_namespaces_are_found_by_their_tags(account: Account) -> None:
    registry = account.shared
    for name, team in (("blue-1", "blue"), ("blue-2", "blue"), ("red-1", "red")):
        account.call(
            "CreateNamespace",
            RegistryId=registry,
            NamespaceName=f"{account.tenant.name}-{name}",
            IsPublic=False,
            TagSpecification={
                "ResourceType": "namespace",
                "Tags": [{"Key": "team", "Value": team}, {"Key": "a:b", "Value": "c"}],
            },
        )

    def found(*values: str, **more: Any) -> list[str]:
        given = {"RegistryId": registry, "Filters": [{"Name": "Tags", "Values": list(values)}]}
        rows = account.send("DescribeNamespaces", given | more)["NamespaceList"]
        return [row["Name"].removeprefix(f"{account.tenant.name}-") for row in rows]

    assert found("team:blue") == ["blue-1", "blue-2"]
    assert found("team:red") == ["red-1"]
    assert found("team:green") == []
    assert found("team:blue", NamespaceName="e-2") == ["blue-2"]
    assert account.code(
        "DescribeNamespaces",
        {"RegistryId": registry, "Filters": [{"Name": "Colour", "Values": ["x"]}]},
    ).startswith("InvalidParameter")


def test_instances_are_found_by_what_they_are(account: Account) -> None:
    one, two = (f"{account.tenant.name}-{word}" for word in ("one", "two"))
    first, second = dedicated(account, one, two)

    def found(*filters: tuple[str, list[str]], **more: Any) -> list[str]:
        given = [{"Name": name, "Values": values} for name, values in filters]
        answer = account.send("DescribeInstances", {"Filters": given, **more})
        assert answer["TotalCount"] == len(answer["Registries"])
        return [row["RegistryId"] for row in answer["Registries"]]

    assert found(("RegistryName", [one])) == [first]
    assert found(("RegistryName", [two, one])) == [first, second]
    assert found(("RegistryId", [second])) == [second]
    assert found(Registryids=[second]) == [second]
    assert found(("RegistryId", [first]), Registryids=[second]) == []
    assert found(("Status", ["Pending"])) == []
    assert set(found(("Status", ["Running"]))) > {first, second}
    assert found(("RegistryName", ["nobody"]), AllRegion=True) == []
    assert found(Registryids=["tcr-00000000"]) == []


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("name", ["a", "b", "c"]),
        ("creation_time", ["c", "a", "b"]),
        ("update_time", ["b", "c", "a"]),
    ],
)
def test_repositories_are_sorted_in_both_directions(
    key: str, expected: list[str], account: Account
) -> None:
    listed = the_repositories(account)
    listed.fill(["a", "b", "c"])
    registry, namespace = listed.parameters["RegistryId"], listed.parameters["NamespaceName"]
    times = {"a": (2, 9), "b": (3, 7), "c": (1, 8)}
    repository_times(
        account,
        registry,
        {f"{namespace}/{name}": (c * 10**12, u * 10**12) for name, (c, u) in times.items()},
    )

    assert listed.page(SortBy=key) == (expected, 3)
    assert listed.page(SortBy=f"-{key}") == (expected[::-1], 3)
    assert listed.page(SortBy=f"-{key}", Limit=1, Offset=2) == ([expected[1]], 3)


def test_equal_times_do_not_lose_rows_between_pages(account: Account) -> None:
    listed = the_repositories(account)
    listed.fill(names(0, 45))
    registry, namespace = listed.parameters["RegistryId"], listed.parameters["NamespaceName"]
    same = {f"{namespace}/{name}": (10**12, 10**12) for name in names(0, 45)}
    repository_times(account, registry, same)

    for key in ("creation_time", "-creation_time", "-update_time"):
        seen = [name for page in (1, 2, 3) for name in listed.page(SortBy=key, Offset=page)[0]]
        assert sorted(seen) == names(0, 45)


def test_an_unknown_order_is_refused(account: Account) -> None:
    code = account.code("DescribeRepositories", {"RegistryId": account.shared, "SortBy": "size"})

    assert code.startswith("InvalidParameter"), code


def test_the_number_of_a_namespace_is_its_id(account: Account) -> None:
    listed = the_namespaces(account)
    listed.fill(["one", "two"])
    registry = listed.parameters["RegistryId"]

    rows = account.send("DescribeNamespaces", listed.parameters)["NamespaceList"]

    assert [(row["Name"], row["NamespaceId"]) for row in rows] == [("one", 1), ("two", 2)]
    assert namespace_number(account, registry, "two") == 2


def test_a_page_says_what_is_there_now(account: Account) -> None:
    """Rows that come and go between two pages shift the rest, and the total with them."""
    listed = the_images(account)
    listed.fill(names(0, 25))
    first, total = listed.page(Offset=1)
    account.call("DeleteImage", **listed.parameters, ImageVersion="row-003")

    second, later = listed.page(Offset=2)

    assert (len(first), total) == (20, 25)
    assert (second, later) == (names(21, 25), 24)
