"""Unknown names are errors that name the nearest known one; all problems come at once."""

from pathlib import Path

import pytest
from config_problems import file_with, problems_of
from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.config import ConfigError, Source, load
from entrepot.config.keys import keys, variables


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[http]\nlisen = 1", ("http.lisen", "unknown setting; did you mean http.listen?", 2)),
        ("[htpp]\nlisten = 1", ("htpp", "unknown setting; did you mean http?", 1)),
        ("listen = 1", ("listen", "unknown setting; did you mean http.listen?", 1)),
        ("http = 1", ("http", "expected a table: write [http] above its settings", 1)),
        (
            "[gc]\ntoken_lifetime = 1",
            ("gc.token_lifetime", "unknown setting; did you mean auth.token_lifetime?", 2),
        ),
        ("[log.x]\ny = 1", ("log.x", "unknown setting; did you mean one of level, format?", None)),
    ],
)
def test_an_unknown_name_in_the_file_names_the_nearest(folder, text, problem):
    path = file_with(folder, text)
    name, message, line = problem
    place = f"file {path}:{line}" if line else f"file {path}"

    assert problems_of(Source(path, cwd=folder)) == [(name, message, place)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ENTREPOT_HTTP_LISEN", "unknown variable; did you mean ENTREPOT_HTTP_LISTEN?"),
        ("ENTREPOT_DATE", "unknown variable; did you mean ENTREPOT_DATA?"),
        ("ENTREPOT_CONFIGS", "unknown variable; did you mean ENTREPOT_CONFIG?"),
        ("ENTREPOT_QQQ", "unknown variable"),
        ("ENTREPOT_", "unknown variable"),
    ],
)
def test_an_unknown_variable_names_the_nearest(folder, name, message):
    assert problems_of(Source(environ={name: "1"}, cwd=folder)) == [
        ("", message, f"environment {name}")
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("http.lisen", "unknown setting; did you mean http.listen?"),
        ("htp.listen", "unknown section; did you mean http.listen?"),
        ("page_limit", "unknown setting; did you mean http.page_limit?"),
        ("http", "unknown setting; did you mean one of listen,"),
        ("q.zzz", "unknown section"),
    ],
)
def test_an_unknown_flag_names_the_nearest(folder, name, message):
    ((path, text, _),) = problems_of(Source(flags={name: "1"}, cwd=folder))

    assert path == name
    assert text.startswith(message)


def test_what_a_cluster_injects_for_a_service_of_our_name_is_ignored(folder):
    injected = {
        "ENTREPOT_SERVICE_HOST": "10.0.0.7",
        "ENTREPOT_SERVICE_PORT": "5000",
        "ENTREPOT_SERVICE_PORT_HTTP": "5000",
        "ENTREPOT_PORT": "tcp://10.0.0.7:5000",
        "ENTREPOT_PORT_5000_TCP": "tcp://10.0.0.7:5000",
        "ENTREPOT_PORT_5000_TCP_ADDR": "10.0.0.7",
        "ENTREPOT_PORT_5000_TCP_PORT": "5000",
        "ENTREPOT_PORT_5000_TCP_PROTO": "tcp",
        "ENTREPOT_ADMIN_SERVICE_HOST": "10.0.0.8",
        "OTHER": "x",
    }

    assert dict(load(Source(environ=injected, cwd=folder)).origins) == {}
    assert problems_of(Source(environ={"ENTREPOT_PORT": "5000"}, cwd=folder))


def test_all_problems_come_at_once_even_where_a_stronger_source_hides_one(folder):
    path = file_with(folder, "[gc]\nbatch = 0\n[nope]\n")
    source = Source(
        path,
        {"gc.batch": "7", "jobs.lease": "long"},
        {"ENTREPOT_LOG_LEVEL": "loud", "ENTREPOT_LISTEN": "0.0.0.0:1"},
        cwd=folder,
    )

    found = {problem[0] for problem in problems_of(source)}

    assert found == {"gc.batch", "nope", "jobs.lease", "log.level", "http.listen"}


# Alphabets are spelled out: building Hypothesis' table of all of Unicode takes seconds.
ANYTHING = st.one_of(
    st.text("ab01 .:/@[]%#?,*-\n\0é\udc80", max_size=12),
    st.sampled_from(
        ["0", "-1", "never", "unlimited", "unix:x", "1s", "0.0.0.0:1", "http://[", "a://b:c@d"]
    ),
)
TOML_PIECES = [
    "[http]",
    "[",
    "]",
    "\n",
    "workers",
    "listen",
    "log.level",
    ".",
    "=",
    "1",
    '"',
    "'''",
    "{",
    "}",
    ",",
    "#",
    "é",
    "\0",
]


def outcome(source):
    try:
        return load(source)
    except ConfigError as error:
        return error


@settings(deadline=None)  # a busy machine is no finding
@given(
    st.dictionaries(st.sampled_from(sorted(keys())), ANYTHING, max_size=5),
    st.dictionaries(st.sampled_from(sorted(variables())), ANYTHING, max_size=5),
)
def test_whatever_the_values_are_they_are_settings_or_problems(flags, environ):
    result = outcome(Source(flags=flags, environ=environ, cwd=Path("/nonexistent")))

    if isinstance(result, ConfigError):
        assert result.problems
        assert str(result)
    else:
        assert {*flags} <= result.origins.keys()


@settings(deadline=None)  # a busy machine is no finding
@given(st.lists(st.sampled_from(TOML_PIECES), max_size=12).map("".join))
def test_whatever_the_file_holds_it_is_settings_or_problems(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text)

    result = outcome(Source(path, cwd=Path("/nonexistent")))

    if isinstance(result, ConfigError):
        assert str(path) in str(result)
    else:
        assert result.file == path
