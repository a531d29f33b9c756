"""A namespace of acme's with a repository, and plain users with policies of their own; both engines."""

import itertools
import json

from entrepot.capabilities.access.identities.caps import Cap, cap_tenant
from entrepot.capabilities.access.identities.grants import SetGrant, set_grant
from entrepot.capabilities.access.identities.policies import (
    AttachPolicy,
    WritePolicy,
    attach_policy,
    create_policy,
)
from entrepot.capabilities.access.targets import Target
from entrepot.metadata import namespaces
from entrepot.model.access import Level

_numbers = itertools.count(1)


def native(*rules: tuple[str, list[str]]) -> str:
    """A document in our own words: (effect, actions) on everything."""
    statements = [{"effect": e, "actions": a, "resources": ["*"]} for e, a in rules]
    return json.dumps({"statements": statements})


def swr(*rules: tuple[str, list[str]], resource="*", **more) -> str:
    """A document in SWR's words; `more` goes into each rule."""
    statements = [
        {"Effect": e.capitalize(), "Action": a, "Resource": resource, **more} for e, a in rules
    ]
    return json.dumps({"Version": "5.0", "Statement": statements})


def tcr(*rules: tuple[str, list[str]]) -> str:
    """A document in TCR's words."""
    statements = [{"effect": e, "action": a, "resource": "*"} for e, a in rules]
    return json.dumps({"version": "2.0", "statement": statements})


def _dialect(document: str) -> str:
    said = json.loads(document)
    return "entrepot" if "statements" in said else "tcr" if "statement" in said else "swr"


def bind(world, cast, name: str, document: str) -> None:
    """A policy of a user of acme's."""
    policy = _policy(world, cast.acme.id, document)
    world.run(attach_policy, cast.owner, AttachPolicy(cast.acme.id, policy, user=name))


def cap(world, cast, document: str) -> None:
    """Limit all of acme."""
    policy = _policy(world, world.root.id, document)
    world.run(cap_tenant, cast.root, Cap(cast.acme.id, policy))


def _policy(world, tenant, document: str) -> str:
    name = f"policy-{next(_numbers)}"
    command = WritePolicy(tenant, name, document, _dialect(document))
    world.run(create_policy, world.operator, command)
    return name


class PeopleOf:
    """Of acme. `team` is there, with `app`."""

    def __init__(self, world, cast):
        self.world, self.cast = world, cast
        self.instance = world.shared.id
        self.space = self.namespace("team")
        self.app = self.repository(self.space, "app")

    def namespace(self, name, **more):
        return self.world.ctx.db.write_sync(
            lambda conn: namespaces.insert_namespace(
                conn, self.instance, self.cast.acme.id, name=name, created_by=None,
                is_public=False, **more,
            )
        )  # fmt: skip

    def repository(self, space, path):
        return self.world.ctx.db.write_sync(
            lambda conn: namespaces.insert_repository(conn, space, path, created_by=None)
        )

    def user(self, name, *documents: str):
        """A new plain user under these policies, logged in."""
        made = self.world.user(self.cast.acme, name)
        for document in documents:
            bind(self.world, self.cast, name, document)
        return self.world.caller(made)

    def grant(self, name, level, path=None, namespace="team") -> None:
        target = Target(self.instance, namespace, path)
        self.world.run(set_grant, self.world.operator, SetGrant(target, name, Level(level)))
