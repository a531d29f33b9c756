"""API servers of Kubernetes: a workload is read, and its containers' images are changed by a strategic merge patch.

The patch carries the version that was read, so it never brings back a container that somebody removed meanwhile.
"""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final
from urllib.parse import quote

import httpx
import msgspec

from entrepot.model.syncing import RemoteUnavailable
from entrepot.model.triggers import WorkloadKind
from entrepot.ports.cluster import (
    ClusterAccess,
    ClusterRefused,
    ClusterUnreachable,
    Container,
    Workload,
    WorkloadChange,
    WorkloadMoved,
    WorkloadName,
)
from entrepot.remotes.reaching import CheckedTransport, Reach

RESTARTED: Final = "kubectl.kubernetes.io/restartedAt"  # what `kubectl rollout restart` sets
CALL_SECONDS: Final = 60.0  # a whole call, however slowly the other side goes on
_MOST_BODY: Final = 3 << 20  # bytes; etcd keeps no object of half that size
_MOST_TOLD: Final = 300  # characters of what a server says about a refusal
_PATCH: Final = "application/strategic-merge-patch+json"
_PLURALS: Final = {
    WorkloadKind.DEPLOYMENT: "deployments",
    WorkloadKind.STATEFULSET: "statefulsets",
}


class _Camel(msgspec.Struct, frozen=True, rename="camel"):
    """A part of an object of Kubernetes; what we do not name is passed over."""


class _Container(_Camel, frozen=True):
    name: str
    image: str = ""


class _PodSpec(_Camel, frozen=True):
    containers: tuple[_Container, ...]
    init_containers: tuple[_Container, ...] | None = None


class _Template(_Camel, frozen=True):
    spec: _PodSpec


class _Spec(_Camel, frozen=True):
    template: _Template


class _Metadata(_Camel, frozen=True):
    resource_version: str


class _Object(_Camel, frozen=True):
    metadata: _Metadata
    spec: _Spec


class _Status(_Camel, frozen=True):
    kind: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class KubernetesCluster:
    """See `ports.cluster.ClusterApi`. Each call has a connection of its own."""

    forbidden: tuple[IPv4Network | IPv6Network, ...]
    connect_seconds: float
    silence_seconds: float

    async def workload(self, access: ClusterAccess, name: WorkloadName) -> Workload:
        """GET it."""
        async with self._asked(access, "GET", name) as answer:
            body = await _body(answer)
        try:
            found = msgspec.json.decode(body, type=_Object)
        except msgspec.DecodeError:
            raise ClusterRefused("its answer is no workload") from None
        spec = found.spec.template.spec
        inits = [Container(one.name, one.image, is_init=True) for one in spec.init_containers or ()]
        others = [Container(one.name, one.image) for one in spec.containers]
        return Workload(found.metadata.resource_version, (*inits, *others))

    async def change(
        self, access: ClusterAccess, name: WorkloadName, change: WorkloadChange
    ) -> None:
        """PATCH it."""
        content = msgspec.json.encode(_patch_of(change))
        async with self._asked(access, "PATCH", name, content=content):
            pass

    @asynccontextmanager
    async def _asked(
        self, access: ClusterAccess, method: str, name: WorkloadName, *, content: bytes = b""
    ) -> AsyncIterator[httpx.Response]:
        """A request that succeeded. Raises what the port says."""
        try:
            async with asyncio.timeout(CALL_SECONDS), self._client(access) as client:
                request = _request(client, access, method, name=name, content=content)
                answer = await client.send(request, stream=True)
                try:
                    if answer.status_code != 200:
                        raise await _refusal(answer, access, name)
                    yield answer
                finally:
                    await answer.aclose()
        except RemoteUnavailable as error:
            raise ClusterUnreachable(error.detail) from None
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            raise _failure(error) from None

    @asynccontextmanager
    async def _client(self, access: ClusterAccess) -> AsyncIterator[httpx.AsyncClient]:
        context = await asyncio.to_thread(_context, access)
        home = httpx.URL(access.server).host
        reach = Reach(home, self.forbidden, connect_seconds=self.connect_seconds)
        transport = CheckedTransport(reach, context=context)
        timeout = httpx.Timeout(self.silence_seconds, connect=self.connect_seconds)
        async with httpx.AsyncClient(
            transport=transport, timeout=timeout, trust_env=False, follow_redirects=False
        ) as client:
            yield client


