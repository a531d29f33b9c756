"""A deployment in a folder, and our commands on it."""

import json
import os

import pytest
import structlog
from click.testing import CliRunner

from entrepot.cli.main import cli


class Commands:
    """Runs commands in this process, on one data folder."""

    def __init__(self, folder, environment):
        self.folder = folder
        self.environment = environment
        self.runner = CliRunner()

    def __call__(self, *arguments, stdin=None):
        """The result of a command, whatever came of it."""
        return self.runner.invoke(cli, arguments, env=self.environment, input=stdin)

    def ok(self, *arguments, stdin=None):
        """Standard output of a command that must succeed."""
        result = self(*arguments, stdin=stdin)
        assert result.exit_code == 0, (arguments, result.output, result.exception)
        return result.stdout

    def json(self, *arguments):
        """What a command that must succeed prints as JSON."""
        return json.loads(self.ok(*arguments, "--json"))

    def refused(self, *arguments, stdin=None):
        """The one line on standard error of a command that must fail."""
        result = self(*arguments, stdin=stdin)
        assert result.exit_code == 1, (arguments, result.output)
        assert isinstance(result.exception, SystemExit)
        (line,) = result.stderr.splitlines()
        return line


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Commands on a deployment whose first start is over."""
    for name in [name for name in os.environ if name.startswith("ENTREPOT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    found = Commands(tmp_path, {"ENTREPOT_DATA": str(tmp_path / "data")})
    found.ok("tenant", "list")
    yield found
    structlog.reset_defaults()
