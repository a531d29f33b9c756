"""Requests and answers: framing, keep-alive, pipelining, HEAD, interim answers."""

import asyncio
import time

import pytest
from server_harness import Reader, Running, Serve, echo

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def answering(status=200, headers=(), bodies=(b"",)):
    """An application that always answers this, without reading the request."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for number, body in enumerate(bodies, 1):
            await send(
                {"type": "http.response.body", "body": body, "more_body": number < len(bodies)}
            )

    return app


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("loop_name", ["uvloop", "asyncio"])
def test_a_connection_serves_one_request_after_the_other(serve: Serve, tls, loop_name):
    run = serve(echo, tls=tls, loop_name=loop_name)

    with Reader(run.connect()) as reader:
        for number in range(20):
            body = b"x" * number * 5000
            head = f"PUT /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
            reader.sock.sendall(head.encode() + body)
            answer = reader.answer()
            assert answer.status == 200
            assert answer.body == f"PUT /{number} ".encode() + body
    assert run.errors == []


def test_every_answer_names_date_and_server(serve: Serve):
    run = serve(echo)

    with Reader(run.connect()) as reader:
        reader.sock.sendall(GET)
        headers = reader.answer().headers

    assert headers["server"] == "entrepot"
    sent = time.mktime(time.strptime(headers["date"], "%a, %d %b %Y %H:%M:%S GMT"))
    assert abs(sent - time.mktime(time.gmtime())) < 5
    assert "connection" not in headers
