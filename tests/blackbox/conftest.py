"""The started registries, plain and with TLS, and a folder of its own for every client's state."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from host_names import needed_name
from oci_layout import Layout, small_image, two_architectures
from private_authority import Certificates, create_certificates
from programs import Surroundings
from started_registry import HOST_NAME, STANDIN, Registry, entrepot, standin


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return create_certificates(tmp_path_factory.mktemp("authority"), HOST_NAME)


def _registry(folder: Path, certificates: Certificates, *, tls: bool) -> Iterator[Registry]:
    started = (
        standin(folder, certificates, tls=tls)
        if STANDIN
        else entrepot(folder, certificates, tls=tls, settings={})
    )
    with started as registry:
        yield registry


@pytest.fixture(scope="session")
def plain_registry(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[Registry]:
    yield from _registry(tmp_path_factory.mktemp("plain"), certificates, tls=False)


@pytest.fixture(scope="session")
def tls_registry(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[Registry]:
    needed_name(HOST_NAME)
    yield from _registry(tmp_path_factory.mktemp("tls"), certificates, tls=True)


@pytest.fixture(params=["plain", "tls"])
def registry(request: pytest.FixtureRequest) -> Registry:
    """Every test that takes this runs over plain HTTP and over TLS."""
    started: Registry = request.getfixturevalue(f"{request.param}_registry")
    return started


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return small_image(tmp_path_factory.mktemp("image") / "layout", "hello from a small image")


@pytest.fixture(scope="session")
def multi_image(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return two_architectures(tmp_path_factory.mktemp("multi") / "layout", "hello from")


@pytest.fixture
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A repository name of this test alone."""
    return "t-" + "".join(c if c.isalnum() else "-" for c in tmp_path.name.lower()).strip("-")


@pytest.fixture
def client(tmp_path: Path) -> Surroundings:
    """Surroundings of this test alone: home, credentials, configuration, nothing shared."""
    home = tmp_path / "home"
    (home / ".docker").mkdir(parents=True)
    credentials = home / "auth.json"
    credentials.write_text("{}")  # containers/image refuses a file that is not there
    return Surroundings(
        home,
        {
            "REGISTRY_AUTH_FILE": str(credentials),
            "DOCKER_CONFIG": str(home / ".docker"),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_CACHE_HOME": str(home / ".cache"),
            "XDG_DATA_HOME": str(home / ".local"),
            "XDG_RUNTIME_DIR": str(home),
        },
    )
