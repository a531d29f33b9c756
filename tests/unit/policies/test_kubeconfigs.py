"""Kubeconfigs: what of them is taken, and what is refused because it would read files, run programs or ask elsewhere."""

import base64
import json
from ipaddress import ip_network

import pytest

from entrepot.capabilities.policies.kubeconfigs import MAX_BYTES, pack, read_kubeconfig, unpack
from entrepot.model.clusters import KubeconfigInvalid
from services.kubernetes import TOKEN, Authority, Kubernetes

FORBIDDEN = (ip_network("169.254.0.0/16"), ip_network("fd00:ec2::254/128"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Never asked here: nobody has to answer."""
    made = Kubernetes(tmp_path_factory.mktemp("kubernetes"))
    yield made
    made._server.server_close()


def read(text):
    access = read_kubeconfig(text, forbidden=FORBIDDEN)
    assert unpack(pack(access)) == access
    return access


def refused(text):
    with pytest.raises(KubeconfigInvalid) as error:
        read(text)
    assert TOKEN not in str(error.value)
    return error.value.reason


FILES = "/etc/kubernetes/pki/ca.crt"
BAD_USERS = {
    "exec": {"exec": {"command": "/bin/sh", "apiVersion": "v1"}},
    "auth-provider": {"auth-provider": {"name": "gcp"}},
    "tokenFile": {"tokenFile": "/var/run/token"},
    "client-certificate": {"client-certificate": FILES},
    "client-key": {"client-key": FILES},
    "username": {"username": "admin"},
    "as": {"token": "t", "as": "root"},
    "token": {"token": "two\nlines"},
    "client certificate": {"client-certificate-data": "Zm9v", "client-key-data": "Zm9v"},
    "client-key-data": {"client-certificate-data": "Zm9v", "client-key-data": "no base64"},
}
BAD_CLUSTERS = {
    "certificate-authority names": {"certificate-authority": FILES},
    "certificate-authority-data": {"certificate-authority-data": "Zm9v"},
    "insecure-skip-tls-verify": {"insecure-skip-tls-verify": True},
    "proxy-url": {"proxy-url": "http://127.0.0.1:3128"},
    "server is missing": {"server": ""},
    "server must be": {"server": "ftp://10.0.0.1"},
    "server must": {"server": "https://user:pw@10.0.0.1"},
    "server must be http": {"server": "https://10.0.0.1/x?y=z"},
    "server must be http:": {"server": "https://10.0.0.1/a/../b"},
    "in clear": {"server": "http://10.0.0.1"},
    "no host": {"server": "https://"},
    "no URL": {"server": "https://10.0.0.1:99999"},
    "forbids connections": {"server": "http://169.254.169.254/latest"},
    "forbids": {"server": "http://[::ffff:169.254.169.254]"},
    "connections to fd00:ec2::254": {"server": "http://[fd00:ec2::254]"},
}


@pytest.mark.parametrize("said", BAD_USERS)
def test_a_credential_that_is_not_in_the_file_itself_is_refused(cluster, said):
    assert said in refused(cluster.kubeconfig(user=BAD_USERS[said]))


@pytest.mark.parametrize("said", BAD_CLUSTERS)
def test_a_server_that_cannot_be_asked_safely_is_refused(cluster, said):
    assert said in refused(cluster.kubeconfig(**BAD_CLUSTERS[said]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just a text",
        "[]",
        "a: [",
        "? [a, b] : c",
        "\x00",
        "apiVersion: v1",
        "contexts: [{name: a, context: {cluster: c}}]",
        "contexts: [{name: a}]\nclusters: []",
        "contexts: 5",
        "current-context: gone",
        "[" * 5000,
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
        "!!python/object/apply:os.system ['true']",
        "a: x\n" * 25_000,
        "x" * (MAX_BYTES + 1),
        "current-context: \ud800",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_no_kubeconfig_is_refused(text):
    assert refused(text)


def test_a_pair_must_belong_together(cluster):
    mixed = cluster.client_pair() | {
        "client-key-data": Kubernetes.client_pair(cluster)["client-key-data"]
    }

    assert "not the certificate's" in refused(cluster.kubeconfig(user=mixed))


def test_only_the_present_context_counts(cluster):
    config = json.loads(cluster.kubeconfig())
    config["contexts"].append({"name": "other", "context": {"cluster": "x", "user": "y"}})
    config["users"].append({"name": "y", "user": {"exec": {"command": "/bin/sh"}}})

    assert read(json.dumps(config)).token == TOKEN
    config["current-context"] = "other"
    assert "no cluster" in refused(json.dumps(config))
    config["clusters"].append({"name": "x", "cluster": {"server": "https://x.example"}})
    assert "exec names a program" in refused(json.dumps(config))


def test_block_style_yaml_is_read_as_kubectl_writes_it():
    authority = base64.b64encode(Authority().pem.encode()).decode()
    text = f"""\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {authority}
    server: https://kube.acme.example:6443/k8s/clusters/c-1/
    tls-server-name: kube.internal
  name: production
contexts:
- context:
    cluster: production
    namespace: shop
    user: deployer
  name: deployer@production
kind: Config
preferences: {{}}
users:
- name: deployer
  user:
    token: abc.def-ghi
"""

    access = read(text)

    assert access.server == "https://kube.acme.example:6443/k8s/clusters/c-1"
    assert (access.tls_name, access.token) == ("kube.internal", "abc.def-ghi")
