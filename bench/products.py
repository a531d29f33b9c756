"""The servers that are compared: how each is had, configured and started. What cannot be had says why."""

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "bench"
BINARIES = CACHE / "bin"

DISTRIBUTION_V3 = (
    "github.com/distribution/distribution/v3/cmd/registry",
    ("v3.1.1", "v3.1.0"),
)
ZOT = ("zotregistry.dev/zot/v2/cmd/zot", ("v2.1.11",))
BUILD_LIMIT_SECONDS = 900


class Unavailable(Exception):
    """This product cannot be had here; the text says why and goes into the report."""


@dataclass(frozen=True, slots=True)
class Variant:
    """How a product is run: its listening port, TLS files, processes (only Entrepot has a choice), data folder."""

    folder: Path
    port: int
    processes: int = 1
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """What is started. `configuration` is the whole of it as the report prints it, without secrets."""

    argv: tuple[str, ...]
    configuration: str
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    password: str | None = None
    ready: str = "/v2/"


class Product(Protocol):
    """A registry that can be started here."""

    name: str

    def install(self) -> str:
        """Have it ready and return its version.

        Raises:
            Unavailable: it cannot be had.
        """
        ...

    def launch(self, variant: Variant) -> Launch:
        """Write what it needs into the variant's folder and say how it starts."""
        ...

    def make_namespace(self, launch: Launch, name: str) -> None:
        """Make pushes to `name/…` possible, where that needs a step."""
        ...


def clean_environment() -> dict[str, str]:
    """Our environment without settings meant for another Entrepot than the measured one."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ENTREPOT_")}


def _run(argv: list[str], *, limit_seconds: float, **environment: str) -> str:
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=limit_seconds,
            check=True,
            env={**clean_environment(), **environment},
        )
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout).strip().splitlines()
        raise Unavailable(f"{argv[0]} … {argv[-1]}: {lines[-1] if lines else error}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{argv[0]} … {argv[-1]}: {error}") from error
    return done.stdout + done.stderr


def go_install(module: str, versions: tuple[str, ...], binary: str, *flags: str) -> str:
    """Build a command from its Go module once, the newest of `versions` that builds; returns that version."""
    stamp, target = BINARIES / f"{binary}.version", BINARIES / binary
    if target.exists() and stamp.exists():
        return stamp.read_text()
    if shutil.which("go") is None:
        raise Unavailable("needs Go, which is not installed")
    staging = BINARIES / f"{binary}.staging"
    reasons = []
    for version in versions:
        print(f"building {module}@{version}", flush=True)
        try:
            _run(
                ["go", "install", *flags, f"{module}@{version}"],
                limit_seconds=BUILD_LIMIT_SECONDS,
                GOBIN=str(staging),
            )
        except Unavailable as error:
            reasons.append(str(error))
            continue
        next(staging.iterdir()).replace(target)
        stamp.write_text(version)
        return version
    raise Unavailable("; ".join(reasons))


def _distribution(variant: Variant) -> str:
    """A configuration in the peer's favour: in-memory descriptor cache, no access log, warnings only, no authentication."""
    tls = ""
    if variant.certificate is not None:
        tls = f"  tls:\n    certificate: {variant.certificate}\n    key: {variant.key}\n"
    return (
        "version: 0.1\n"
        "log:\n  level: warn\n  accesslog:\n    disabled: true\n"
        f"storage:\n  filesystem:\n    rootdirectory: {variant.folder / 'data'}\n    maxthreads: 100\n"
        "  cache:\n    blobdescriptor: inmemory\n"
        "  delete:\n    enabled: true\n"
        "  maintenance:\n    uploadpurging:\n      enabled: false\n"
        f"http:\n  addr: 127.0.0.1:{variant.port}\n  secret: bench\n{tls}"
    )


class _Peer:
    """What the peers have in common: they let everybody in and know no namespaces."""

    def make_namespace(self, launch: Launch, name: str) -> None:
        """Nothing: the first push makes the repository."""


