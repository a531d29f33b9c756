"""containerd and dockerd of one test run: own sockets, own state, no network bridge, no cgroup service."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from programs import Surroundings, found, needed, needed_root
from started_registry import running, wait_until


@dataclass(frozen=True, slots=True)
class Containerd:
    """A running containerd; `ctr` talks to `socket`."""

    socket: Path
    folder: Path


@contextmanager
def containerd(folder: Path) -> Iterator[Containerd]:
    """Start containerd with all its state under `folder`. Skips when it is not installed or not root."""
    needed("containerd", "ctr", "runc")
    needed_root()
    configuration = folder / "containerd.toml"
    socket = folder / "c.sock"
    configuration.write_text(
        f"""version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri"]
root = "{folder}/root"
state = "{folder}/state"
[grpc]
  address = "{socket}"
"""
    )
    log = folder / "containerd.log"
    surroundings = Surroundings(folder)
    command = [str(found("containerd")), "-c", str(configuration)]
    with running(
        command, log=log, environment=surroundings.environment(), folder=folder
    ) as process:
        version = ["ctr", "-a", str(socket), "version"]
        wait_until(lambda: surroundings.attempt(*version).status == 0, process, log=log)
        yield Containerd(socket, folder)


@contextmanager
def dockerd(folder: Path, backend: Containerd, authority: Path) -> Iterator[str]:
    """Start Docker Engine on top of `backend`; answer the value of DOCKER_HOST.

    The daemon trusts `authority` besides taking 127.0.0.0/8 as insecure, which is its own default.
    """
    needed("dockerd", "docker")
    needed_root()
    address = f"unix://{folder}/d.sock"
    settings = {
        "data-root": f"{folder}/root",
        "exec-root": f"{folder}/exec",
        "pidfile": f"{folder}/d.pid",
        "hosts": [address],
        "bridge": "none",
        "iptables": False,
        "ip6tables": False,
        "storage-driver": "vfs",
        "containerd": str(backend.socket),
        "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 1024}},
    }
    (folder / "daemon.json").write_text(json.dumps(settings))
    surroundings = Surroundings(folder, {"SSL_CERT_FILE": str(authority), "DOCKER_HOST": address})
    log = folder / "dockerd.log"
    command = [str(found("dockerd")), "--config-file", str(folder / "daemon.json")]
    with running(
        command, log=log, environment=surroundings.environment(), folder=folder
    ) as process:
        version = ["docker", "version"]
        wait_until(lambda: surroundings.attempt(*version).status == 0, process, log=log)
        yield address
