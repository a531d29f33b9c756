"""The OCI client: RemoteRegistry over HTTP (distribution-spec 1.1; end-2 to end-11)."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import httpx

from entrepot.model.errors import ValueInvalid
from entrepot.model.outbound import AddressForbidden
from entrepot.model.syncing import RemoteAltered, RemoteUnavailable
from entrepot.oci.descriptor import MANIFEST_TYPES
from entrepot.oci.digest import Digest, DigestSyntaxError
from entrepot.ports.registry import BlobToSend, ConnectionRules, RegistryAddress, RemoteRegistry
from entrepot.remotes.answers import body_of, failure
from entrepot.remotes.reaching import CheckedTransport, Reach
from entrepot.remotes.requests import Requests, pull_scopes, push_scopes
from entrepot.remotes.sending import Sending

_ACCEPT: Final = ", ".join(sorted(MANIFEST_TYPES))
_MOST_MANIFEST: Final = 4 << 20  # bytes
_MOST_REDIRECTS: Final = 3
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_AGENT: Final = "entrepot-sync"


@asynccontextmanager
async def open_registry(
    address: RegistryAddress, rules: ConnectionRules
) -> AsyncIterator[RemoteRegistry]:
    """A client of the registry; see `ports.registry.RegistryOpener`."""
    base = httpx.URL(address.url)
    if base.scheme not in {"http", "https"} or not base.host:
        raise ValueError("no address of a registry")
    authorities = address.authorities or None
    try:
        context = await asyncio.to_thread(lambda: ssl.create_default_context(cadata=authorities))
    except (ssl.SSLError, ValueError):
        raise ValueInvalid("authorities", "OpenSSL cannot read them") from None
    patience = rules.silence_seconds
    reach = Reach(base.host, rules.forbidden, rules.onward, connect_seconds=rules.connect_seconds)
    client = httpx.AsyncClient(
        transport=CheckedTransport(reach, context=context),
        timeout=httpx.Timeout(patience, connect=rules.connect_seconds, pool=None),
        trust_env=False,
        follow_redirects=False,
        headers={"user-agent": _AGENT, "accept-encoding": "identity"},
    )
    async with client:
        yield HttpRegistry(Requests(client, address, base))


class HttpRegistry:
    """RemoteRegistry; what its methods promise is said there."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    # -- manifests ----------------------------------------------------------------------------------------------------

    async def digest_of(self, repository: str, reference: str) -> str | None:
        """By HEAD; where that tells no digest, by reading the document."""
        path = f"/v2/{repository}/manifests/{reference}"
        headers = {"accept": _ACCEPT}
        scopes = pull_scopes(repository)
        for method in ("HEAD", "GET"):
            async with self._requests.ask(
                method, self._requests.url(path), scopes=scopes, headers=headers
            ) as answer:
                if answer.status_code == 404:
                    return None
                if answer.status_code != 200:
                    raise await failure(answer, "look at a manifest")
                told = _digest(answer)
                if told is None and method == "GET":
                    told = str(Digest.of(await body_of(answer, _MOST_MANIFEST)))
                if told is not None:
                    return told
        return None

    async def put_manifest(
        self, repository: str, reference: str, *, media_type: str, payload: bytes
    ) -> None:
        """PUT, and the digest that is answered."""
        algorithm = reference.partition(":")[0] if ":" in reference else "sha256"
        expected = reference if ":" in reference else str(Digest.of(payload))
        async with self._requests.ask(
            "PUT",
            self._requests.url(f"/v2/{repository}/manifests/{reference}"),
            scopes=push_scopes(repository),
            headers={"content-type": media_type, "content-length": str(len(payload))},
            body=lambda: _once(payload),
        ) as answer:
            if answer.status_code not in {201, 202, 200}:
                raise await failure(answer, "store a manifest")
            told = _digest(answer)
        if told is not None and told != expected and told.startswith(algorithm):
            raise RemoteAltered(self._requests.base.host, expected, told)

    # -- blobs --------------------------------------------------------------------------------------------------------

    async def has_blob(self, repository: str, digest: str) -> bool:
        """By HEAD; where it leads elsewhere, by HEAD there, without our credentials. What lies where no answer may lead us is not there:
        it is sent again."""
        try:
            return await self._is_found(repository, digest)
        except AddressForbidden as error:
            if error.host == self._requests.base.host:
                raise
            return False

    async def _is_found(self, repository: str, digest: str) -> bool:
        url = self._requests.url(f"/v2/{repository}/blobs/{digest}")
        scopes = pull_scopes(repository)
        for _ in range(_MOST_REDIRECTS + 1):
            async with self._requests.ask("HEAD", url, scopes=scopes) as answer:
                if answer.status_code in _REDIRECTS:
                    url = self._requests.leads_to(answer)
                    continue
                if self._requests.is_here(url) and answer.status_code not in {200, 404}:
                    raise await failure(answer, "look at a blob")
                return answer.status_code == 200
        raise RemoteUnavailable(self._requests.base.host, "its redirects do not end")

    async def send_blob(
        self, repository: str, blob: BlobToSend, *, sent: Callable[[int], None]
    ) -> bool:
        """See `sending`."""
        return await Sending(self._requests, repository, blob, sent).run()


def _digest(answer: httpx.Response) -> str | None:
    try:
        return str(Digest.parse(answer.headers["docker-content-digest"]))
    except (KeyError, DigestSyntaxError):
        return None


async def _once(payload: bytes) -> AsyncIterator[bytes]:
    yield payload
