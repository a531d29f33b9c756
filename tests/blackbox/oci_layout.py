"""Small images made here, byte for byte the same at every run: no base image is downloaded."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
BUSYBOX = Path("/bin/busybox")


@dataclass(frozen=True, slots=True)
class Layout:
    """An OCI image layout folder whose `index.json` names one thing, `tag`, with `digest`."""

    folder: Path
    tag: str
    digest: str

    @property
    def skopeo_reference(self) -> str:
        return f"oci:{self.folder}:{self.tag}"


def digest_of(content: bytes | str) -> str:
    data = content.encode() if isinstance(content, str) else content
    return "sha256:" + hashlib.sha256(data).hexdigest()


def busybox_tar(marker: str) -> bytes:
    """An uncompressed root with a static busybox, `/bin/sh` and a file that says `marker`."""
    program = BUSYBOX.read_bytes() if BUSYBOX.exists() else b""
    if not _is_static(program):
        pytest.skip("not installed: busybox-static (`make test-all` installs it where it can)")
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        _add_file(tar, "bin/busybox", program, mode=0o755)
        for applet in ("sh", "cat", "echo"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        _add_file(tar, "marker", marker.encode() + b"\n", mode=0o644)
    return target.getvalue()


def _is_static(program: bytes) -> bool:
    """Whether a 64-bit ELF program asks for no interpreter (no PT_INTERP segment)."""
    if program[:5] != b"\x7fELF\x02":
        return False
    start = int.from_bytes(program[32:40], "little")
    size = int.from_bytes(program[54:56], "little")
    count = int.from_bytes(program[56:58], "little")
    kinds = [program[at : at + 4] for at in range(start, start + size * count, size)]
    return (3).to_bytes(4, "little") not in kinds


def _add_file(tar: tarfile.TarFile, name: str, content: bytes, *, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


class LayoutWriter:
    """Writes blobs and the two files that make a folder an OCI layout."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "blobs" / "sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def blob(self, media_type: str, content: bytes) -> dict[str, Any]:
        digest = digest_of(content)
        (self._folder / "blobs" / "sha256" / digest.removeprefix("sha256:")).write_bytes(content)
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def document(self, media_type: str, value: Mapping[str, Any]) -> dict[str, Any]:
        text = json.dumps(value, separators=(",", ":"), sort_keys=True)
        return self.blob(media_type, text.encode())

    def image(self, tar: bytes, *, architecture: str = "amd64") -> dict[str, Any]:
        """Write one image of one layer; answer its descriptor with its platform."""
        layer = self.blob(LAYER, gzip.compress(tar, compresslevel=1, mtime=0))
        config = self.document(
            CONFIG,
            {
                "architecture": architecture,
                "os": "linux",
                "created": "2024-01-01T00:00:00Z",
                "config": {"Cmd": ["/bin/cat", "/marker"], "Env": ["PATH=/bin"]},
                "rootfs": {"type": "layers", "diff_ids": [digest_of(tar)]},
                "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "blackbox"}],
            },
        )
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}
        platform = {"architecture": architecture, "os": "linux"}
        return self.document(MANIFEST, manifest) | {"platform": platform}

    def index(self, images: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        value = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(images)}
        return self.document(INDEX, value)

    def named(self, descriptor: Mapping[str, Any], tag: str) -> Layout:
        annotations = {"org.opencontainers.image.ref.name": tag}
        entry = {**descriptor, "annotations": annotations}
        top = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
        (self._folder / "index.json").write_text(json.dumps(top))
        return Layout(self._folder, tag, str(descriptor["digest"]))


def small_image(folder: Path, marker: str) -> Layout:
    """An image for this machine's usual architecture, about 1 MB compressed."""
    writer = LayoutWriter(folder)
    return writer.named(writer.image(busybox_tar(marker)), "v1")


def two_architectures(folder: Path, marker: str) -> Layout:
    """An index of an amd64 and an arm64 image that share no layer."""
    writer = LayoutWriter(folder)
    images = [
        writer.image(busybox_tar(f"{marker} {name}"), architecture=name)
        for name in ("amd64", "arm64")
    ]
    return writer.named(writer.index(images), "v1")


def layout_archive(layout: Layout, path: Path) -> Path:
    """The layout as one tar file, as containerd imports it."""
    with tarfile.open(path, "w") as tar:
        for name in ("oci-layout", "index.json", "blobs"):
            tar.add(layout.folder / name, name)
    return path
