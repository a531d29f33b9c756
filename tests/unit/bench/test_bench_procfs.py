"""Reading /proc: the fields that we count on, and the processes that belong to a server."""

import os
import subprocess
import sys

from bench import procfs

_REST = "S 7 42 42 0 -1 4194560 100 200 0 0 11 22 33 44 20 0 1 0 5 1000 25 18446744073709551615"


def _stat(pid, parent, session):
    return procfs.Stat(pid=pid, parent=parent, session=session, cpu_ticks=0, resident_pages=0)


def test_a_stat_line_is_read_by_its_last_parenthesis():
    found = procfs.parse_stat(f"99 (odd) name (x)) {_REST}")
    assert found == procfs.Stat(pid=99, parent=7, session=42, cpu_ticks=110, resident_pages=25)


def test_pss_is_read_in_bytes_and_absent_is_nothing():
    assert procfs.parse_pss("Rss:  900 kB\nPss:  123 kB\nPss_Anon: 5 kB\n") == 123 * 1024
    assert procfs.parse_pss("") == 0


def test_a_tree_is_descendants_of_any_depth_and_whoever_is_in_the_session():
    table = [
        _stat(1, 0, 1),
        _stat(10, 1, 10),
        _stat(11, 10, 10),
        _stat(12, 11, 12),  # a grandchild with a session of its own
        _stat(13, 1, 10),  # orphaned, but in the session
        _stat(20, 1, 20),
    ]
    assert [stat.pid for stat in procfs.members(table, 10)] == [10, 11, 12, 13]


def test_a_process_that_works_is_seen_working_and_holding_memory():
    program = "x = bytearray(64 << 20)\nwhile True: pass"
    child = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    try:
        with procfs.MemoryPeak(child.pid, interval_seconds=0.01) as memory:
            while procfs.cpu_seconds(child.pid) < 0.2:
                pass
        assert memory.peak.rss_max >= 64 << 20
        assert memory.peak.processes == 1
        assert procfs.leads(child.pid, child.pid)
        assert not procfs.leads(os.getpid(), child.pid)
    finally:
        child.kill()
        child.wait()
    assert procfs.tree(child.pid) == []


def test_busy_time_leaves_out_idle_waiting_and_guests_that_are_counted_twice():
    text = "cpu  10 20 30 4000 500 6 7 8 9 9\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
    assert procfs.parse_busy_ticks(text) == 10 + 20 + 30 + 6 + 7 + 8
