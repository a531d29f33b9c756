"""The OCI conformance suite: specification 1.1 and what main tests beyond it, with token and with Basic logins.

The suite ends with status 0 when its configuration does not load, so its results file must be there
and name its tests.
"""

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from basic_relay import basic_relay
from programs import CACHE, Surroundings, needed
from started_registry import STANDIN, Registry

pytestmark = [pytest.mark.blackbox, pytest.mark.timeout(400)]

COUNTS = CACHE / "conformance.txt"
"""The counts of every run of the suite, for the closing lines of `run-all`."""


@dataclass(frozen=True, slots=True)
class Results:
    """Status by feature as `results.yaml` has it, and what each failed test said."""

    features: dict[str, str]
    tests: int
    failures: list[str]


@contextmanager
def target(registry: Registry, login: str) -> Iterator[dict[str, str]]:
    """The suite's settings that reach the registry with one kind of login."""
    if login == "basic":
        with basic_relay(registry) as address:
            yield {"OCI_REGISTRY": address, "OCI_TLS": "disabled"}
        return
    yield {
        "OCI_REGISTRY": registry.host,
        "OCI_TLS": "enabled" if registry.tls else "disabled",
        "OCI_USERNAME": registry.user,
        "OCI_PASSWORD": registry.password,
    }


def read_results(folder: Path) -> Results:
    text = (folder / "results.yaml").read_text()
    listed = text.partition("\napis:\n")[2]
    features = dict(re.findall(r"^  ([^:\n]+): (\w+)$", listed, flags=re.MULTILINE))
    cases = list(ET.parse(folder / "junit.xml").iter("testcase"))
    failures = [
        f"{case.get('name')}: {(case.findtext('system-out') or '').strip()[:300]}"
        for case in cases
        if case.get("status") not in ("passed", "skipped", "disabled")
    ]
    return Results(features, len(cases), failures)


def tell(label: str, results: Results) -> None:
    counts = Counter(results.features.values())
    shown = ", ".join(f"{counts[word]} {word}" for word in ("Pass", "FAIL", "Skip", "Disabled"))
    line = f"conformance {label:<16} {shown}; {results.tests} tests, {len(results.failures)} failed"
    print(line)
    COUNTS.parent.mkdir(parents=True, exist_ok=True)
    with COUNTS.open("a") as file:
        file.write(line + "\n")


@pytest.mark.parametrize(
    ("version", "login", "transport"),
    [
        ("1.1", "bearer", "plain"),
        ("1.1", "basic", "plain"),
        ("dev", "bearer", "plain"),
        ("dev", "basic", "plain"),
        ("1.1", "bearer", "tls"),
        ("dev", "bearer", "tls"),
    ],
)
def test_the_suite_finds_no_failure(
    request: pytest.FixtureRequest,
    client: Surroundings,
    repository: str,
    version: str,
    login: str,
    transport: str,
) -> None:
    needed("oci-conformance")
    registry: Registry = request.getfixturevalue(f"{transport}_registry")
    folder = client.folder / "results"
    with target(registry, login) as settings:
        done = registry.trusting(client).with_variables(
            OCI_VERSION=version,
            OCI_RESULTS_DIR=str(folder),
            OCI_LOG="error",
            OCI_REPO1=f"{registry.namespace}/{repository}/one",
            OCI_REPO2=f"{registry.namespace}/{repository}/two",
            **settings,
        ).attempt("oci-conformance", timeout_seconds=300)  # fmt: skip

    assert (folder / "results.yaml").exists(), done.output[-2000:]
    results = read_results(folder)
    tell(f"{version} {login} {transport}", results)

    assert len(results.features) >= 50, results.features
    assert results.tests >= 500
    if STANDIN:
        pytest.skip(f"the stand-in is known to fail: {Counter(results.features.values())}")
    failed = [name for name, status in results.features.items() if status == "FAIL"]
    assert (failed, results.failures) == ([], [])
    assert set(results.features.values()) <= {"Pass", "Skip", "Disabled"}
    assert results.features["Referrers"] == "Pass"
    assert done.status == 0, done.output[-2000:]
