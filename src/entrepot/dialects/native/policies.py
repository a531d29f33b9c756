"""Policies: documents that allow and deny, attached to users and groups of the tenant."""

from typing import Final

from entrepot.capabilities.access.identities import policies
from entrepot.dialects.native.endpoints import Endpoint
from entrepot.dialects.native.shapes import (
    Answers,
    Limit,
    Moment,
    Nothing,
    OfTenant,
    Paged,
    ahead,
    shown,
)
from entrepot.dialects.operation import Asked, Operation
from entrepot.model.identities import Policy


class OfPolicy(OfTenant, frozen=True, kw_only=True):
    """A request about a policy of the tenant, or one that is built in, by name."""

    policy: str


class ListPolicies(OfTenant, frozen=True, kw_only=True):
    """List the tenant's policies and those that are built in, by name."""

    after: str = ""
    limit: Limit = 100

    def to_command(self, asked: Asked) -> policies.ListPolicies:
        """One more than is shown."""
        return policies.ListPolicies(asked.tenant, self.after, self.limit + 1)


class CreatePolicy(OfTenant, frozen=True, kw_only=True):
    """Create a policy. `document`: its text; `dialect`: in whose words: `entrepot`, `tcr` (documents of
    Tencent Cloud's CAM) or `swr` (identity policies of Huawei Cloud's IAM)."""

    name: str
    document: str
    dialect: str = "entrepot"
    description: str = ""

    def to_command(self, asked: Asked) -> policies.WritePolicy:
        """Of the tenant."""
        return policies.WritePolicy(
            asked.tenant, self.name, self.document, self.dialect, self.description
        )


class GetPolicy(OfPolicy, frozen=True, kw_only=True):
    """Show a policy with its document and to whom it is attached."""

    def to_command(self, asked: Asked) -> policies.NamedPolicy:
        """By name."""
        return policies.NamedPolicy(asked.tenant, self.policy)


class UpdatePolicy(OfPolicy, frozen=True, kw_only=True):
    """Replace document, dialect and description."""

    document: str
    dialect: str = "entrepot"
    description: str = ""

    def to_command(self, asked: Asked) -> policies.WritePolicy:
        """By name."""
        return policies.WritePolicy(
            asked.tenant, self.policy, self.document, self.dialect, self.description
        )


class DeletePolicy(OfPolicy, frozen=True, kw_only=True):
    """Delete a policy; what it allows and what it denies ends."""

    def to_command(self, asked: Asked) -> policies.NamedPolicy:
        """By name."""
        return policies.NamedPolicy(asked.tenant, self.policy)


class OfUser(OfPolicy, frozen=True, kw_only=True):
    """A policy and a user."""

    user: str

    def to_command(self, asked: Asked) -> policies.AttachPolicy:
        """By names."""
        return policies.AttachPolicy(asked.tenant, self.policy, user=self.user)


class OfGroup(OfPolicy, frozen=True, kw_only=True):
    """A policy and a group."""

    group: str

    def to_command(self, asked: Asked) -> policies.AttachPolicy:
        """By names."""
        return policies.AttachPolicy(asked.tenant, self.policy, group=self.group)


class AttachToUser(OfUser, frozen=True, kw_only=True):
    """Attach a policy to a user; no matter if it was."""


class DetachFromUser(OfUser, frozen=True, kw_only=True):
    """Detach a policy from a user."""


class OfGroupIn(OfGroup, frozen=True, kw_only=True):
    """A policy, a group, and the project where it counts."""

    project: str

    def to_command(self, asked: Asked) -> policies.AttachPolicy:
        """By names."""
        return policies.AttachPolicy(
            asked.tenant, self.policy, group=self.group, project=self.project
        )


class AttachInProject(OfGroupIn, frozen=True, kw_only=True):
    """Attach a policy to a group, to count in one project only; no matter if it was."""


class DetachInProject(OfGroupIn, frozen=True, kw_only=True):
    """Detach a policy from a group that it is attached to in one project."""


class AttachToGroup(OfGroup, frozen=True, kw_only=True):
    """Attach a policy to a group; no matter if it was."""


