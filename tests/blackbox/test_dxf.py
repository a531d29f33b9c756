"""python-dxf: a minimal client that pushes blobs and gives them aliases. It sends a password over TLS only."""

import pytest
from oci_layout import digest_of
from programs import Surroundings, client_python
from started_registry import Registry

pytestmark = pytest.mark.blackbox


def test_a_blob_is_pushed_aliased_listed_and_pulled(
    tls_registry: Registry, client: Surroundings, repository: str
) -> None:
    program = client_python().with_name("dxf")
    source = client.folder / "blob.bin"
    source.write_bytes(b"blob " * 4000)
    name = f"{tls_registry.namespace}/{repository}"
    dxf = tls_registry.trusting(client).with_variables(
        DXF_HOST=tls_registry.host,
        DXF_USERNAME=tls_registry.user,
        DXF_PASSWORD=tls_registry.password,
    )

    pushed = dxf.run(program, "push-blob", name, source, "@alias")
    aliases = dxf.run(program, "list-aliases", name).splitlines()
    found = dxf.run(program, "get-alias", name, "alias")
    pulled = dxf.run(program, "pull-blob", name, "@alias")

    digest = digest_of(source.read_bytes())
    assert pushed == digest
    assert aliases == ["alias"]
    assert found == digest
    assert pulled == source.read_text()


def test_an_alias_is_removed_with_its_manifest(
    tls_registry: Registry, client: Surroundings, repository: str
) -> None:
    program = client_python().with_name("dxf")
    source = client.folder / "blob.bin"
    source.write_bytes(b"short-lived")
    name = f"{tls_registry.namespace}/{repository}"
    dxf = tls_registry.trusting(client).with_variables(
        DXF_HOST=tls_registry.host,
        DXF_USERNAME=tls_registry.user,
        DXF_PASSWORD=tls_registry.password,
    )
    dxf.run(program, "push-blob", name, source, "@alias")

    dxf.run(program, "del-alias", name, "alias")

    assert dxf.attempt(program, "get-alias", name, "alias").status != 0


def test_without_a_password_the_push_is_refused(
    registry: Registry, client: Surroundings, repository: str
) -> None:
    program = client_python().with_name("dxf")
    source = client.folder / "blob.bin"
    source.write_bytes(b"nobody's")
    insecure = "0" if registry.tls else "1"
    dxf = registry.trusting(client).with_variables(DXF_HOST=registry.host, DXF_INSECURE=insecure)

    done = dxf.attempt(program, "push-blob", f"{registry.namespace}/{repository}", source)

    assert done.status != 0
    assert not done.stdout
