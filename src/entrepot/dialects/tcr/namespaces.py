"""Namespaces of an instance."""

from typing import Annotated, Any, Final

from msgspec import Meta, Struct, field

from entrepot.capabilities.instances import browsing, namespaces
from entrepot.capabilities.instances.browsing import BrowseNamespaces, NamespacePage
from entrepot.capabilities.instances.namespaces import NamedNamespace
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.tcr import paging, times
from entrepot.dialects.tcr.shapes import (
    Answers,
    Asks,
    Filters,
    Limit,
    Nothing,
    Offset,
    OfRegistry,
    TagSpecification,
    Text,
    filters,
    specification,
    tag_pair,
)
from entrepot.metadata.browsing import Slice
from entrepot.model.tenancy import NamespaceDetails

_KIND: Final = "namespace"  # of its tags
_FILTERS: Final = frozenset({"Tags"})


class OneNamespace(OfRegistry, frozen=True, kw_only=True):
    """A namespace by name."""

    namespace_name: Text

    def named(self, asked: Asked) -> NamedNamespace:
        """The caller's tenant's."""
        return NamedNamespace(asked.instance.id, self.namespace_name, asked.tenant)


class Weakness(Struct, frozen=True, rename={"cve_id": "CVEID"}):
    """A weakness that does not count."""

    cve_id: Annotated[str, Meta(max_length=64)] | None = None


class Scanned(OneNamespace, frozen=True, kw_only=True):
    """A namespace and what newer clients say about scanning it, which is kept and given back."""

    is_auto_scan: bool | None = None
    is_prevent_vul: bool | None = field(default=None, name="IsPreventVUL")
    severity: Annotated[str, Meta(max_length=64)] | None = None
    cve_whitelist_items: Annotated[list[Weakness], Meta(max_length=100)] | None = field(
        default=None, name="CVEWhitelistItems"
    )

    def facts(self) -> dict[str, Any]:
        """What was said, by the names it is told under."""
        ids = None
        if self.cve_whitelist_items is not None:
            ids = [item.cve_id for item in self.cve_whitelist_items if item.cve_id]
        said = {
            "AutoScan": self.is_auto_scan,
            "PreventVUL": self.is_prevent_vul,
            "Severity": self.severity,
            "CVEWhitelistItems": ids,
        }
        return {name: value for name, value in said.items() if value is not None}


class CreateNamespace(Scanned, frozen=True, kw_only=True):
    """Make one."""

    is_public: bool
    tag_specification: TagSpecification | None = None

    def to_command(self, asked: Asked) -> namespaces.CreateNamespace:
        """Of the caller's tenant."""
        spec = self.tag_specification
        return namespaces.CreateNamespace(
            asked.instance.id,
            asked.tenant,
            self.namespace_name,
            is_public=self.is_public,
            tags={} if spec is None else dict(spec.pairs(_KIND)),
            facts=self.facts(),
        )


class ModifyNamespace(Scanned, frozen=True, kw_only=True):
    """Change it."""

    is_public: bool
    tag_specification: TagSpecification | None = None

    def to_command(self, asked: Asked) -> namespaces.ModifyNamespace:
        """What is absent stays."""
        spec = self.tag_specification
        return namespaces.ModifyNamespace(
            self.named(asked),
            self.is_public,
            tags=None if spec is None else dict(spec.pairs(_KIND)),
            facts=self.facts(),
        )


class DeleteNamespace(OneNamespace, frozen=True, kw_only=True):
    """Delete an empty one."""

    def to_command(self, asked: Asked) -> NamedNamespace:
        """By name."""
        return self.named(asked)


class DescribeNamespaces(OfRegistry, frozen=True, kw_only=True):
    """A page of the instance's namespaces."""

    namespace_name: Text | None = None
    limit: Limit = None
    offset: Offset = None
    all: bool | None = None
    filters: Filters = None
    kms_sign_policy: bool | None = None

    def to_command(self, asked: Asked) -> BrowseNamespaces:
        """Pages count from 0; the name matches in part."""
        window = paging.pages_from_zero(self.offset, self.limit)
        tags = filters(self.filters, _FILTERS).get("Tags")
        return BrowseNamespaces(
            asked.tenant,
            asked.instance.id,
            name=self.namespace_name or "",
            tag=tag_pair(tags[0]) if tags else None,
            window=Slice() if self.all else Slice(window.offset, window.limit),
        )


class DescribeInstanceAllNamespaces(Asks, frozen=True, kw_only=True):
    """A page of the namespaces of all instances."""

    limit: Limit = None
    offset: Offset = None

    def to_command(self, asked: Asked) -> BrowseNamespaces:
        """Offset counts rows."""
        window = paging.rows_from_zero(self.offset, self.limit)
        return BrowseNamespaces(asked.tenant, window=Slice(window.offset, window.limit))


class KeyValueString(Struct, frozen=True, rename="pascal"):
    """A key and a value."""

    key: str
    value: str


class TcrNamespaceInfo(Answers, frozen=True, kw_only=True):
    """A namespace."""

    name: str
    creation_time: str
    public: bool
    namespace_id: int
    tag_specification: TagSpecification
    metadata: list[KeyValueString]
    auto_scan: bool
    prevent_vul: bool = field(name="PreventVUL")
    severity: str
    cve_whitelist_items: list[Weakness] = field(name="CVEWhitelistItems")

    @classmethod
    def of(cls, found: NamespaceDetails) -> "TcrNamespaceInfo":
        """As the vendor tells it; what nobody said is false or empty."""
        namespace, facts = found.namespace, found.facts
        public = "true" if namespace.is_public else "false"
        return cls(
            name=namespace.name,
            creation_time=times.iso(namespace.created_at),
            public=namespace.is_public,
            namespace_id=found.number,
            tag_specification=specification(_KIND, found.tags),
            metadata=[KeyValueString("public", public)],
            auto_scan=facts.get("AutoScan", False),
            prevent_vul=facts.get("PreventVUL", False),
            severity=facts.get("Severity", ""),
            cve_whitelist_items=[Weakness(name) for name in facts.get("CVEWhitelistItems", ())],
        )


class NamespacesDescribed(Answers, frozen=True, kw_only=True):
    """A page."""

    namespace_list: list[TcrNamespaceInfo]
    total_count: int

    @classmethod
    def of(cls, result: NamespacePage, _asked: Asked) -> "NamespacesDescribed":
        """Rows and how many there are."""
        rows = [TcrNamespaceInfo.of(row) for row in result.rows]
        return cls(namespace_list=rows, total_count=result.total)


OPERATIONS: Final = (
    Operation(
        "CreateNamespace", CreateNamespace, namespaces.create_namespace, Nothing, changes=True
    ),
    Operation(
        "ModifyNamespace", ModifyNamespace, namespaces.modify_namespace, Nothing, changes=True
    ),
    Operation(
        "DeleteNamespace", DeleteNamespace, namespaces.delete_namespace, Nothing, changes=True
    ),
    Operation(
        "DescribeNamespaces",
        DescribeNamespaces,
        browsing.browse_namespaces,
        NamespacesDescribed,
    ),
    Operation(
        "DescribeInstanceAllNamespaces",
        DescribeInstanceAllNamespaces,
        browsing.browse_namespaces,
        NamespacesDescribed,
    ),
)
