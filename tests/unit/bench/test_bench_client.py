"""The client that logs in and pushes fixtures, against a small server that challenges as the token specification says."""

import base64
import json
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from bench.client import Client, digest_of
from bench.httpline import BadAnswer
from bench.load.jobs import Target


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        place, state = urlsplit(self.path), self.server.state
        if place.path == "/v2/":
            realm = f"http://{self.headers['Host']}/service/token"
            challenge = f'Bearer realm="{realm}",service="here"'
            self._answer(401, WWW_Authenticate=challenge)
        elif place.path == "/service/token":
            state["asked"].append((self.headers["Authorization"], parse_qs(place.query)))
            if state["refusals"]:
                state["refusals"] -= 1
                self._answer(429, Retry_After="0")
            else:
                self._answer(200, json.dumps({"token": f"t{len(state['asked'])}"}).encode())
        elif place.path == "/closes":
            self._answer(200, b"bye")
            self.close_connection = True
        else:
            self._answer(200, b"x" * 3_000_000)

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as started:
        started.state = {"asked": [], "refusals": 0}
        threading.Thread(target=started.serve_forever, args=(0.02,), daemon=True).start()
        yield started
        started.shutdown()


@pytest.fixture
def client(server):
    with closing(Client(Target("127.0.0.1", server.server_port), "root", "secret")) as made:
        yield made


def test_a_token_is_asked_for_where_the_challenge_says_with_basic_service_and_scope(server, client):
    assert client.authorization("bench/image", "pull") == "Bearer t1"
    ((basic, query),) = server.state["asked"]
    assert base64.b64decode(basic.removeprefix("Basic ")) == b"root:secret"
    assert query == {"service": ["here"], "scope": ["repository:bench/image:pull"]}


def test_tokens_of_requests_are_kept_for_each_repository(server, client):
    first = client.headers("a", {"Accept": "x"})
    assert first == {"Accept": "x", "Authorization": "Bearer t1"}
    assert client.headers("a", {})["Authorization"] == "Bearer t1"
    assert client.headers("b", {})["Authorization"] == "Bearer t2"


def test_a_login_told_to_wait_is_repeated_and_counted(server, client):
    server.state["refusals"] = 2
    assert client.authorization("a") == "Bearer t3"
    assert client.throttled == 2


def test_a_login_refused_for_good_is_an_error(server, client):
    server.state["refusals"] = 1000
    with pytest.raises(BadAnswer, match="429"):
        client.authorization("a")


def test_a_large_body_is_hashed_and_counted(client):
    fetched = client.fetch("/large", {})
    assert (fetched.status, fetched.size) == (200, 3_000_000)
    assert fetched.digest == digest_of(b"x" * 3_000_000)


def test_a_kept_connection_that_the_server_closed_is_made_anew_and_counted(client):
    assert client.send("GET", "/closes", {}).body == b"bye"
    assert client.send("GET", "/closes", {}).body == b"bye"
    assert client.reconnects == 1
