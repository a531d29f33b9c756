"""Where clients are sent for a token: what the operator says, else what a trusted proxy says, else what they asked."""

import pytest
from in_process import asked, deployed

PROXIED = {"host": "internal:8080", "x-forwarded-proto": "https", "x-forwarded-host": "images.test"}


def realm(operator, app, **headers):
    answer = asked(operator, app, "GET", "/v2/", headers=headers)
    assert answer.status_code == 401, answer.text
    return answer.headers["www-authenticate"].partition('realm="')[2].partition('"')[0]


def test_the_external_url_makes_the_realm_of_the_default_instance(tmp_path):
    url = "https://registry.example.test:8443"
    with deployed(tmp_path, ENTREPOT_HTTP_EXTERNAL_URL=url) as (operator, app):
        expected = f"{url}/service/token"
        assert realm(operator, app, host="127.0.0.1:5000") == expected
        assert realm(operator, app, host="registry.example.test:8443") == expected


@pytest.mark.parametrize(
    ("trusted", "expected"),
    [("127.0.0.0/8", "https://images.test"), ("10.0.0.0/8", "http://localhost")],
)
def test_only_a_trusted_proxy_makes_the_realm(tmp_path, trusted, expected):
    settings = {
        "ENTREPOT_HTTP_TRUSTED_PROXIES": trusted,
        "ENTREPOT_HTTP_DEFAULT_HOSTS": "images.test",
    }
    with deployed(tmp_path, **settings) as (operator, app):
        headers = {**PROXIED, "host": "localhost"}
        assert realm(operator, app, **headers) == f"{expected}/service/token"
