"""cosign with a key pair of its own: a signature is one more artifact beside the image.

Building cosign takes minutes, so `run-all` does it only with ENTREPOT_TEST_COSIGN=1; a cosign that is
on the machine is used in any case.
"""

import pytest
from oci_layout import Layout
from programs import Surroundings, needed
from started_registry import Registry

pytestmark = [pytest.mark.blackbox, pytest.mark.timeout(300)]


@pytest.fixture
def cosign(client: Surroundings) -> Surroundings:
    needed("cosign", "skopeo")
    return client.with_variables(COSIGN_PASSWORD="", COSIGN_YES="true")


def test_an_image_is_signed_and_verified_and_another_key_is_not_believed(
    registry: Registry, cosign: Surroundings, image: Layout, repository: str
) -> None:
    tool = registry.trusting(cosign)
    name = f"{registry.host}/{registry.namespace}/{repository}"
    trust = (
        f"--dest-cert-dir={registry.certificates.folder}"
        if registry.tls
        else "--dest-tls-verify=false"
    )
    tool.run(
        "skopeo", "copy", trust, "--dest-creds", registry.credentials, image.skopeo_reference,
        f"docker://{name}:v1",
    )  # fmt: skip
    tool.run("cosign", "login", registry.host, "-u", registry.user, "-p", registry.password)
    for key in ("own", "other"):
        tool.run("cosign", "generate-key-pair", "--output-key-prefix", key)
    reach = [] if registry.tls else ["--allow-http-registry"]
    offline = ["--insecure-ignore-tlog=true"]
    subject = f"{name}@{image.digest}"

    tool.run("cosign", "sign", "--key", "own.key", "--tlog-upload=false", *reach, subject)
    good = tool.attempt("cosign", "verify", "--key", "own.pub", *offline, *reach, subject)
    bad = tool.attempt("cosign", "verify", "--key", "other.pub", *offline, *reach, subject)

    assert good.status == 0, good.output
    assert image.digest in good.stdout
    assert bad.status != 0


def test_an_sbom_is_attached_and_found_as_a_referrer(
    registry: Registry, cosign: Surroundings, image: Layout, repository: str
) -> None:
    tool = registry.trusting(cosign)
    name = f"{registry.host}/{registry.namespace}/{repository}"
    trust = (
        f"--dest-cert-dir={registry.certificates.folder}"
        if registry.tls
        else "--dest-tls-verify=false"
    )
    tool.run(
        "skopeo", "copy", trust, "--dest-creds", registry.credentials, image.skopeo_reference,
        f"docker://{name}:v1",
    )  # fmt: skip
    tool.run("cosign", "login", registry.host, "-u", registry.user, "-p", registry.password)
    tool.run("cosign", "generate-key-pair")
    reach = [] if registry.tls else ["--allow-http-registry"]
    predicate = tool.folder / "predicate.json"
    predicate.write_text('{"made": "here"}')
    subject = f"{name}@{image.digest}"

    tool.run(
        "cosign", "attest", "--key", "cosign.key", "--tlog-upload=false", "--predicate", predicate,
        "--type", "custom", *reach, subject,
    )  # fmt: skip
    seen = tool.run("cosign", "tree", *reach, subject)

    assert "Attestations" in seen
