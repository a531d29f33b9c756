"""Every operation by who may ask it: standing, grants on organization and repository, policies, strangers, disabled keys.

Requests are such that who may is told of what is not there, or of nothing wrong: the table can be walked in any order.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from office import Office, Person
from swr_contract import BY_NAME

from entrepot.capabilities.access.identities.grants import SetGrant, set_grant
from entrepot.capabilities.access.identities.keys import EnableKey, enable_key
from entrepot.capabilities.access.identities.policies import (
    AttachPolicy,
    WritePolicy,
    attach_policy,
    create_policy,
)
from entrepot.capabilities.access.targets import Target
from entrepot.model.access import Level, Role

pytestmark = pytest.mark.broad

REFUSED = {401, 403}
EVERYBODY, NAMESPACE, REPOSITORY, GRANTING, MAKING = (
    "all",
    "namespace",
    "repository",
    "grant",
    "make",
)


@dataclass(frozen=True)
class Row:
    """`scope`: what the level is on; `level`: the least that may."""

    scope: str
    level: Level = Level.NONE
    body: Any = None
    query: dict[str, str] = field(default_factory=dict)


def reads(**query: str) -> Row:
    return Row(REPOSITORY, Level.READ, query=query)


def edits(body: Any = None) -> Row:
    return Row(REPOSITORY, Level.EDIT, body)


NOBODY = [{"user_id": "0" * 32, "user_name": "nobody", "auth": 1}]
TRIGGER = {
    "action": "update",
    "app_type": "deployments",
    "application": "web",
    "cluster_id": "",
    "cluster_name": "",
    "cluster_ns": "default",
    "condition": ".*",
    "enable": "false",
    "trigger_mode": "cci",
    "trigger_type": "all",
}
RULE = {
    "algorithm": "or",
    "rules": [{"template": "date_rule", "params": {"days": "30"}, "tag_selectors": []}],
}
ROWS = {
    "CreateNamespace": Row(MAKING, body=lambda office: {"namespace": office.fresh("perm")}),
    "ListNamespaces": Row(EVERYBODY),
    "ShowNamespace": Row(NAMESPACE, Level.READ),
    "DeleteNamespaces": Row(NAMESPACE, Level.MANAGE),
    "CreateRepo": Row(
        NAMESPACE,
        Level.EDIT,
        lambda office: {"repository": office.fresh("perm"), "is_public": False},
    ),
    "UpdateRepo": edits({"is_public": False}),
    "DeleteRepo": edits(),
    "ShowRepository": reads(),
    "ListReposDetails": Row(EVERYBODY),
    "ListSharedReposDetails": Row(EVERYBODY, query={"center": "self"}),
    "ListRepositoryTags": reads(),
    "ShowRepoTag": reads(),
    "DeleteRepoTag": edits(),
    "CreateRepoTag": edits({"source_tag": "nothing", "destination_tag": "x"}),
    "CreateRepoDomains": Row(
        REPOSITORY,
        Level.MANAGE,
        {"access_domain": "nobody", "permit": "read", "deadline": "forever"},
    ),
    "ListRepoDomains": reads(),
    "ShowAccessDomain": reads(),
    "UpdateRepoDomains": Row(REPOSITORY, Level.MANAGE, {"permit": "read", "deadline": "forever"}),
    "DeleteRepoDomains": Row(REPOSITORY, Level.MANAGE),
    "CreateNamespaceAuth": Row(NAMESPACE, Level.MANAGE, NOBODY),
    "UpdateNamespaceAuth": Row(NAMESPACE, Level.MANAGE, NOBODY),
    "DeleteNamespaceAuth": Row(NAMESPACE, Level.MANAGE, ["0" * 32]),
    "ShowNamespaceAuth": Row(NAMESPACE, Level.READ),
    "CreateUserRepositoryAuth": Row(GRANTING, body=NOBODY),
    "UpdateUserRepositoryAuth": Row(GRANTING, body=NOBODY),
    "DeleteUserRepositoryAuth": Row(GRANTING, body=["0" * 32]),
    "ShowUserRepositoryAuth": reads(),
    "CreateSecret": Row(EVERYBODY),
    "CreateAuthorizationToken": Row(EVERYBODY),
    "ListQuotas": Row(EVERYBODY),
    "CreateImageSyncRepo": edits({"remoteRegionId": "nowhere", "remoteNamespace": "x"}),
    "ListImageAutoSyncReposDetails": reads(),
    "DeleteImageSyncRepo": edits({"remoteRegionId": "nowhere", "remoteNamespace": "x"}),
    "CreateManualImageSyncRepo": edits(
        {"remoteRegionId": "nowhere", "remoteNamespace": "x", "imageTag": ["v1"]}
    ),
    "ShowSyncJob": reads(filter="limit::10|offset::0"),
    "ListSyncRegions": Row(EVERYBODY),
    "CreateTrigger": edits(lambda office: {**TRIGGER, "name": office.fresh("perm")}),
    "ListTriggersDetails": reads(),
    "ShowTrigger": reads(),
    "UpdateTrigger": edits({"enable": "false"}),
    "DeleteTrigger": edits(),
    "CreateRetention": edits(RULE),
    "ListRetentions": reads(),
    "ShowRetention": reads(),
    "UpdateRetention": edits(RULE),
    "DeleteRetention": edits(),
    "ListRetentionHistories": reads(),
    "ShowDomainOverview": Row(EVERYBODY),
    "ListRepoDetails": Row(EVERYBODY),
    "ListRepositoryTag": reads(),
    "ListSharedRepoDetails": Row(EVERYBODY, query={"shared_by": "self"}),
}


@dataclass(frozen=True)
class Who:
    """A caller. `namespace`, `repository`: the level of a grant there; `policy`: a statement's effect for exactly the operation."""

    name: str
    namespace: Level = Level.NONE
    repository: Level = Level.NONE
    may_all: bool = False
    may_none: bool = False
    policy: str = ""

    def may(self, row: Row) -> bool:
        if self.may_none or self.policy == "Deny":
            return False
        if self.may_all or self.policy == "Allow" or row.scope == EVERYBODY:
            return True
        if row.scope == MAKING:
            return False
        if row.scope == GRANTING:
            return self.namespace >= Level.EDIT or self.repository >= Level.MANAGE
        on_repository = self.repository if row.scope == REPOSITORY else Level.NONE
        return max(self.namespace, on_repository) >= row.level


