"""Each operation of the native API, once, as a platform team would go through them."""

import time

from api_client import Api

from entrepot.dialects.native.table import TABLE
from issuing import Authority

DOCUMENT = (
    '{"statements": [{"effect": "allow", "actions": ["repository:pull"], "resources": ["team/*"]}]}'
)
INSTANCE = "/tenants/-/instances/-"
KUBECONFIG = """\
contexts: [{name: one, context: {cluster: one, user: one}}]
clusters: [{name: one, cluster: {server: "https://kube.example:6443"}}]
users: [{name: one, user: {token: a-secret-token}}]
"""


def names(page):
    return [row["name"] for row in page["items"]]


def deployment(root):
    """What only those who run the deployment do."""
    made = root.ok("POST", "/tenants", {"name": "nativecorp", "owner": "ann"})
    assert made["login"] == "nativecorp/ann"
    assert len(made["password"]) >= 20
    assert "nativecorp" in names(root.ok("GET", "/tenants?limit=1000"))
    assert root.ok("GET", "/tenants/nativecorp") == made["tenant"]
    assert len(root.ok("GET", "/tenants/nativecorp/projects")["items"]) >= 1
    assert root.ok("GET", "/tenants/-")["root"] is True

    cap = "/tenants/nativecorp/caps/QcloudTCRReadOnlyAccess"
    root.ok("PUT", cap)
    assert names(root.ok("GET", "/tenants/nativecorp/caps")) == ["QcloudTCRReadOnlyAccess"]
    root.ok("DELETE", cap)

    network = {"name": "vpc-native", "cidrs": ["10.9.0.0/16"], "owner": "nativecorp"}
    assert root.ok("POST", "/networks", network) == network
    assert network in root.ok("GET", "/networks")["items"]
    assert network in root.ok("GET", "/tenants/nativecorp/networks")["items"]
    root.ok("DELETE", "/networks/vpc-native")
    assert root.code("DELETE", "/networks/vpc-native") == (404, "network-unknown")

    region = {"name": "native-far", "id": 90017, "display_name": "Far", "peer": True}
    assert root.ok("POST", "/regions", region) == {**region, "default": False}
    assert {**region, "default": False} in root.ok("GET", "/regions")["items"]
    quotas(root)
    instances(root)
    root.ok("DELETE", "/tenants/nativecorp")
    assert root.code("GET", "/tenants/nativecorp") == (404, "tenant-unknown")
    trail = root.ok("GET", "/audit?action=tenant.*&limit=5")["items"]
    assert [one["action"] for one in trail[:4]] == [
        "tenant.delete",
        "tenant.uncap",
        "tenant.cap",
        "tenant.create",
    ]
    assert trail[0]["details"]["operation"] == "entrepot:DeleteTenant"
    assert trail[0]["source"] == "127.0.0.1"
    assert trail[0]["actor"] == "root"


def quotas(root):
    tenant, instance = "/quotas/tenants/nativecorp", "/quotas/instances/-"
    root.ok("PUT", f"{tenant}/limits/namespaces", {"limit": 7})
    shown = {one["resource"]: one for one in root.ok("GET", tenant)["items"]}
    assert shown["namespaces"] == {"resource": "namespaces", "limit": 7, "used": 0, "set": True}
    root.ok("PUT", f"{tenant}/limits/namespaces", {"limit": None})
    assert not any(one["set"] for one in root.ok("GET", tenant)["items"])
    root.ok("PUT", f"{instance}/limits/namespaces", {"limit": None})
    resources = [one["resource"] for one in root.ok("GET", instance)["items"]]
    assert resources[0] == "namespaces"
    root.ok("POST", f"{INSTANCE}/namespaces", {"name": "native-limited"})
    root.ok("PUT", f"{instance}/namespaces/native-limited/limits/tags", {"limit": 3})
    shown = root.ok("GET", f"{instance}/namespaces/native-limited")["items"]
    assert {"resource": "tags", "limit": 3, "used": None, "set": True} in shown


def instances(root):
    """Of one's own tenant, and (made, not read) of others."""
    made = root.ok("POST", "/tenants/nativecorp/instances", {"name": "nativecorp-native"})[
        "instance"
    ]
    assert made["tenant"] == "nativecorp"
    assert made in root.ok("GET", "/tenants/nativecorp/instances")["items"]
    made = root.ok("POST", "/tenants/-/instances", {"name": "root-native", "entry": "closed"})
    one = f"/tenants/-/instances/{made['instance']['id']}"
    shown = root.ok("GET", one)
    assert (shown["status"], shown["entry"], shown["protected"]) == ("running", "closed", False)
    assert root.ok("PATCH", one, {"protected": True})["protected"] is True
    assert root.code("DELETE", one) == (409, "protected")
    root.ok("PATCH", one, {"protected": False})
    root.ok("DELETE", f"{one}?content=refuse")
    assert root.code("GET", one) == (404, "instance-unknown")
    assert "nativecorp-native" in names(root.ok("GET", "/instances"))


