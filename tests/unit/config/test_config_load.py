"""Which source wins, which file is read, what is refused and in which words."""

import itertools
from ipaddress import ip_network
from pathlib import Path

import pytest
from config_problems import file_with, problems_of

from entrepot.config import (
    ByteSize,
    ConfigError,
    Duration,
    LogLevel,
    Source,
    TcpAddress,
    UnixAddress,
    load,
    parse_assignments,
)
from entrepot.config.keys import keys, sections, variables
from entrepot.config.show import shown, to_toml
from entrepot.config.sources import FILE_NAME

# --- which source wins -------------------------------------------------------------------------

LAYERS = ("default", "file", "environment", "flag")


@pytest.mark.parametrize(("weaker", "stronger"), list(itertools.combinations(LAYERS, 2)))
def test_the_stronger_source_wins(folder, weaker, stronger):
    values = {"default": 1000, "file": 11, "environment": 22, "flag": 33}
    given = {weaker, stronger}
    path = file_with(folder, "[http]\npage_limit = 11\n")
    source = Source(
        config_file=path if "file" in given else None,
        environ={"ENTREPOT_HTTP_PAGE_LIMIT": "22"} if "environment" in given else {},
        flags={"http.page_limit": "33"} if "flag" in given else {},
        cwd=folder,
    )

    settings = load(source)

    assert settings.http.page_limit == values[stronger]
    assert settings.origins["http.page_limit"].layer == stronger


def test_origins_name_the_line_the_variable_and_the_flag(folder):
    path = file_with(folder, "# us\n[gc]\nbatch = 5\n\n[http]\n# x\n  workers=2\n")

    settings = load(Source(path, {"jobs.poll": "2s"}, {"ENTREPOT_LISTEN": "[::1]:0"}, cwd=folder))

    assert {name: str(origin) for name, origin in settings.origins.items()} == {
        "gc.batch": f"file {path}:3",
        "http.workers": f"file {path}:7",
        "http.listen": "environment ENTREPOT_LISTEN",
        "jobs.poll": "flag --set jobs.poll",
    }
    assert settings.file == path


def test_a_dotted_key_has_a_line_too(folder):
    path = file_with(folder, 'log.level = "debug"\n')

    assert str(load(Source(path, cwd=folder)).origins["log.level"]) == f"file {path}:1"


def test_without_any_source_everything_has_its_default(folder):
    settings = load(Source(cwd=folder))

    assert dict(settings.origins) == {}
    assert settings.file is None
    assert settings.data.folder == folder / "data"
    assert settings.key_file == folder / "data.key"
    assert settings.http.listen == TcpAddress("127.0.0.1", 5000)
    assert settings.metadata_url.reveal() == f"sqlite:///{folder}/data/entrepot.db"
    assert settings.storage_url.reveal() == f"file://{folder}/data/blobs"
    assert settings.admin_listen == UnixAddress(folder / "data/run/admin.sock")
    assert settings.region_display_name == "local-1"
    assert settings.gc.untagged_after is None
    assert settings.uploads.max_blob is None


@pytest.mark.parametrize(
    ("short", "full"),
    [("ENTREPOT_DATA", "ENTREPOT_DATA_FOLDER"), ("ENTREPOT_LISTEN", "ENTREPOT_HTTP_LISTEN")],
)
def test_a_short_name_and_the_full_one_set_the_same(folder, short, full):
    text = {"ENTREPOT_DATA": "/srv/x", "ENTREPOT_LISTEN": "127.0.0.1:7000"}[short]

    by_short, by_full = (load(Source(environ={n: text}, cwd=folder)) for n in (short, full))
    both_alike = load(Source(environ={short: text, full: text}, cwd=folder))

    assert shown(by_short) == shown(by_full) == shown(both_alike) != shown(load(Source(cwd=folder)))
    (problem,) = problems_of(Source(environ={short: text, full: text[:-1] + "1"}, cwd=folder))
    assert problem[1:] == (f"{full} sets the same, differently", f"environment {short}")


# --- which file is read ------------------------------------------------------------------------


def test_the_data_folder_s_file_is_read_when_no_other_is_named(folder):
    file_with(folder / "store", "[http]\nworkers = 3\n", FILE_NAME)

    assert load(Source(environ={"ENTREPOT_DATA": "store"}, cwd=folder)).http.workers == 3
    assert load(Source(flags={"data.folder": "store"}, cwd=folder)).http.workers == 3
    assert load(Source(cwd=folder)).http.workers == 1