class DetachFromGroup(OfGroup, frozen=True, kw_only=True):
    """Detach a policy from a group."""


class PolicySummary(Answers, frozen=True, kw_only=True):
    """A policy without its document. One that is built in has neither id nor moment of creation until it is first attached."""

    name: str
    dialect: str
    built_in: bool
    description: str
    id: str | None = None
    created: Moment | None = None

    @classmethod
    def of(cls, result: Policy, _asked: Asked) -> "PolicySummary":
        """As it is."""
        return cls(
            name=result.name,
            dialect=result.dialect,
            built_in=result.is_preset,
            description=result.description,
            id=result.public_id or None,
            created=shown(result.created_at) if result.created_at else None,
        )


class AttachedTo(Answers, frozen=True, kw_only=True):
    """Whom a policy is attached to: a `user`, a `group` (with `project`: and only there), or a `tenant` that it limits."""

    kind: str
    name: str
    project: str | None = None


class PolicyInFull(Answers, frozen=True, kw_only=True):
    """A policy with its document and to whom it is attached."""

    policy: PolicySummary
    document: str
    attached: list[AttachedTo]

    @classmethod
    def of(cls, result: policies.PolicyShown, asked: Asked) -> "PolicyInFull":
        """As it was written."""
        return cls(
            policy=PolicySummary.of(result.policy, asked),
            document=result.policy.document,
            attached=[
                AttachedTo(kind=one.kind, name=one.name, project=one.project or None)
                for one in result.attachments
            ],
        )


class PolicyList(Answers, frozen=True, kw_only=True):
    """A page of policies."""

    items: list[PolicySummary]
    next: str | None = None

    @classmethod
    def of(cls, result: Paged[Policy], asked: Asked) -> "PolicyList":
        """By name."""
        return cls(items=[PolicySummary.of(row, asked) for row in result.rows], next=result.next)


_ALL: Final = "/tenants/{tenant}/policies"
_ONE: Final = f"{_ALL}/{{policy}}"
_IN_PROJECT: Final = f"{_ONE}/groups/{{group}}/projects/{{project}}"
_attach, _detach = policies.attach_policy, policies.detach_policy
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        _ALL,
        Operation(
            "ListPolicies",
            ListPolicies,
            ahead(policies.list_policies, lambda p: p.name),
            PolicyList,
        ),
    ),
    Endpoint(
        "POST",
        _ALL,
        Operation(
            "CreatePolicy", CreatePolicy, policies.create_policy, PolicySummary, changes=True
        ),
        201,
    ),
    Endpoint("GET", _ONE, Operation("GetPolicy", GetPolicy, policies.get_policy, PolicyInFull)),
    Endpoint(
        "PUT",
        _ONE,
        Operation(
            "UpdatePolicy", UpdatePolicy, policies.update_policy, PolicySummary, changes=True
        ),
    ),
    Endpoint(
        "DELETE",
        _ONE,
        Operation("DeletePolicy", DeletePolicy, policies.delete_policy, Nothing, changes=True),
        204,
    ),
    Endpoint(
        "PUT",
        f"{_ONE}/users/{{user}}",
        Operation("AttachToUser", AttachToUser, _attach, Nothing, changes=True),
        204,
    ),
    Endpoint(
        "DELETE",
        f"{_ONE}/users/{{user}}",
        Operation("DetachFromUser", DetachFromUser, _detach, Nothing, changes=True),
        204,
    ),
    Endpoint(
        "PUT",
        f"{_ONE}/groups/{{group}}",
        Operation("AttachToGroup", AttachToGroup, _attach, Nothing, changes=True),
        204,
    ),
    Endpoint(
        "DELETE",
        f"{_ONE}/groups/{{group}}",
        Operation("DetachFromGroup", DetachFromGroup, _detach, Nothing, changes=True),
        204,
    ),
    Endpoint(
        "PUT",
        _IN_PROJECT,
        Operation("AttachInProject", AttachInProject, _attach, Nothing, changes=True),
        204,
    ),
    Endpoint(
        "DELETE",
        _IN_PROJECT,
        Operation("DetachInProject", DetachInProject, _detach, Nothing, changes=True),
        204,
    ),
)