WHO = [
    Who("owner", may_all=True),
    Who("administrator", may_all=True),
    Who("member"),
    *(Who(f"namespace-{level.name}", namespace=level) for level in Level if level),
    *(Who(f"repository-{level.name}", repository=level) for level in Level if level),
    Who("allowed", policy="Allow"),
    Who("denied", policy="Deny", namespace=Level.MANAGE),
    Who("disabled", may_none=True),
    Who("stranger", may_none=True),
]


class Stage:
    """One organization with one repository that has a tag, and everybody."""

    def __init__(self, office: Office, stranger: Person) -> None:
        self.office = office
        self.organization, self.repository = office.repository()
        office.push(f"{self.organization}/{self.repository}", "v1")
        self.people = {"owner": office.owner, "stranger": stranger, "member": office.member}
        for who in WHO:
            if who.name not in self.people:
                self.people[who.name] = self._hire(who)

    def _hire(self, who: Who) -> Person:
        role = Role.ADMINISTRATOR if who.name == "administrator" else Role.MEMBER
        person = self.office.hire(who.name.lower(), role)
        run, instance = self.office.operator.run, self.office.instance
        if who.namespace:
            target = Target(instance, self.organization)
            run(set_grant, SetGrant(target, person.user.name, who.namespace))
        if who.repository:
            target = Target(instance, self.organization, self.repository)
            run(set_grant, SetGrant(target, person.user.name, who.repository))
        if who.name == "disabled":
            run(enable_key, EnableKey(self.office.tenant.id, person.key_id, enabled=False))
        return person

    def attach(self, person: Person, effect: str, action: str) -> None:
        """A policy for exactly that action, instead of the former."""
        name = self.office.fresh("policy")
        statement = f'{{"Effect": "{effect}", "Action": ["{action}"]}}'
        document = f'{{"Version": "1.1", "Statement": [{statement}]}}'
        run, tenant = self.office.operator.run, self.office.tenant.id
        run(create_policy, WritePolicy(tenant, name, document, "swr"))
        run(attach_policy, AttachPolicy(tenant, name, user=person.user.name))

    def ask(self, who: Who, name: str) -> int:
        """The status."""
        endpoint, row = BY_NAME[name], ROWS[name]
        person = self.people[who.name]
        if who.policy:
            person = self.office.hire(self.office.fresh(f"by-{who.policy.lower()}"))
            if who.namespace:
                target = Target(self.office.instance, self.organization)
                self.office.operator.run(
                    set_grant, SetGrant(target, person.user.name, who.namespace)
                )
            self.attach(person, who.policy, endpoint.action)
        path = endpoint.path
        for part, real in {
            "{namespace}": self.organization,
            "{repository}": self.repository,
            "{tag}": "nothing",
            "{project_id}": self.office.project.public_id,
            "{retention_id}": "999999",
            "{trigger}": "nothing",
            "{access_domain}": "nobody",
        }.items():
            path = path.replace(part, real)
        body = row.body(self.office) if callable(row.body) else row.body
        return person.send(endpoint.method, path, body, row.query).status


@pytest.fixture(scope="session")
def stage(new_office: Callable[[], Office]) -> Stage:
    return Stage(new_office(), new_office().owner)


def test_every_operation_has_a_row():
    assert set(ROWS) >= set(BY_NAME)


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_who_may_do_it_and_nobody_else(stage: Stage, name: str):
    row = ROWS[name]
    wrong = {}
    for who in WHO:
        if who.name == "stranger" and row.scope in (EVERYBODY, MAKING):
            continue  # at home they may
        if who.policy == "Deny" and row.scope == EVERYBODY:
            continue  # lists are empty then, which the contract tests of policies look at
        status = stage.ask(who, name)
        if (status not in REFUSED) != who.may(row):
            wrong[who.name] = status
    assert wrong == {}