def test_the_named_file_is_read_instead_and_the_flag_outranks_the_variable(folder):
    file_with(folder / "data", "[http]\nworkers = 3\n", FILE_NAME)
    file_with(folder, "[http]\nworkers = 4\n", "four.toml")
    file_with(folder, "[http]\nworkers = 5\n", "five.toml")
    environ = {"ENTREPOT_CONFIG": "four.toml"}

    assert load(Source(environ=environ, cwd=folder)).http.workers == 4
    assert load(Source(Path("five.toml"), environ=environ, cwd=folder)).http.workers == 5
    assert load(Source(environ={"ENTREPOT_CONFIG": ""}, cwd=folder)).http.workers == 3


def test_a_named_file_that_is_missing_is_a_problem(folder):
    assert problems_of(Source(Path("no.toml"), cwd=folder)) == [
        ("", "cannot read the file: No such file or directory", f"file {folder}/no.toml")
    ]


def test_a_file_that_cannot_be_read_is_a_problem_and_no_surprise(folder):
    (folder / "data" / FILE_NAME).mkdir(parents=True)

    ((_, message, _),) = problems_of(Source(cwd=folder))

    assert message == "cannot read the file: Is a directory"


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"[http\n", "the file is not TOML"), (b"a = '\xff'", "the file is not UTF-8 text")],
)
def test_a_file_of_another_form_is_a_problem(folder, content, message):
    path = folder / "x.toml"
    path.write_bytes(content)

    ((_, text, origin),) = problems_of(Source(path, cwd=folder))

    assert text.startswith(message)
    assert origin == f"file {path}"


def test_a_file_in_the_data_folder_cannot_move_that_folder(folder):
    file_with(folder / "data", '[data]\nfolder = "/srv/elsewhere"\n', FILE_NAME)

    ((path, message, _),) = problems_of(Source(cwd=folder))

    assert path == "data.folder"
    assert "cannot move it" in message


def test_a_named_file_may_say_where_the_data_are(folder):
    path = file_with(folder / "etc", '[data]\nfolder = "../var"\n')

    assert load(Source(path, cwd=folder)).data.folder == folder / "var"


def test_relative_paths_start_at_the_file_or_at_the_working_directory(folder):
    path = file_with(
        folder / "etc", '[data]\nkey_file = "a.key"\n[admin]\nlisten = "unix:a.sock"\n'
    )

    settings = load(
        Source(path, {"storage.url": "file:///srv"}, {"ENTREPOT_DATA": "d/../e"}, cwd=folder)
    )

    assert settings.key_file == folder / "etc/a.key"
    assert settings.admin_listen == UnixAddress(folder / "etc/a.sock")
    assert settings.data.folder == folder / "e"
    assert settings.storage_url.reveal() == "file:///srv"


# --- types, from text and from TOML -----------------------------------------------------------


def test_toml_values_and_texts_mean_the_same(folder):
    native = file_with(
        folder,
        '[http]\nworkers = 2\ninsecure = true\nheader_limit = 16384\ntrusted_proxies = ["10.0.0.0/8", "fd00::/8"]\n'
        'default_hosts = ["a.example"]\n[log]\nlevel = "debug"\n[gc]\nuntagged_after = "30d"\n',
    )
    texts = {
        "ENTREPOT_HTTP_WORKERS": "2",
        "ENTREPOT_HTTP_INSECURE": "yes",
        "ENTREPOT_HTTP_HEADER_LIMIT": "16KiB",
        "ENTREPOT_HTTP_TRUSTED_PROXIES": "10.0.0.0/8, fd00::/8",
        "ENTREPOT_HTTP_DEFAULT_HOSTS": "A.example.",
        "ENTREPOT_LOG_LEVEL": "DEBUG",
        "ENTREPOT_GC_UNTAGGED_AFTER": "720h",
    }

    by_file, by_text = load(Source(native, cwd=folder)), load(Source(environ=texts, cwd=folder))

    assert shown(by_file) == shown(by_text)
    assert by_text.http.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert by_text.http.header_limit == ByteSize(16384)
    assert by_text.log.level is LogLevel.DEBUG
    assert by_text.gc.untagged_after == Duration.parse("30d")


