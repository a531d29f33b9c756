"""Lists of the SWR API, as its SDK asks for them: which page a line reads, and what it must hold."""

import json
from dataclasses import dataclass

from bench.fixtures import NAMESPACE
from bench.httpline import BadAnswer
from bench.servers import Server
from bench.signed import Signer, swr_request

_PAGE = {"api-swr-tags": 20, "api-swr-repositories": 20}
_MANY = "many"


@dataclass(frozen=True, slots=True)
class Listed:
    """A page: `rows` of `total`, from `offset`."""

    path: str
    offset: int
    rows: int
    total: int

    @property
    def query(self) -> dict[str, str]:
        """Repositories want a filter."""
        window = {"limit": str(self.rows), "offset": str(self.offset)}
        if "/tags" in self.path:
            return window
        return {
            "filter": "|".join(f"{k}::{v}" for k, v in {"namespace": NAMESPACE, **window}.items())
        }


def listed(name: str, tags: int, repositories: int) -> Listed:
    """The page that the line `name` reads."""
    rows = _PAGE.get(name, 100)
    if name == "api-swr-repositories":
        return Listed("/v2/manage/repos", 0, rows, repositories)
    offset = {"swr-tags-middle": tags // 2, "swr-tags-last": tags - rows}.get(name, 0)
    return Listed(f"/v2/manage/namespaces/{NAMESPACE}/repos/{_MANY}/tags", offset, rows, tags)


def probed(server: Server, signer: Signer, page: Listed) -> tuple[str, int]:
    """The request, asked once: it and the length of its answer. BadAnswer if that is not the page."""
    request = swr_request(signer, page.path, page.query)
    head, *lines = request.split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if line)
    reply = server.client().send("GET", head.split()[1], headers)
    if reply.status != 200:
        raise BadAnswer(f"{page.path}: {reply.status} {reply.body[:300]!r}")
    body, said = reply.body, reply.headers["content-range"]
    expected = f"{page.offset}-{page.rows}/{page.total}"  # as the vendor counts
    if len(json.loads(body)) != page.rows or said != expected:
        raise BadAnswer(f"{page.path}: {len(json.loads(body))} rows, {said} for {expected}")
    return request, len(body)
