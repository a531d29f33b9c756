"""The log of this process, written to a pipe that the test reads."""

import json
import logging
import os
import warnings

import pytest
import structlog

from entrepot.telemetry.logs import LOG, open_log


class Captured:
    """What was logged. Reading ends the log, so that nothing is missed."""

    def __init__(self, fd):
        self._fd = fd

    def raw(self):
        LOG.close()
        with os.fdopen(self._fd, "rb") as pipe:
            return pipe.read()

    def lines(self):
        return [json.loads(line) for line in self.raw().splitlines()]


@pytest.fixture
def captured():
    """`captured(level=…, console=…)` opens the log."""
    root, show, level = logging.getLogger(), warnings.showwarning, LOG.threshold
    handlers, root_level = root.handlers[:], root.level
    writing = []

    def opened(level="info", console=False):
        reading, end = os.pipe()
        os.set_blocking(end, True)
        writing.append(end)
        open_log(level, process="test", console=console, fd=end)
        found = Captured(reading)
        read = found.raw

        def raw():
            LOG.close()
            os.close(writing.pop())
            return read()

        found.raw = raw
        return found

    yield opened
    LOG.close()
    LOG.threshold = level
    for end in writing:
        os.close(end)
    logging.captureWarnings(False)
    warnings.showwarning = show
    root.handlers[:] = handlers
    root.setLevel(root_level)
    logging.getLogger("entrepot").setLevel(logging.NOTSET)
    structlog.reset_defaults()
