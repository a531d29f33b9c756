"""What settings must hold together."""

import pytest
from config_problems import file_with, problems_of

from entrepot.config import (
    Secret,
    Source,
    TcpAddress,
    load,
)


def test_a_listener_that_others_reach_needs_tls_a_proxy_or_a_word(folder):
    certificate, key = file_with(folder, "", "c.pem"), file_with(folder, "", "k.pem")
    exposed = {"http.listen": "0.0.0.0:5000"}
    tls = {"http.tls_certificate": str(certificate), "http.tls_key": str(key)}

    ((path, message, origin),) = problems_of(Source(flags=exposed, cwd=folder))
    assert (path, origin) == ("http.listen", "flag --set http.listen")
    assert "http.insecure = true" in message
    for excuse in ({"http.insecure": "true"}, {"http.trusted_proxies": "10.0.0.0/8"}, tls):
        load(Source(flags=exposed | excuse, cwd=folder))
    load(Source(flags={"http.listen": "unix:/tmp/e.sock"}, cwd=folder))


@pytest.mark.parametrize(
    ("flags", "path", "part"),
    [
        ({"http.tls_certificate": "c.pem"}, "http.tls_certificate", "together or not at all"),
        ({"http.tls_key": "c.pem"}, "http.tls_certificate", "together or not at all"),
        (
            {"http.tls_certificate": "no", "http.tls_key": "c.pem"},
            "http.tls_certificate",
            "not a file",
        ),
        ({"http.tls_certificate": "c.pem", "http.tls_key": "no"}, "http.tls_key", "not a file"),
        ({"http.external_url": "ftp://a"}, "http.external_url", "expected http"),
        ({"http.external_url": "https://a/b"}, "http.external_url", "nothing after"),
        ({"http.external_url": "https://"}, "http.external_url", "a host"),
        ({"admin.listen": "0.0.0.0:1"}, "admin.listen", "loopback"),
        ({"admin.listen": "127.0.0.1:1"}, "admin.token", "ENTREPOT_ADMIN_TOKEN"),
        ({"admin.listen": "unix:/a", "http.listen": "unix:/a"}, "admin.listen", "of its own"),
        (
            {"admin.listen": "127.0.0.1:1", "http.listen": "127.0.0.1:1"},
            "admin.listen",
            "of its own",
        ),
        ({"admin.listen": "[::1]:1", "http.listen": "[::]:1"}, "admin.listen", "of its own"),
        ({"admin.listen": "unix:/" + "a" * 107}, "admin.listen", "107 bytes"),
        ({"http.listen": "unix:/" + "a" * 107}, "http.listen", "107 bytes"),
        ({"data.folder": "/" + "a" * 107}, "admin.listen", "107 bytes"),
        ({"data.key_file": "/k", "data.key_command": "pass"}, "data.key_file", "not from both"),
        ({"data.key_file": "data/k"}, "data.key_file", "outside the data folder"),
        ({"data.folder": "what?"}, "data.folder", "cannot hold"),
        ({"metadata.url": "mysql://h/x"}, "metadata.url", "expected sqlite"),
        ({"metadata.url": "sqlite:///relative.db"}, "metadata.url", "absolute"),
        ({"metadata.url": "sqlite://"}, "metadata.url", "absolute"),
        ({"storage.url": "ftp://b"}, "storage.url", "expected file"),
        ({"storage.url": "file://host/x"}, "storage.url", "expected file"),
        ({"jobs.lease": "3s", "jobs.poll": "2s"}, "jobs.lease", "twice"),
        ({"tracing.endpoint": "grpc://h"}, "tracing.endpoint", "expected an http"),
    ],
)
def test_settings_that_do_not_fit_are_refused(folder, flags, path, part):
    file_with(folder, "", "c.pem")

    found = problems_of(Source(flags=flags, cwd=folder))

    assert any(name == path and part in message for name, message, _ in found), found


def test_root_keys_are_preset_as_a_pair(folder):
    found = problems_of(Source(environ={"ENTREPOT_ROOT_ACCESS_KEY": "AKIDexample"}, cwd=folder))
    assert [problem[0] for problem in found] == ["root.access_key"]

    pair = {"ENTREPOT_ROOT_ACCESS_KEY": "AKIDexample", "ENTREPOT_ROOT_SECRET_KEY": "s"}
    assert load(Source(environ=pair, cwd=folder)).root.secret_key == Secret("s")


def test_a_local_admin_address_with_a_token_will_do(folder):
    environ = {"ENTREPOT_ADMIN_LISTEN": "[::1]:9000", "ENTREPOT_ADMIN_TOKEN": "t" * 16}

    assert load(Source(environ=environ, cwd=folder)).admin_listen == TcpAddress("::1", 9000)
    short = problems_of(Source(environ=environ | {"ENTREPOT_ADMIN_TOKEN": "t" * 15}, cwd=folder))
    assert short == [
        ("admin.token", "expected at least 16 characters", "environment ENTREPOT_ADMIN_TOKEN")
    ]


def test_a_rule_does_not_speak_about_a_setting_that_is_wrong_by_itself(folder):
    found = problems_of(
        Source(flags={"http.listen": "0.0.0.0:1", "http.insecure": "ja"}, cwd=folder)
    )

    assert [problem[0] for problem in found] == ["http.insecure"]


@pytest.mark.parametrize(
    "url", ["postgresql://db/entrepot", "postgresql+psycopg://u@db/e", "sqlite:////srv/e.db"]
)
def test_both_engines_are_accepted(folder, url):
    assert load(Source(flags={"metadata.url": url}, cwd=folder)).metadata_url.reveal() == url


def test_a_key_file_that_a_link_leads_into_the_data_folder_is_refused(folder):
    (folder / "store").mkdir()
    (folder / "link").symlink_to(folder / "store")

    found = problems_of(
        Source(flags={"data.folder": "store", "data.key_file": "link/k"}, cwd=folder)
    )

    assert [problem[0] for problem in found] == ["data.key_file"]


def test_two_listeners_may_share_a_port_on_different_addresses(folder):
    environ = {"ENTREPOT_ADMIN_TOKEN": "t" * 16}
    for http, admin in (("127.0.0.1:0", "127.0.0.1:0"), ("127.0.0.1:1", "127.0.0.2:1")):
        load(
            Source(flags={"http.listen": http, "admin.listen": admin}, environ=environ, cwd=folder)
        )