def people(owner, firm):
    made = owner.ok("POST", "/tenants/-/users", {"name": "bob", "generate_password": True})
    assert len(made["generated_password"]) >= 20
    bob = "/tenants/-/users/bob"
    assert owner.ok("GET", bob) == made["user"]
    assert names(owner.ok("GET", f"/tenants/{firm}/users")) == ["admin", "bob", "member", "owner"]
    assert owner.ok("PUT", f"{bob}/role", {"role": "administrator"})["role"] == "administrator"
    assert owner.ok("PATCH", bob, {"enabled": False})["enabled"] is False
    assert owner.ok("PATCH", bob, {"enabled": True})["enabled"] is True
    assert owner.ok("PUT", f"{bob}/password", {})["generated_password"]
    assert owner.ok("PUT", f"{bob}/password", {"password": "bob-Passw0rd"}) == {
        "generated_password": None
    }

    owner.ok("POST", "/tenants/-/groups", {"name": "pullers"})
    assert names(owner.ok("GET", "/tenants/-/groups")) == ["pullers"]
    owner.ok("PUT", "/tenants/-/groups/pullers/members/bob")
    assert names(owner.ok("GET", "/tenants/-/groups/pullers/members")) == ["bob"]

    policy = "/tenants/-/policies/reads"
    owner.ok("POST", "/tenants/-/policies", {"name": "reads", "document": DOCUMENT})
    owner.ok("PUT", policy, {"document": DOCUMENT, "description": "pull"})
    (project,) = names(owner.ok("GET", "/tenants/-/projects"))
    principals = ("users/bob", "groups/pullers", f"groups/pullers/projects/{project}")
    for attached in principals:
        owner.ok("PUT", f"{policy}/{attached}")
    shown = owner.ok("GET", policy)
    assert shown["document"] == DOCUMENT
    assert shown["policy"]["description"] == "pull"
    assert {(one["kind"], one["name"], one["project"]) for one in shown["attached"]} == {
        ("user", "bob", None),
        ("group", "pullers", None),
        ("group", "pullers", project),
    }
    for attached in principals:
        owner.ok("DELETE", f"{policy}/{attached}")
    listed = owner.ok("GET", "/tenants/-/policies")["items"]
    assert {"reads", "QcloudTCRReadOnlyAccess"} <= {one["name"] for one in listed}
    owner.ok("DELETE", policy)
    owner.ok("DELETE", "/tenants/-/groups/pullers/members/bob")
    owner.ok("DELETE", "/tenants/-/groups/pullers")
    keys(owner, bob)
    content(owner)
    owner.ok("DELETE", bob)
    assert owner.code("GET", bob) == (404, "user-unknown")


def keys(owner, bob):
    made = owner.ok("POST", f"{bob}/keys")
    assert made["secret_access_key"]
    assert made["session_token"] is None
    brief = owner.ok("POST", f"{bob}/temporary-keys", {"lifetime_seconds": 900})
    assert brief["session_token"]
    assert brief["key"]["expires"].endswith("Z")
    listed = owner.ok("GET", f"{bob}/keys")["items"]
    assert {one["access_key_id"] for one in listed} == {
        made["key"]["access_key_id"],
        brief["key"]["access_key_id"],
    }
    key = f"/tenants/-/keys/{made['key']['access_key_id']}"
    assert owner.ok("PATCH", key, {"enabled": False})["enabled"] is False
    owner.ok("DELETE", key)
    assert owner.code("DELETE", key) == (404, "key-unknown")