class DockerRegistry(_Peer):
    """Debian's docker-registry (distribution 2.8), unpacked from its package, not installed as a service."""

    name = "docker-registry"
    _binary = CACHE / "docker-registry" / "usr" / "bin" / "docker-registry"

    def install(self) -> str:
        if not self._binary.exists():
            packages = CACHE / "packages"
            packages.mkdir(parents=True, exist_ok=True)
            if shutil.which("apt-get") is None:
                raise Unavailable("needs apt-get (Debian)")
            print("fetching docker-registry with apt-get download", flush=True)
            fetch = ["sh", "-c", 'cd "$1" && apt-get -q download docker-registry', "fetch"]
            _run([*fetch, str(packages)], limit_seconds=120)
            package = max(packages.glob("docker-registry_*.deb"))
            _run(["dpkg", "-x", str(package), str(CACHE / "docker-registry")], limit_seconds=60)
        return _run([str(self._binary), "--version"], limit_seconds=10).split()[-1]

    def launch(self, variant: Variant) -> Launch:
        path = variant.folder / "config.yml"
        path.write_text(_distribution(variant))
        return Launch((str(self._binary), "serve", str(path)), path.read_text())


class Distribution(_Peer):
    """distribution v3.1, built from its Go module."""

    name = "distribution-v3"

    def install(self) -> str:
        return go_install(*DISTRIBUTION_V3, "distribution-v3")

    def launch(self, variant: Variant) -> Launch:
        path = variant.folder / "config.yml"
        path.write_text(_distribution(variant))
        quiet = {"OTEL_TRACES_EXPORTER": "none"}
        return Launch(
            (str(BINARIES / "distribution-v3"), "serve", str(path)),
            "environment: OTEL_TRACES_EXPORTER=none\n" + path.read_text(),
            quiet,
        )


class Zot(_Peer):
    """zot without extensions (its `minimal` build), built from its Go module."""

    name = "zot"

    def install(self) -> str:
        return go_install(*ZOT, "zot", "-tags", "containers_image_openpgp")

    def launch(self, variant: Variant) -> Launch:
        http: dict[str, object] = {"address": "127.0.0.1", "port": str(variant.port)}
        if variant.certificate is not None:
            http["tls"] = {"cert": str(variant.certificate), "key": str(variant.key)}
        settings = {
            "distSpecVersion": "1.1.1",
            "storage": {"rootDirectory": str(variant.folder / "data"), "gc": False},
            "http": http,
            "log": {"level": "error"},
        }
        path = variant.folder / "config.json"
        path.write_text(json.dumps(settings, indent=2))
        return Launch((str(BINARIES / "zot"), "serve", str(path)), path.read_text())


class Entrepot:
    """Ourselves: tokens checked on every request, audit and metrics on, SQLite, everything else as it comes."""

    name = "entrepot"

    def install(self) -> str:
        if not (ROOT / "src" / "entrepot" / "__main__.py").exists():
            raise Unavailable("src/entrepot has no __main__ yet")
        return _run(
            ["git", "-C", str(ROOT), "describe", "--always", "--dirty"], limit_seconds=10
        ).strip()

    def launch(self, variant: Variant) -> Launch:
        settings = {
            "ENTREPOT_DATA": str(variant.folder / "data"),
            "ENTREPOT_LISTEN": f"127.0.0.1:{variant.port}",
            "ENTREPOT_HTTP_WORKERS": str(variant.processes),
        }
        if variant.certificate is not None:
            settings["ENTREPOT_HTTP_TLS_CERTIFICATE"] = str(variant.certificate)
            settings["ENTREPOT_HTTP_TLS_KEY"] = str(variant.key)
        shown = "".join(f"{name}={value}\n" for name, value in settings.items())
        kept = variant.folder / "password"
        if not kept.exists():
            kept.touch(mode=0o600)
            kept.write_text(secrets.token_urlsafe(24))
        password = kept.read_text()
        return Launch(
            (sys.executable, "-m", "entrepot", "serve"),
            shown + "ENTREPOT_ROOT_PASSWORD=(random)\n",
            {**settings, "ENTREPOT_ROOT_PASSWORD": password},
            user="root",
            password=password,
            ready="/readyz",
        )

    def make_namespace(self, launch: Launch, name: str) -> None:
        self.command(launch, "namespace", "create", name)

    def command(self, launch: Launch, *words: str) -> str:
        """What an `entrepot` command prints."""
        argv = [sys.executable, "-m", "entrepot", *words]
        return _run(argv, limit_seconds=30, **launch.environment)


PEERS: Mapping[str, Callable[[], Product]] = {
    DockerRegistry.name: DockerRegistry,
    Distribution.name: Distribution,
    Zot.name: Zot,
}
