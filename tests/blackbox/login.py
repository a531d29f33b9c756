"""The token flow by hand, for clients that must be given a token."""

import base64
import json
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request

from started_registry import Registry


def bearer_token(registry: Registry, scope: str) -> str:
    """Follow the challenge of an anonymous `/v2/` as the registry's user; answer the token."""
    challenge = _challenge(registry)
    question = urllib.parse.urlencode({"service": challenge["service"], "scope": scope})
    request = urllib.request.Request(f"{challenge['realm']}?{question}")
    pair = base64.b64encode(registry.credentials.encode()).decode()
    request.add_header("Authorization", f"Basic {pair}")
    with urllib.request.urlopen(request, timeout=20, context=_trust(registry)) as response:
        answer = json.load(response)
    assert answer["token"] == answer["access_token"]
    return str(answer["token"])


def _challenge(registry: Registry) -> dict[str, str]:
    try:
        urllib.request.urlopen(f"{registry.url}/v2/", timeout=20, context=_trust(registry)).close()
    except urllib.error.HTTPError as refusal:
        with refusal:
            headers = refusal.headers.get_all("WWW-Authenticate") or []
    else:
        raise AssertionError("an anonymous /v2/ was not challenged")
    bearer = [header for header in headers if header.lower().startswith("bearer ")]
    assert bearer, f"no Bearer challenge in {headers}"
    return dict(re.findall(r'(\w+)="([^"]*)"', bearer[0]))


def _trust(registry: Registry) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(registry.certificates.authority))
