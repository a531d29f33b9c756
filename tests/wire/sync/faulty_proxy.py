"""A proxy before a registry that fails as told: what stands between two machines on a bad day."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import uvicorn
from started import free_port
from transport import TLS, trust


class Cut(Exception):
    """The connection ends here."""


@dataclass
class Fault:
    """What goes wrong with the first `times` requests that it is about."""

    about: Callable[[str, str], bool]  # method, path
    times: int = 1
    status: int = 0  # answered by the proxy itself
    headers: dict[str, str] = field(default_factory=dict)  # in place of the answer's
    body: bytes = b""
    cut_after: int | None = None  # bytes of the request's body that go through
    stall_seconds: float = 0.0  # before anything


@dataclass
class Seen:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    taken: int = 0  # bytes of its body


@dataclass
class FaultyProxy:
    """`upstream`: the address of what is behind it; empty: nothing is, every request is a fault's."""

    upstream: str
    host: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    faults: list[Fault] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def fail(self, method: str, part: str, **fault) -> Fault:
        """The next requests of that method whose path has that part in it."""
        made = Fault(lambda m, p: m == method and part in p, **fault)
        self.faults.append(made)
        return made

    def count(self, method: str, part: str = "") -> int:
        return sum(one.method == method and part in one.path for one in self.seen)

    def taken(self) -> int:
        """Bytes of all bodies that came."""
        return sum(one.taken for one in self.seen)

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
        seen = Seen(scope["method"], scope["raw_path"].decode(), headers)
        self.seen.append(seen)
        fault = self._fault(seen)
        if fault.stall_seconds:
            await asyncio.sleep(fault.stall_seconds)
        if fault.status:
            await _drain(receive)
            await _answer(send, fault.status, fault.headers, fault.body)
            return
        await self._pass(scope, receive, send, seen=seen, fault=fault)

    def _fault(self, seen: Seen) -> Fault:
        for fault in self.faults:
            if fault.times > 0 and fault.about(seen.method, seen.path):
                fault.times -= 1
                return fault
        return Fault(lambda *_: True)

    async def _pass(self, scope, receive, send, *, seen: Seen, fault: Fault) -> None:
        async def body():
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Cut
                piece, more = message.get("body", b""), message.get("more_body", False)
                if fault.cut_after is not None and seen.taken + len(piece) > fault.cut_after:
                    yield piece[: fault.cut_after - seen.taken]
                    seen.taken = fault.cut_after
                    raise Cut
                seen.taken += len(piece)
                if piece:
                    yield piece

        query = scope["query_string"].decode()
        url = f"{self.upstream}{seen.path}" + (f"?{query}" if query else "")
        has_body = "content-length" in seen.headers or "transfer-encoding" in seen.headers
        content = body() if has_body else None
        verify = trust() if TLS else False
        async with (
            httpx.AsyncClient(verify=verify, trust_env=False, timeout=60) as client,
            client.stream(seen.method, url, headers=seen.headers, content=content) as answer,
        ):
            told = {k: v for k, v in answer.headers.items() if k != "transfer-encoding"}
            payload = b"".join([piece async for piece in answer.aiter_raw()])
            await _answer(send, answer.status_code, {**told, **fault.headers}, payload)


async def _drain(receive) -> None:
    while (await receive()).get("more_body"):
        pass


async def _answer(send, status: int, headers: dict[str, str], body: bytes) -> None:
    raw = [(k.encode(), v.encode()) for k, v in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def standing(proxy: FaultyProxy) -> Iterator[FaultyProxy]:
    """The proxy, at work on a loop of its own."""
    config = uvicorn.Config(
        proxy, host=proxy.host, port=proxy.port, lifespan="off", log_config=None,
        log_level="critical", loop="asyncio", timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            threading.Event().wait(0.02)
        yield proxy
    finally:
        server.should_exit = True
        thread.join(10)
