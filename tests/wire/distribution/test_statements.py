"""What a pull costs the database, counted and not timed (DESIGN section 10): one point read, no transaction, no thread."""

import pytest
from in_process import asked, deployed
from registry_client import MANIFEST, basic, digest_of, image
from started import ROOT_PASSWORD

from entrepot.capabilities.access.identities.tenants import CreateTenant, create_tenant
from entrepot.capabilities.access.shares import WriteShare, create_share
from entrepot.capabilities.access.targets import Target
from entrepot.capabilities.instances.namespaces import CreateNamespace, create_namespace
from entrepot.metadata import instances, tenants

NAME = "team/app"
REPEATS = 6


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    with deployed(tmp_path_factory.mktemp("counted")) as (operator, app):
        shared = operator.read(instances.default_instance)
        root = operator.read(tenants.root_tenant)
        operator.run(create_namespace, CreateNamespace(shared.id, root.id, "team"))
        login = {"authorization": basic("root", ROOT_PASSWORD)}

        def ask(method, path, **options):
            headers = {**login, **options.pop("headers", {})}
            return asked(operator, app, method, path, headers=headers, **options)

        for content in (b"layer", b"{}"):
            path = f"/v2/{NAME}/blobs/uploads/?digest={digest_of(content)}"
            assert ask("POST", path, content=content).status_code == 201
        headers = {"content-type": MANIFEST}
        path = f"/v2/{NAME}/manifests/latest"
        assert ask("PUT", path, content=image([b"layer"]), headers=headers).status_code == 201
        scope = f"repository:{NAME}:pull"
        token = ask("GET", f"/service/token?scope={scope}").json()["token"]
        yield operator, app, token


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "what",
    ["manifests/latest", f"manifests/{digest_of(image([b'layer']))}", f"blobs/{digest_of(b'layer')}"],
)  # fmt: skip
def test_a_pull_by_token_costs_one_point_read(deployment, method, what):
    operator, app, token = deployment
    path, headers = f"/v2/{NAME}/{what}", {"authorization": f"Bearer {token}"}
    statistics = operator.ctx.db.statistics
    best = None
    for _ in range(REPEATS):  # what runs beside, once a second, is in some of them
        before = statistics.counts()
        answer = asked(operator, app, method, path, headers=headers)
        spent = statistics.counts() - before
        assert answer.status_code == 200
        if best is None or spent.statements < best.statements:
            best = spent
    assert (best.statements, best.points) == (1, 1)
    assert (best.reads, best.writes, best.commits, best.thread_hops) == (0, 0, 0, 0)


def test_a_pull_by_a_share_costs_no_more_once_the_token_is_given(deployment):
    operator, app, _ = deployment
    shared = operator.read(instances.default_instance)
    operator.run(create_tenant, CreateTenant("receiver", "owner", ROOT_PASSWORD))
    target = Target(shared.id, "team", "app")
    operator.run(create_share, WriteShare(target, "receiver", "read", "forever"))
    headers = {"authorization": basic("receiver/owner", ROOT_PASSWORD)}
    path = f"/service/token?scope=repository:{NAME}:pull"
    token = asked(operator, app, "GET", path, headers=headers).json()["token"]
    headers = {"authorization": f"Bearer {token}"}
    spent = []
    for _ in range(REPEATS):
        before = operator.ctx.db.statistics.counts()
        answer = asked(operator, app, "GET", f"/v2/{NAME}/manifests/latest", headers=headers)
        assert answer.status_code == 200
        spent.append((operator.ctx.db.statistics.counts() - before).statements)
    assert min(spent) == 1


def test_a_refused_token_costs_at_most_one_read(deployment):
    operator, app, _ = deployment
    statistics = operator.ctx.db.statistics
    spent = []
    for _ in range(REPEATS):
        before = statistics.counts()
        headers = {"authorization": "Bearer nonsense"}
        answer = asked(operator, app, "GET", f"/v2/{NAME}/manifests/latest", headers=headers)
        assert answer.status_code == 401
        spent.append((statistics.counts() - before).statements)
    assert min(spent) == 0