def _request(
    client: httpx.AsyncClient,
    access: ClusterAccess,
    method: str,
    *,
    name: WorkloadName,
    content: bytes,
) -> httpx.Request:
    path = (
        f"/apis/apps/v1/namespaces/{quote(name.namespace, safe='')}"
        f"/{_PLURALS[name.kind]}/{quote(name.name, safe='')}"
    )
    headers = {
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": "entrepot",
    }
    if access.token:
        headers["authorization"] = f"Bearer {access.token}"
    if content:
        headers["content-type"] = _PATCH
        path += "?fieldManager=entrepot"
    extensions = {"sni_hostname": access.tls_name} if access.tls_name else None
    return client.build_request(
        method,
        access.server + path,
        headers=headers,
        content=content or None,
        extensions=extensions,
    )


def _patch_of(change: WorkloadChange) -> Mapping[str, Any]:
    template: dict[str, Any] = {}
    pods = {
        field: [
            {"name": one.name, "image": one.image}
            for one in change.containers
            if one.is_init is is_init
        ]
        for field, is_init in (("containers", False), ("initContainers", True))
    }
    if spec := {field: listed for field, listed in pods.items() if listed}:
        template["spec"] = spec
    if change.restarted_at is not None:
        template["metadata"] = {"annotations": {RESTARTED: change.restarted_at}}
    return {"metadata": {"resourceVersion": change.version}, "spec": {"template": template}}


def _context(access: ClusterAccess) -> ssl.SSLContext:
    """TLS by the cluster's own authorities, and by the machine's only where it names none. Blocks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if access.authorities:
        context.load_verify_locations(cadata=access.authorities)
    else:
        context.load_default_certs()
    if access.certificate:
        # OpenSSL's wrapper loads from files alone: this one lives in memory, until it is closed.
        descriptor = os.memfd_create("entrepot-client", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(access.certificate + access.key)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    return context


# -- answers that are no success --------------------------------------------------------------------------------------


async def _body(answer: httpx.Response) -> bytes:
    taken = bytearray()
    async for piece in answer.aiter_raw(64 * 1024):
        taken += piece
        if len(taken) > _MOST_BODY:
            raise ClusterRefused(f"its answer is longer than {_MOST_BODY} bytes")
    return bytes(taken)


async def _refusal(
    answer: httpx.Response, access: ClusterAccess, name: WorkloadName
) -> ClusterRefused | ClusterUnreachable | WorkloadMoved:
    status = answer.status_code
    if status == 409:
        return WorkloadMoved(name.name)
    if status in {408, 425, 429} or status >= 500:
        return ClusterUnreachable(f"it answered with status {status}")
    told = await _told(answer, access)
    if status == 401:
        return ClusterRefused(f"the kubeconfig's credential is not accepted{told}")
    if status == 403:
        return ClusterRefused(f"the kubeconfig's user may not{told}")
    if status == 404:
        place = f"{name.kind.value} {name.name} in the namespace {name.namespace}"
        return ClusterRefused(f"there is no {place}{told}")
    return ClusterRefused(f"it answered with status {status}{told}")


async def _told(answer: httpx.Response, access: ClusterAccess) -> str:
    """What the API server says about it, shortened and in one line; never our own credential, should it be repeated."""
    try:
        status = msgspec.json.decode(await _body(answer), type=_Status)
    except (msgspec.DecodeError, ClusterRefused):
        return ""
    if status.kind != "Status":
        return ""
    message = status.message
    if access.token:
        message = message.replace(access.token, "***")
    words = "".join(char if char.isprintable() else " " for char in message[:_MOST_TOLD])
    return f": {words}" if words.strip() else ""


def _failure(error: Exception) -> ClusterRefused | ClusterUnreachable:
    """What went wrong on the way. An error's own text may hold parts of URLs, so its type has to do."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ClusterRefused(f"its certificate is not trusted: {cause.verify_message}")
        if isinstance(cause, ConnectionRefusedError):
            return ClusterUnreachable("it refuses connections")
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return ClusterUnreachable("it does not answer in time")
    return ClusterUnreachable(f"the connection failed ({type(error).__name__})")
