"""`entrepot config check` and `show`, and the options that give every command its settings."""

import json
import os
import tomllib

import click
import pytest
from click.testing import CliRunner
from config_problems import file_with

from entrepot.cli.config import config, settings_of, source_options
from entrepot.config import Source, load


def run(source, *arguments):
    return CliRunner().invoke(config, arguments, obj=source)


def test_check_says_ok_and_who_set_what(folder):
    path = file_with(folder, "[gc]\nbatch = 5\n")

    result = run(
        Source(path, {"jobs.poll": "2s"}, {"ENTREPOT_LISTEN": "[::1]:0"}, cwd=folder), "check"
    )

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "ok",
        f"file:        {path} (gc.batch)",
        "environment: http.listen",
        "flags:       jobs.poll",
    ]


def test_check_without_any_source_says_so(folder):
    result = run(Source(cwd=folder), "check")

    assert result.stdout.splitlines()[1:] == [
        "file:        none",
        "environment: nothing",
        "flags:       nothing",
    ]


@pytest.mark.parametrize("command", ["check", "show"])
def test_every_problem_is_a_line_on_standard_error(folder, command):
    result = run(Source(flags={"gc.batch": "0", "nope": "1"}, cwd=folder), command)

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "nope: unknown setting (flag --set nope)",
        "gc.batch: expected at least 1, got '0' (flag --set gc.batch)",
        "2 problems in the configuration",
    ]


def test_show_prints_a_file_that_gives_the_same_settings(folder):
    source = Source(flags={"http.trusted_proxies": "10.0.0.0/8"}, cwd=folder)

    result = run(source, "show")
    path = file_with(folder, result.stdout)

    assert result.exit_code == 0
    assert tomllib.loads(result.stdout)["http"]["trusted_proxies"] == ["10.0.0.0/8"]
    again = run(Source(path, cwd=folder), "show")
    assert again.stdout == result.stdout


def test_show_says_where_a_value_comes_from(folder):
    result = run(Source(environ={"ENTREPOT_HTTP_WORKERS": "2"}, cwd=folder), "show", "--origin")

    lines = result.stdout.splitlines()
    assert "workers = 2  # environment ENTREPOT_HTTP_WORKERS" in lines
    assert "page_limit = 1000  # default" in lines
    assert tomllib.loads(result.stdout)["http"]["workers"] == 2


def test_show_as_json_with_and_without_origins(folder):
    source = Source(environ={"ENTREPOT_HTTP_WORKERS": "2"}, cwd=folder)

    plain = json.loads(run(source, "show", "--json").stdout)
    with_origin = json.loads(run(source, "show", "--json", "--origin").stdout)

    assert plain["http"]["workers"] == 2
    assert with_origin["http"]["workers"] == {
        "value": 2,
        "origin": "environment ENTREPOT_HTTP_WORKERS",
    }
    assert with_origin["gc"]["untagged_after"] == {"value": "never", "origin": "default"}


@pytest.mark.parametrize("arguments", [(), ("--origin",), ("--json",), ("--json", "--origin")])
def test_show_masks_secrets(folder, arguments):
    environ = {
        "ENTREPOT_ROOT_PASSWORD": "hunter2",
        "ENTREPOT_METADATA_URL": "postgresql://me:hunter2@db/x",
    }

    result = run(Source(environ=environ, cwd=folder), "show", *arguments)

    assert "hunter2" not in result.output
    assert '"***"' in result.stdout
    assert "postgresql://me:***@db/x" in result.stdout


def test_what_show_printed_is_refused_where_it_masked_a_secret(folder):
    environ = {
        "ENTREPOT_ROOT_PASSWORD": "hunter2",
        "ENTREPOT_METADATA_URL": "postgresql://me:hunter2@db/x",
    }
    printed = run(Source(environ=environ, cwd=folder), "show").stdout

    result = run(Source(file_with(folder, printed), cwd=folder), "check")

    assert [line.partition(":")[0] for line in result.stderr.splitlines()[:-1]] == [
        "metadata.url",
        "root.password",
    ]


@click.group()
@source_options
@click.pass_context
def root(context, *, source):
    context.obj = source


@root.command()
@click.pass_obj
def workers(source):
    click.echo(settings_of(source).http.workers)


@pytest.fixture
def bare_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("ENTREPOT_")]:
        monkeypatch.delenv(name)


def test_the_root_options_reach_the_commands(folder, bare_environment, monkeypatch):
    path = file_with(folder, "[http]\nworkers = 3\n")
    monkeypatch.chdir(folder)

    def printed(*arguments, **environ):
        return CliRunner().invoke(root, [*arguments, "workers"], env=environ).stdout.strip()

    assert printed() == "1"
    assert printed("--config", str(path)) == "3"
    assert printed(ENTREPOT_CONFIG=str(path)) == "3"
    assert printed("--config", str(path), ENTREPOT_HTTP_WORKERS="4") == "4"
    assert printed("--set", "http.workers=5", ENTREPOT_HTTP_WORKERS="4") == "5"


def test_a_bad_set_option_ends_the_command(bare_environment):
    result = CliRunner().invoke(root, ["--set", "http.workers", "workers"])

    assert result.exit_code == 1
    assert "http.workers: expected section.key=value" in result.stderr


def test_load_and_the_command_agree(folder):
    source = Source(flags={"http.workers": "2"}, cwd=folder)

    assert settings_of(source) == load(source)