def test_words_for_none_are_read_where_they_mean_something(folder):
    settings = load(
        Source(
            flags={"gc.scrub_every": "never", "uploads.max_blob": "unlimited", "data.key_file": ""},
            environ={"ENTREPOT_ROOT_PASSWORD": "", "ENTREPOT_HTTP_TRUSTED_PROXIES": ""},
            cwd=folder,
        )
    )

    assert settings.gc.scrub_every is None
    assert settings.uploads.max_blob is None
    assert settings.data.key_file is None
    assert settings.root.password is None
    assert settings.http.trusted_proxies == ()
    assert problems_of(Source(flags={"jobs.poll": "never"}, cwd=folder))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("http.workers", "two", "expected a whole number, got 'two'"),
        ("http.workers", "0", "expected at least 1, got '0'"),
        ("http.insecure", "maybe", "expected true or false, got 'maybe'"),
        ("http.manifest_limit", "5MiB", "expected at most 4MiB, got '5MiB'"),
        ("auth.token_lifetime", "59s", "expected at least 60s, got '59s'"),
        ("auth.token_lifetime", "61m", "expected at most 1h, got '61m'"),
        ("log.format", "xml", "expected json or console, got 'xml'"),
        (
            "http.default_hosts",
            "a.example,10.0.0.1",
            "expected a host name such as registry.example, without a port, got 'a.example,10.0.0.1'",
        ),
        (
            "region.name",
            "Local 1",
            "expected a name of the form [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?, got 'Local 1'",
        ),
        ("data.folder", "", "expected a path, got ''"),
    ],
)
def test_a_bad_value_is_refused_with_what_was_expected(folder, name, text, message):
    assert problems_of(Source(flags={name: text}, cwd=folder)) == [
        (name, message, f"flag --set {name}")
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("workers = 1.5", "expected: number, got 1.5"),
        ("listen = 2020-01-01", "expected: address, got datetime.date(2020, 1, 1)"),
        ("trusted_proxies = 5", "expected a list, got 5"),
        ("insecure = [true]", "expected: true or false, got [True]"),
    ],
)
def test_a_toml_value_of_another_type_is_refused(folder, line, message):
    ((_, text, _),) = problems_of(Source(file_with(folder, f"[http]\n{line}\n"), cwd=folder))

    assert text == message


def test_bounds_are_inclusive(folder):
    for text in ("60s", "1h"):
        load(Source(flags={"auth.token_lifetime": text}, cwd=folder))


def test_every_default_is_within_its_own_bounds():
    for key in keys().values():
        assert key.read(key.kind.show(key.default)) == key.default, key.path


# --- the rest -----------------------------------------------------------------------------------


def test_what_is_shown_reads_back_as_the_same_settings(folder):
    flags = {
        "http.trusted_proxies": "10.0.0.0/8",
        "gc.untagged_after": "3d",
        "region.display_name": 'a "b" \x7f',
    }
    before = load(Source(flags=flags, cwd=folder))
    lines = [
        f"{section}.{name} = {to_toml(value)}"
        for section, values in shown(before).items()
        for name, value in values.items()
    ]

    after = load(Source(file_with(folder, "\n".join(lines)), cwd=Path("/")))

    assert shown(after) == shown(before)


def test_sizes_and_durations_are_shown_with_their_units_and_numbers_as_numbers(folder):
    values = shown(load(Source(flags={"gc.scrub_rate": "33554432"}, cwd=folder)))

    assert values["gc"]["scrub_rate"] == "32MiB"
    assert values["auth"]["token_lifetime"] == "5m"
    assert values["gc"]["batch"] == 100
    assert values["http"]["insecure"] is False
    assert values["http"]["trusted_proxies"] == []


def test_assignments_are_read_and_the_last_of_a_name_wins():
    assert parse_assignments(["a.b=1", "c.d = x=y", "a.b=2"]) == {"a.b": "2", "c.d": " x=y"}
    with pytest.raises(ConfigError, match=r"root.password: expected section.key=value"):
        parse_assignments(["root.password", "a.b=1"])
    with pytest.raises(ConfigError) as caught:
        parse_assignments(["root.password:hunter2"])
    assert "hunter2" not in str(caught.value)


def test_settings_cannot_be_changed(folder):
    settings = load(Source(cwd=folder))

    with pytest.raises(AttributeError):
        settings.http.workers = 2
    with pytest.raises(AttributeError):
        settings.http = settings.http


def test_every_section_and_every_setting_is_documented():
    for name, section in sections().items():
        assert section.__doc__, name
    for key in keys().values():
        assert key.description.endswith("."), key.path
        assert key.variable.isupper(), key.path


def test_no_two_settings_share_a_variable():
    assert len(variables()) == len(keys()) + 2
