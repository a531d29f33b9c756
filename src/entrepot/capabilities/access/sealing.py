"""Sealing of what must be recovered: secret keys, signing keys, peers' credentials.

AES-256-GCM under a master key that lives outside the data folder and outside backups: in a file only its owner can read, or behind a
command. Both hold keys as lines of 64 hex digits, newest first: the first seals, all open. `#` begins a comment.

A sealed value is: version 1, eight bytes of the key's SHA-256, a nonce of twelve, the ciphertext with its tag. The context (what
the value is of) is authenticated with it, so that a sealed value cannot be moved to another row.
"""

import fcntl
import hashlib
import os
import re
import secrets
import shlex
import stat
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION: Final = b"\x01"
_KEY_LINE: Final = re.compile(r"[0-9a-fA-F]{64}")
_MAX_FILE: Final = 64 * 1024
_MAX_KEYS: Final = 64
_COMMAND_SECONDS: Final = 30
_HEADER: Final = 1 + 8


class MasterKeyUnusable(Exception):
    """There is no usable master key; the text says why and what to do. Nothing can start without it."""


class SealBroken(Exception):
    """A sealed value cannot be opened: another context, another or a removed key, or damage."""


@dataclass(frozen=True, slots=True, repr=False)
class Sealer:
    """Seals and opens. Safe to share among threads."""

    newest: bytes  # id of the key that seals
    ciphers: Mapping[bytes, AESGCM]

    @classmethod
    def of(cls, keys: "MasterKeys") -> "Sealer":
        """A sealer with these keys."""
        ids = [hashlib.sha256(key).digest()[:8] for key in keys.keys]
        return cls(ids[0], {i: AESGCM(key) for i, key in zip(ids, keys.keys, strict=True)})

    def seal(self, value: bytes, context: str) -> bytes:
        """Seal with the newest key. `context` names what the value is of: `access-key:AKID…`."""
        nonce = secrets.token_bytes(12)
        header = _VERSION + self.newest
        cipher = self.ciphers[self.newest]
        return header + nonce + cipher.encrypt(nonce, value, header + context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """What was sealed under this context. Raises SealBroken."""
        header, nonce, body = (
            sealed[:_HEADER],
            sealed[_HEADER : _HEADER + 12],
            sealed[_HEADER + 12 :],
        )
        cipher = self.ciphers.get(header[1:])
        if header[:1] != _VERSION or cipher is None or len(nonce) != 12:
            raise SealBroken("sealed with a master key that is not here")
        try:
            return cipher.decrypt(nonce, body, header + context.encode())
        except InvalidTag as error:
            raise SealBroken("the sealed value is damaged, or of something else") from error

    def is_newest(self, sealed: bytes) -> bool:
        """Whether the value needs no resealing after a rotation."""
        return sealed[:_HEADER] == _VERSION + self.newest

    def reseal(self, sealed: bytes, context: str) -> bytes:
        """The same value under the newest key; unchanged where it is already. Raises SealBroken."""
        if self.is_newest(sealed):
            return sealed
        return self.seal(self.open(sealed, context), context)


@dataclass(frozen=True, slots=True)
class MasterKeys:
    """Master keys, newest first; at least one."""

    keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def parse(cls, text: str, origin: str) -> "MasterKeys":
        """Lines of 64 hex digits. Raises MasterKeyUnusable, naming the line and never its content."""
        keys: list[bytes] = []
        for number, line in enumerate(text.splitlines(), 1):
            word = line.partition("#")[0].strip()
            if not word:
                continue
            if not _KEY_LINE.fullmatch(word):
                raise MasterKeyUnusable(f"{origin}, line {number}: expected 64 hex digits")
            keys.append(bytes.fromhex(word))
        if not 1 <= len(keys) <= _MAX_KEYS:
            raise MasterKeyUnusable(f"{origin}: expected 1 to {_MAX_KEYS} keys, found {len(keys)}")
        return cls(tuple(dict.fromkeys(keys)))


def load_master_keys(*, key_file: Path, key_command: str, data_folder: Path) -> MasterKeys:
    """From the command if there is one, else from the file, which is made at first use. Blocks. Raises MasterKeyUnusable."""
    if key_command:
        return _from_command(key_command)
    if key_file.resolve().is_relative_to(data_folder.resolve()):
        raise MasterKeyUnusable(
            f"the master key {key_file} must not be in the data folder: a copy of the one would give away the other"
        )
    with suppress(FileExistsError):
        _create(key_file)
    return _from_file(key_file)


def rotate_master_key(key_file: Path) -> MasterKeys:
    """Put a new key before the others, atomically. Blocks. Running processes must be restarted before anything is resealed."""
    present = _from_file(key_file)
    keys = MasterKeys((secrets.token_bytes(32), *present.keys))
    temporary = _write_beside(key_file, "".join(f"{key.hex()}\n" for key in keys.keys))
    temporary.replace(key_file)
    _sync_folder(key_file.parent)
    return keys


def _from_file(path: Path) -> MasterKeys:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise MasterKeyUnusable(f"cannot read the master key {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise MasterKeyUnusable(f"the master key {path} is no file")
        if mode & 0o077:
            raise MasterKeyUnusable(
                f"others can read or change the master key {path}: make it `chmod 600`"
            )
        data = file.read(_MAX_FILE)
    return MasterKeys.parse(data.decode("ascii", "replace"), str(path))


def _from_command(command: str) -> MasterKeys:
    try:
        words = shlex.split(command)
        # The command is the operator's own setting, run without a shell.
        done = subprocess.run(  # noqa: S603
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise MasterKeyUnusable(f"data.key_command did not run: {type(error).__name__}") from None
    if done.returncode != 0:
        raise MasterKeyUnusable(f"data.key_command ended with status {done.returncode}")
    text = done.stdout[:_MAX_FILE].decode("ascii", "replace")
    return MasterKeys.parse(text, "output of data.key_command")


def _create(path: Path) -> None:
    """Make the file with a new key, complete or not at all; FileExistsError where it is there already.

    It has one other name while it is unfinished, so a start that is killed leaves nothing that the next does not take over. Who
    waited for the lock looks again: what it opened may be the finished file by now.
    """
    unfinished = path.with_name(f".{path.name}.new")
    if path.exists():
        raise FileExistsError(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(unfinished, flags, 0o600), "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if path.exists():
                unfinished.unlink(missing_ok=True)
                return
            file.truncate(0)
            file.write(f"{secrets.token_hex(32)}\n")
            file.flush()
            os.fsync(file.fileno())
            os.rename(unfinished, path)  # noqa: PTH104  (beside the other calls)
        _sync_folder(path.parent)
    except OSError as error:
        raise MasterKeyUnusable(f"cannot make the master key {path}: {error.strerror}") from error


def _write_beside(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(temporary, flags, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return temporary


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
