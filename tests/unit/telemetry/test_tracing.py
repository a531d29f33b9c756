"""Traces: off by default and weightless then, refused clearly without the extra, spans where it is there."""

import importlib.util
import subprocess
import sys

import pytest

from entrepot.config import Settings
from entrepot.config.tree import Tracing
from entrepot.config.types import Url
from entrepot.model.errors import ValueInvalid
from entrepot.telemetry.tracing import open_tracer

HAS_EXTRA = importlib.util.find_spec("opentelemetry") is not None


def test_without_an_endpoint_nothing_of_opentelemetry_is_imported():
    program = (
        "import sys\n"
        "from entrepot.config import Settings\n"
        "from entrepot.telemetry import Telemetry\n"
        "assert Telemetry(Settings()).tracer is None\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.skipif(HAS_EXTRA, reason="the extra is installed")
def test_an_endpoint_without_the_extra_says_what_to_install():
    settings = Settings(tracing=Tracing(endpoint=Url("http://127.0.0.1:4318")))

    with pytest.raises(ValueInvalid) as found:
        open_tracer(settings, process="server-0")
    assert found.value.field == "tracing.endpoint"
    assert "entrepot[tracing]" in found.value.reason


@pytest.mark.skipif(not HAS_EXTRA, reason="needs the extra `tracing`")
def test_a_request_becomes_a_span_with_its_times_and_its_parent():
    import http.server  # noqa: PLC0415
    import threading  # noqa: PLC0415

    from entrepot.http.messages import Request  # noqa: PLC0415

    got = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        endpoint = Url(f"http://127.0.0.1:{server.server_port}")
        tracer = open_tracer(Settings(tracing=Tracing(endpoint=endpoint)), process="server-0")
        assert tracer is not None
        parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        headers = [(b"traceparent", parent), (b"authorization", b"Bearer s3cr3t")]
        scope = {"method": "GET", "raw_path": b"/v2/", "path": "", "headers": headers}
        request = Request({**scope, "client": None}, None, request_id="r1")
        tracer.request(request, "base", status=200, size=2, seconds=0.5)
        tracer.task("gc", task=1, outcome="failed", seconds=1.0)
        tracer.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    ((path, body), *_) = got
    assert path == "/v1/traces"
    assert bytes.fromhex("0af7651916cd43dd8448eb211c80319c") in body
    assert b"GET base" in body
    assert b"s3cr3t" not in body
