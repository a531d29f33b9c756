"""Changes that are denied are in the audit trail: by what they would have been, and as few rows as there are kinds of them."""

import time
from collections.abc import Callable

import sqlalchemy as sa
from office import Office

from entrepot.metadata.schema import audit


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_many_of_one_kind_are_few_rows(office: Office):
    organization, repository = office.repository()
    eve = office.hire("eve")
    path = f"/v2/manage/namespaces/{organization}/repositories/{repository}/access-domains"
    body = {"access_domain": "nobody", "permit": "read", "deadline": "forever"}
    for _ in range(12):
        assert eve.send("POST", path, body).status == 403
    query = sa.select(audit.c.resource, audit.c.outcome, audit.c.details).where(
        audit.c.action == "share.create", audit.c.actor == "eve"
    )

    def rows():
        return office.operator.read(lambda conn: conn.execute(query).all())

    def times():
        return sum(row.details.get("times", 1) for row in rows())

    wait_for(lambda: times() == 12)
    assert len(rows()) < 12
    for row in rows():
        assert (row.resource, row.outcome) == (f"{organization}/{repository}", "denied")
        assert row.details["reason"] == "repository:manage"
        assert row.details["operation"] == "swr:repo:createRepoDomain"


def test_naming_a_project_of_others_is_there_wherever_it_is_named(
    office: Office, new_office: Callable[[], Office]
):
    theirs = new_office().project.public_id
    mia = office.hire("mia")
    for answer in (
        mia.send("GET", "/v2/manage/namespaces", X_Project_Id=theirs),
        mia.send("GET", f"/v2/manage/projects/{theirs}/quotas"),
        mia.send("POST", "/v2/manage/utils/secret", query={"projectname": theirs}),
    ):
        assert (answer.status, answer.code) == (403, "4039001")
    query = sa.select(audit.c.resource, audit.c.outcome, audit.c.details).where(
        audit.c.action == "project.enter", audit.c.actor == "mia"
    )

    def rows():
        return office.operator.read(lambda conn: conn.execute(query).all())

    wait_for(lambda: sum(row.details.get("times", 1) for row in rows()) == 3)
    assert {(row.resource, row.outcome) for row in rows()} == {(f"project {theirs}", "denied")}
