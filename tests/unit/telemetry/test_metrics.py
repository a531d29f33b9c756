"""Counting, reporting, adding up, showing."""

import asyncio
import os
import subprocess
import sys
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from entrepot.config import Settings
from entrepot.http.messages import Request
from entrepot.telemetry import Telemetry
from entrepot.telemetry.catalog import FAMILIES, Kind
from entrepot.telemetry.exposition import added_up, exposition
from entrepot.telemetry.metrics import Metrics, Sample, Times
from entrepot.telemetry.reporter import Reporter
from entrepot.telemetry.reports import ReportFile, read_report, read_reports
from entrepot.telemetry.requests import endpoint_of


def values_of(text):
    """Sample name and labels -> value."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def reported(folder, process, metrics):
    file = ReportFile(folder, process, "1")
    file.write(metrics.take())
    file.close()


def test_counters_and_histograms_are_added_up_over_processes_and_gauges_are_not(tmp_path):
    for number, process in enumerate(["server-0", "server-1"], start=1):
        metrics = Metrics()
        metrics.count("logins", "good", by=number)
        metrics.observe("job_seconds", "gc", seconds=0.05 * number)
        metrics.sample(lambda n=number, p=process: [Sample("connections", 10 * n, (p,))])
        reported(tmp_path, process, metrics)

    found = values_of(exposition(added_up(read_reports(tmp_path))))

    assert found["entrepot_logins_total", ("outcome", "good")] == 3
    assert found["entrepot_job_seconds_count", ("kind", "gc")] == 2
    assert found["entrepot_job_seconds_sum", ("kind", "gc")] == pytest.approx(0.15)
    assert found["entrepot_job_seconds_bucket", ("kind", "gc"), ("le", "0.1")] == 2
    assert found["entrepot_connections", ("process", "server-0")] == 10
    assert found["entrepot_connections", ("process", "server-1")] == 20


def test_a_process_that_starts_again_takes_its_counters_on(tmp_path):
    first = Metrics()
    first.count("logins", "good", by=5)
    first.observe("job_seconds", "gc", seconds=1)
    reported(tmp_path, "server-0", first)
    second = Metrics()
    second.count("logins", "good", by=2)
    file = ReportFile(tmp_path, "server-0", "1")
    file.write(second.take())
    file.write(second.take())
    file.close()

    found = values_of(exposition(added_up(read_reports(tmp_path))))
    assert found["entrepot_logins_total", ("outcome", "good")] == 7
    assert found["entrepot_job_seconds_count", ("kind", "gc")] == 1


def test_a_dead_process_keeps_its_counters_and_loses_its_gauges(tmp_path):
    program = (
        "import pathlib, sys\n"
        "from entrepot.telemetry.metrics import Metrics, Sample\n"
        "from entrepot.telemetry.reports import ReportFile\n"
        "m = Metrics()\n"
        "m.count('logins', 'good')\n"
        "m.sample(lambda: [Sample('connections', 9, ('server-0',))])\n"
        "ReportFile(pathlib.Path(sys.argv[1]), 'server-0', '1').write(m.take())\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)

    found = values_of(exposition(added_up(read_reports(tmp_path))))
    assert found["entrepot_logins_total", ("outcome", "good")] == 1
    assert found["entrepot_up", ("process", "server-0")] == 0
    assert ("entrepot_connections", ("process", "server-0")) not in found


def test_a_process_that_reports_no_more_is_not_up(tmp_path, monkeypatch):
    reported(tmp_path, "server-0", Metrics())
    (report,) = read_reports(tmp_path)
    assert report.is_alive

    later = time.time() + 60
    monkeypatch.setattr("entrepot.telemetry.reports.time.time", lambda: later)
    assert not report.is_alive


def test_a_broken_or_foreign_report_is_left_out(tmp_path):
    reported(tmp_path, "server-0", Metrics())
    good = (tmp_path / "server-0").read_bytes()
    (tmp_path / "cut").write_bytes(good[:-10])
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "changed").write_bytes(good.replace(b"server-0", b"server-9"))

    assert [report.process for report in read_reports(tmp_path)] == ["server-0"]
    assert read_report(tmp_path / "absent") is None


def test_a_process_killed_while_it_writes_loses_a_second_and_no_more(tmp_path):
    metrics = Metrics()
    file = ReportFile(tmp_path, "server-0", "1")
    ends = []
    for _ in range(3):
        metrics.count("logins", "good")
        file.write(metrics.take())
        ends.append((tmp_path / "server-0").stat().st_size)
    file.close()
    with (tmp_path / "server-0").open("r+b") as torn:  # the third stands over the first
        torn.seek(ends[0] // 2)
        torn.write(b"\0" * 40)

    assert ReportFile(tmp_path, "server-0", "1").before.counters["logins", ("good",)] == 2
    successor = ReportFile(tmp_path, "server-0", "1")
    successor.write(Metrics().take())
    successor.close()
    (report,) = read_reports(tmp_path)
    assert report.totals().counters["logins", ("good",)] == 2


def test_a_shorter_report_over_a_longer_one_is_read_right(tmp_path):
    long, short = Metrics(), Metrics()
    for number in range(200):
        long.count("job_results", "kind", f"name{number}")
    file = ReportFile(tmp_path, "server-0", "1")
    file.write(long.take())
    file.write(short.take())
    file.close()

    report = read_report(tmp_path / "server-0")
    assert report is not None
    assert report.counters == []


def test_reports_read_while_they_are_written_are_never_wrong(tmp_path):
    metrics = Metrics()
    file = ReportFile(tmp_path, "server-0", "1")
    reading, writing = os.pipe()
    program = (
        "import pathlib, sys\n"
        "from entrepot.telemetry.reports import read_report\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "print('begin', flush=True)\n"
        "for _ in range(100):\n"
        "    r = read_report(path)\n"
        "    assert r is None or len({v for _, _, v in r.counters}) <= 1, r\n"
    )
    metrics.count("logins", "a")
    file.write(metrics.take())
    reader = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "server-0")], stdout=writing
    )
    os.read(reading, 6)
    while reader.poll() is None:
        for name in ("a", "b", "c", "d", "e", "f"):
            metrics.count("logins", name)
        totals = metrics.take()
        highest = max(totals.counters.values())
        totals.counters = dict.fromkeys(totals.counters, highest)
        file.write(totals)
    file.close()
    os.close(reading)
    os.close(writing)
    assert reader.returncode == 0


def test_every_family_of_the_catalog_is_shown_with_its_help():
    shown = {
        family.name
        for family in text_string_to_metric_families(exposition(Metrics().take()).decode())
    }

    assert shown == {f"entrepot_{name}" for name in FAMILIES}


def test_a_histogram_of_other_bounds_starts_anew_instead_of_mixing():
    totals = Metrics().take()
    totals.add_times(("job_seconds", ("gc",)), Times([1.0, 2.0], 3.0))
    totals.add_times(("job_seconds", ("gc",)), Times([1.0, 1.0, 1.0], 1.0))

    assert totals.histograms["job_seconds", ("gc",)].buckets == [1.0, 1.0, 1.0]


DIGEST = b"sha256:" + b"a" * 64


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        (b"/v2/", "base"),
        (b"/v2/_catalog", "catalog"),
        (b"/v2/a/b/manifests/latest", "manifest"),
        (b"/v2/a/b/blobs/" + DIGEST, "blob"),
        (b"/v2/a/blobs/uploads/", "upload"),
        (b"/v2/a/blobs/uploads/0123", "upload"),
        (b"/v2/a/tags/list", "tags"),
        (b"/v2/a/referrers/" + DIGEST, "referrers"),
        (b"/v2/manifests/blobs/" + DIGEST, "blob"),
        (b"/service/token", "token"),
        (b"/healthz", "health"),
        (b"/api/v1/tenants", "api"),
        (b"/v2/x", "other"),
        (b"/v2", "other"),
        (b"", "other"),
        (b"/favicon.ico", "other"),
    ],
)
def test_an_endpoint_is_known_by_its_path(path, endpoint):
    assert endpoint_of(path)[1] == endpoint


def observed(telemetry, method, path, status, **rest):
    scope = {"method": method, "raw_path": path, "path": "", "headers": [], "client": None}
    request = Request(scope, None, request_id="x")
    request.received = rest.pop("received", 0)
    telemetry.observe(request, status=status, size=rest.get("size", 0), seconds=0.003)


def test_requests_are_counted_by_what_they_were(captured):
    captured("error")
    telemetry = Telemetry(Settings())
    observed(telemetry, "GET", b"/v2/a/b/manifests/1", 200, size=100)
    observed(telemetry, "HEAD", b"/v2/a/b/manifests/1", 200)
    observed(telemetry, "PUT", b"/v2/a/b/manifests/1", 201, received=500)
    observed(telemetry, "PUT", b"/v2/a/b/blobs/uploads/1", 201, received=1000)
    observed(telemetry, "GET", b"/v2/a/b/blobs/sha256:0", 206, size=7)
    observed(telemetry, "GET", b"/service/token", 429)
    observed(telemetry, "GET", b"/v2/a/b/manifests/1", 404)

    found = values_of(exposition(telemetry.metrics.take()))
    assert found["entrepot_manifests_pulled_total",] == 1
    assert found["entrepot_manifests_pushed_total",] == 1
    assert found["entrepot_blobs_pushed_total",] == 1
    assert found["entrepot_blobs_pulled_total",] == 1
    assert found["entrepot_throttled_total", ("endpoint", "token")] == 1
    assert found["entrepot_received_bytes_total", ("endpoint", "upload")] == 1000
    assert found["entrepot_sent_bytes_total", ("endpoint", "manifest")] == 100


def test_no_client_can_make_metrics_without_end(captured):
    captured("error")
    telemetry = Telemetry(Settings())
    for number in range(1000):
        observed(telemetry, f"M{number}", b"/v2/x/%d" % number, 405)
        observed(telemetry, "GET", b"/%d" % number, 404)

    requests = [key for key in telemetry.metrics.take().counters if key[0] == "requests"]
    assert len(requests) == 2


def test_the_access_line_says_who_asked_for_what_and_never_with_which_credentials(captured):
    log = captured()
    telemetry = Telemetry(Settings())
    headers = [(b"user-agent", b"x\r\ny"), (b"authorization", b"Basic c2VjcmV0OnNlY3JldA==")]
    scope = {
        "method": "GET",
        "raw_path": b"/v2/a\x1b/manifests/1",
        "query_string": b"password=secret",
        "path": "",
        "headers": headers,
        "client": ("10.0.0.1", 5),
    }
    telemetry.observe(Request(scope, None, request_id="r1"), status=200, size=5, seconds=0.1)

    raw = log.raw()
    assert b"secret" not in raw
    assert b"c2VjcmV0" not in raw
    assert raw.count(b"\n") == 1
    assert b'"request_id":"r1"' in raw
    assert b'"client":"10.0.0.1"' in raw


@pytest.mark.parametrize(
    ("level", "paths"),
    [
        ("debug", [b"/v2/", b"/healthz", b"/bad"]),
        ("info", [b"/v2/", b"/bad"]),
        ("warning", [b"/bad"]),
        ("error", [b"/bad"]),
    ],
)
def test_the_level_says_which_requests_are_written(captured, level, paths):
    log = captured(level)
    telemetry = Telemetry(Settings())
    observed(telemetry, "GET", b"/v2/", 200)
    observed(telemetry, "GET", b"/healthz", 200)
    observed(telemetry, "GET", b"/bad", 500)

    assert [line["path"].encode() for line in log.lines()] == paths


def test_a_reporter_writes_at_its_end_and_follows_the_operators_level(tmp_path, captured):
    captured("info")
    from entrepot.telemetry.logs import LOG  # noqa: PLC0415

    metrics = Metrics()
    level = tmp_path / "log-level"
    level.write_text("debug\n")

    async def scenario():
        reporter = Reporter(metrics, tmp_path / "reports", "server-0", level_file=level)
        running = asyncio.create_task(reporter.run())
        await asyncio.sleep(0.1)
        seen = LOG.level
        level.unlink()
        metrics.count("logins", "good")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return seen

    assert asyncio.run(scenario()) == "debug"
    assert LOG.level == "info"
    (report,) = read_reports(tmp_path / "reports")
    assert ("logins", ("good",), 1.0) in report.counters
    assert any(name == "resident_memory_bytes" and value > 1e6 for name, _, value in report.gauges)


def test_names_follow_the_conventions():
    for family in FAMILIES.values():
        assert family.help.endswith(".")
        assert (family.kind is Kind.HISTOGRAM) == bool(family.bounds)
        assert not family.name.endswith("_total")
