"""helm: a chart is an OCI artifact; its client library is containerd's and asks for tokens by POST."""

from pathlib import Path

import pytest
from programs import Surroundings, needed
from started_registry import Registry

pytestmark = pytest.mark.blackbox


@pytest.fixture
def helm(client: Surroundings) -> Surroundings:
    needed("helm")
    return client.with_variables(
        HELM_CACHE_HOME=str(client.folder / "helm-cache"),
        HELM_CONFIG_HOME=str(client.folder / "helm-config"),
        HELM_DATA_HOME=str(client.folder / "helm-data"),
    )


def packaged(helm: Surroundings, version: str = "0.1.0") -> Path:
    """Make the chart `demo`; answer its archive."""
    chart = helm.folder / "demo"
    (chart / "templates").mkdir(parents=True, exist_ok=True)
    (chart / "Chart.yaml").write_text(
        f"apiVersion: v2\nname: demo\nversion: {version}\nappVersion: '1'\n"
    )
    (chart / "values.yaml").write_text("greeting: hello\n")
    (chart / "templates" / "map.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: demo\n"
        "data:\n  greeting: {{ .Values.greeting }}\n"
    )
    helm.run("helm", "package", chart, "-d", helm.folder)
    return helm.folder / f"demo-{version}.tgz"


def reach(registry: Registry) -> list[str]:
    return ["--ca-file", str(registry.certificates.authority)] if registry.tls else ["--plain-http"]


def login(helm: Surroundings, registry: Registry) -> None:
    # `registry login` knows no --plain-http; --insecure lets it fall back to it.
    trust = reach(registry) if registry.tls else ["--insecure"]
    helm.run(
        "helm", "registry", "login", registry.host, "-u", registry.user, "--password-stdin",
        *trust, stdin=registry.password,
    )  # fmt: skip


def test_a_chart_is_pushed_and_pulled_byte_for_byte(
    registry: Registry, helm: Surroundings, repository: str
) -> None:
    archive = packaged(helm)
    folder = f"oci://{registry.host}/{registry.namespace}/{repository}"
    login(helm, registry)
    down = helm.folder / "down"
    down.mkdir()

    helm.run("helm", "push", archive, folder, *reach(registry))
    helm.run("helm", "pull", f"{folder}/demo", "--version", "0.1.0", "-d", down, *reach(registry))

    assert (down / "demo-0.1.0.tgz").read_bytes() == archive.read_bytes()


def test_show_and_template_read_the_chart_from_the_registry(
    registry: Registry, helm: Surroundings, repository: str
) -> None:
    folder = f"oci://{registry.host}/{registry.namespace}/{repository}"
    login(helm, registry)
    helm.run("helm", "push", packaged(helm), folder, *reach(registry))

    shown = helm.run(
        "helm", "show", "chart", f"{folder}/demo", "--version", "0.1.0", *reach(registry)
    )
    rendered = helm.run(
        "helm", "template", "release", f"{folder}/demo", "--version", "0.1.0",
        "--set", "greeting=good-day", *reach(registry),
    )  # fmt: skip

    assert "version: 0.1.0" in shown
    assert "greeting: good-day" in rendered


def test_without_a_version_helm_lists_the_tags_and_takes_the_newest(
    registry: Registry, helm: Surroundings, repository: str
) -> None:
    if not registry.tls:
        pytest.skip("helm 3.17 lists tags over https only")
    folder = f"oci://{registry.host}/{registry.namespace}/{repository}"
    login(helm, registry)
    for version in ("0.1.0", "0.10.0", "0.9.0"):
        helm.run("helm", "push", packaged(helm, version), folder, *reach(registry))

    shown = helm.run("helm", "show", "chart", f"{folder}/demo", *reach(registry))

    assert "version: 0.10.0" in shown


def test_login_with_a_wrong_password_is_refused(registry: Registry, helm: Surroundings) -> None:
    trust = reach(registry) if registry.tls else ["--insecure"]

    done = helm.attempt(
        "helm", "registry", "login", registry.host, "-u", registry.user, "--password-stdin",
        *trust, stdin="not-the-password",
    )  # fmt: skip

    assert done.status != 0
    assert "unauthorized" in done.output.lower() or "401" in done.output
