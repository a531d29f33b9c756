"""oras-py: an artifact of a type of its own, once with Basic and once with a token asked for beforehand.

oras-py 0.2.43 asks only for the first challenge's scope, which is `pull`, and never again: with its
own token login it cannot push to a registry that grants what was asked. So the token is asked for here.
"""

import json
from pathlib import Path

import pytest
from login import bearer_token
from programs import Surroundings, client_python
from started_registry import STANDIN, Registry

pytestmark = pytest.mark.blackbox

_SESSION = Path(__file__).with_name("oras_session.py")


@pytest.mark.parametrize("login", ["basic", "token"])
def test_an_artifact_is_pushed_listed_and_pulled(
    registry: Registry, client: Surroundings, repository: str, login: str
) -> None:
    if login == "token" and STANDIN:
        pytest.skip("the stand-in has no token service")
    python = client_python()
    source, down = client.folder / "artifact.bin", client.folder / "down"
    source.write_bytes(b"artifact " * 1000)
    token = ""
    if login == "token":
        scope = f"repository:{registry.namespace}/{repository}:pull,push"
        token = bearer_token(registry, scope)

    said = registry.trusting(client).with_variables(
        BLACKBOX_USER=registry.user, BLACKBOX_PASSWORD=registry.password, BLACKBOX_TOKEN=token
    ).run(
        python, _SESSION, registry.reference(repository, "v1"),
        "tls" if registry.tls else "plain", login, source, down,
    )  # fmt: skip

    answer = json.loads(said.splitlines()[-1])
    assert answer["status"] in (200, 201)
    assert answer["annotations"]["org.entrepot.test"] == "yes"
    assert answer["media_types"] == ["application/vnd.entrepot.blackbox"]
    assert answer["tags"] == ["v1"]
    assert [Path(path).read_bytes() for path in answer["pulled"]] == [source.read_bytes()]