def content(owner):
    """Namespaces, grants, tokens, service accounts of the default instance."""
    name = f"native-{time.time_ns()}"
    one = f"{INSTANCE}/namespaces/{name}"
    assert owner.ok("POST", f"{INSTANCE}/namespaces", {"name": name})["public"] is False
    assert owner.ok("PATCH", one, {"public": True})["public"] is True
    assert owner.ok("GET", one)["public"] is True
    assert names(owner.ok("GET", f"{INSTANCE}/namespaces")) == [name]
    owner.ok("PUT", f"{one}/grants/bob", {"level": "edit"})
    granted = {"namespace": name, "repository": None, "user": "bob", "level": "edit"}
    assert owner.ok("GET", f"{one}/grants")["items"] == [granted]
    owner.ok("DELETE", f"{one}/grants/bob")

    token = owner.ok("POST", f"{INSTANCE}/tokens", {"description": "ci"})
    assert token["token"]["kind"] == "longterm"
    owner.ok("POST", f"{INSTANCE}/tokens", {"user": "bob", "temporary": True})
    assert owner.ok("GET", f"{INSTANCE}/tokens")["items"] == [token["token"]]
    path = f"{INSTANCE}/tokens/{token['token']['id']}"
    assert owner.ok("PATCH", path, {"enabled": False})["enabled"] is False
    owner.ok("DELETE", path)

    said = {"name": "robot", "permissions": {name: ["pull", "push"]}}
    made = owner.ok("POST", f"{INSTANCE}/service-accounts", said)
    assert made["account"]["permissions"] == said["permissions"]
    robot = f"{INSTANCE}/service-accounts/robot"
    assert owner.ok("GET", robot) == made["account"]
    ends = "2090-01-02T03:04:05Z"
    assert owner.ok("PATCH", robot, {"expires": ends})["expires"] == ends
    assert owner.ok("PATCH", robot, {"description": "x"})["expires"] == ends
    assert owner.ok("PATCH", robot, {"expires": None})["expires"] is None
    assert owner.ok("POST", f"{robot}/renewal")["password"] != made["password"]
    assert len(owner.ok("GET", f"{INSTANCE}/service-accounts")["items"]) == 1
    owner.ok("DELETE", robot)
    owner.ok("DELETE", one)

    chain, key = Authority.new().issue("native.example.test")
    said = {"name": "of native", "chain": chain, "key": key}
    kept = owner.ok("POST", "/tenants/-/certificates", said)
    assert kept["hosts"] == ["native.example.test"]
    assert owner.ok("GET", "/tenants/-/certificates")["items"] == [kept]
    path = f"/tenants/-/certificates/{kept['id']}"
    assert owner.ok("GET", path) == {"certificate": kept, "chain": chain}
    owner.ok("DELETE", path)
    clusters(owner)
    peers(owner)


def peers(owner):
    said = {"name": "second-site", "url": "https://registry.example", "user": "acme/robot"}
    made = owner.ok("POST", "/tenants/-/peers", {**said, "secret": "a-secret-password"})
    assert (made["url"], made["user"], made["own_authorities"]) == (
        "https://registry.example",
        "acme/robot",
        False,
    )
    assert "a-secret-password" not in str(made)
    assert owner.ok("GET", "/tenants/-/peers")["items"] == [made]
    path = "/tenants/-/peers/second-site"
    assert owner.ok("PATCH", path, {"secret": "another"}) == owner.ok("GET", path) == made
    assert owner.code("PATCH", path, {"secret": ""}) == (400, "value-invalid")
    owner.ok("DELETE", path)
    assert owner.code("GET", path) == (404, "peer-unknown")


def clusters(owner):
    said = {"name": "factory", "registry": "registry.example", "kubeconfig": KUBECONFIG}
    assert owner.code("POST", "/tenants/-/clusters", said)[0] == 400
    said["namespaces"] = ["*"]
    made = owner.ok("POST", "/tenants/-/clusters", {**said, "id": "c-1", "is_default": True})
    assert (made["id"], made["server"], made["is_default"]) == (
        "c-1",
        "https://kube.example:6443",
        True,
    )
    assert "a-secret-token" not in str(made)
    assert owner.ok("GET", "/tenants/-/clusters")["items"] == [made]
    assert owner.ok("GET", "/tenants/-/clusters/factory") == made
    path = "/tenants/-/clusters/c-1"
    changed = owner.ok("PATCH", path, {"namespaces": ["shop"], "is_default": False})
    assert (changed["namespaces"], changed["is_default"]) == (["shop"], False)
    bad = {"kubeconfig": KUBECONFIG.replace("token:", "tokenFile:")}
    assert owner.code("PATCH", path, bad) == (400, "kubeconfig-invalid")
    owner.ok("DELETE", path)
    assert owner.code("GET", path) == (404, "cluster-unknown")


def test_each_operation_does_what_it_says(root: Api, found_firm):
    firm = found_firm()
    before = set(root.succeeded)

    deployment(root)
    people(firm.owner, firm.name)

    done = root.succeeded | firm.owner.succeeded
    assert before <= done
    assert done == {endpoint.operation.name for endpoint in TABLE}
