"""What happened to content. A change writes one event row in its transaction; a fan-out task hands it to its consumers."""

from dataclasses import dataclass, field
from enum import StrEnum

from entrepot.model.ids import InstanceId, Micros, NamespaceId, RepositoryId, TenantId


class EventKind(StrEnum):
    """Kinds of events."""

    MANIFEST_PUSHED = "manifest.pushed"  # with the tag when it was pushed by tag
    TAG_DELETED = "tag.deleted"
    MANIFEST_DELETED = "manifest.deleted"
    REPOSITORY_CREATED = "repository.created"
    REPOSITORY_DELETED = "repository.deleted"
    NAMESPACE_CREATED = "namespace.created"
    NAMESPACE_DELETED = "namespace.deleted"
    RESTORED = "content.restored"  # by undelete


@dataclass(frozen=True, slots=True)
class Event:
    """Who did what, where, when."""

    kind: EventKind
    actor: str
    happened_at: Micros
    tenant: TenantId | None = None
    instance: InstanceId | None = None
    namespace: NamespaceId | None = None
    repository: RepositoryId | None = None
    repository_name: str | None = None
    digest: str | None = None
    tag: str | None = None
    details: dict[str, object] = field(default_factory=dict)
