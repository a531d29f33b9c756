"""What test_oras_py.py runs with the interpreter that has oras-py: one session against one registry.

Arguments: reference, `plain` or `tls`, login kind (`basic` or `token`), file to push, folder to pull
into. The user and the password come in the environment, the bearer token too when there is one.
Prints one JSON object.
"""

import json
import os
import sys

import oras.client


def main() -> None:
    reference, transport, login, source, down = sys.argv[1:]
    client = oras.client.OrasClient(
        insecure=transport == "plain", auth_backend="basic" if login == "basic" else "token"
    )
    if login == "basic":
        client.auth.set_basic_auth(os.environ["BLACKBOX_USER"], os.environ["BLACKBOX_PASSWORD"])
    else:
        client.auth.set_token_auth(os.environ["BLACKBOX_TOKEN"])

    pushed = client.push(
        target=reference,
        files=[f"{source}:application/vnd.entrepot.blackbox"],
        disable_path_validation=True,
        manifest_annotations={"org.entrepot.test": "yes"},
    )
    pulled = client.pull(target=reference, outdir=down)
    manifest = client.get_manifest(reference)
    tags = client.get_tags(reference)
    print(
        json.dumps(
            {
                "status": pushed.status_code,
                "pulled": pulled,
                "annotations": manifest["annotations"],
                "media_types": [layer["mediaType"] for layer in manifest["layers"]],
                "tags": tags,
            }
        )
    )


main()
