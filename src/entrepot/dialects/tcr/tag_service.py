"""The tag service (`tag.<suffix>`, version 2018-08-13): what Terraform's resources of an instance ask it for.

A thing is named `<instance>`, or `<instance>#<namespace>` and so on, under a prefix that says of what kind it is.
"""

import hashlib
import re
from typing import Annotated, Final

from msgspec import Meta, Struct, field

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances import marking
from entrepot.capabilities.instances.marking import ReadTags, TagOf, Thing, WriteTags
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.tcr import paging
from entrepot.dialects.tcr.shapes import Answers, Asks, Limit, Nothing, Offset, Text
from entrepot.model.access import Caller
from entrepot.model.errors import ValueInvalid

VERSION: Final = "2018-08-13"
_SERVICE: Final = "tcr"
_QCS: Final = re.compile(r"qcs::tcr:[^:]*:uin/[0-9]*:([a-zA-Z]+)/(.+)")


def _thing(prefix: str, resource: str) -> Thing:
    """An instance, a namespace, or whatever else the client keeps tags of under that prefix."""
    parts = resource.count("#")
    if parts == 0:
        return Thing("instance", resource)
    return Thing("namespace" if parts == 1 and prefix != "instance" else prefix, resource)


class DescribeResourceTagsByResourceIds(Asks, frozen=True, kw_only=True):
    """Tags of several things of a kind."""

    service_type: Text
    resource_prefix: Text
    resource_ids: Annotated[list[Text], Meta(max_length=50)]
    resource_region: Text | None = None
    offset: Offset = None
    limit: Limit = None

    def to_command(self, asked: Asked) -> "Browse":
        """Of this service's things only."""
        things = [_thing(self.resource_prefix, name) for name in self.resource_ids]
        if self.service_type != _SERVICE:
            things = []
        window = paging.rows_from_zero(self.offset, self.limit)
        return Browse(ReadTags(things, asked.tenant), window)


class Browse(Struct, frozen=True):
    """A page of tags."""

    asked: ReadTags
    window: paging.Window


class Browsed(Struct, frozen=True):
    """The page, and how many there are on all."""

    rows: list[TagOf]
    window: paging.Window
    total: int


async def browse(ctx: Context, caller: Caller, command: Browse) -> Browsed:
    """Tags in pages."""
    found = await marking.read_tags(ctx, caller, command.asked)
    first = command.window.offset
    return Browsed(found[first : first + command.window.limit], command.window, len(found))


class TagResource(Answers, frozen=True, kw_only=True):
    """A tag of a thing."""

    tag_key: str
    tag_value: str
    resource_id: str
    tag_key_md5: str = field(name="TagKeyMd5")
    tag_value_md5: str = field(name="TagValueMd5")
    service_type: str

    @classmethod
    def of(cls, tag: TagOf) -> "TagResource":
        """As the vendor tells it."""
        return cls(
            tag_key=tag.key,
            tag_value=tag.value,
            resource_id=tag.resource,
            tag_key_md5=_md5(tag.key),
            tag_value_md5=_md5(tag.value),
            service_type=_SERVICE,
        )


class TagsDescribed(Answers, frozen=True, kw_only=True):
    """A page."""

    total_count: int
    offset: int
    limit: int
    tags: list[TagResource]

    @classmethod
    def of(cls, result: Browsed, _asked: Asked) -> "TagsDescribed":
        """Rows and how many there are."""
        return cls(
            total_count=result.total,
            offset=result.window.offset,
            limit=result.window.limit,
            tags=[TagResource.of(row) for row in result.rows],
        )


class KeyValue(Struct, frozen=True, rename="pascal"):
    """A tag to be set."""

    tag_key: Text
    tag_value: Text


class KeyOnly(Struct, frozen=True, rename="pascal"):
    """A tag to be taken away."""

    tag_key: Text


class ModifyResourceTags(Asks, frozen=True, kw_only=True):
    """Set tags of one thing and take others away."""

    resource: Text
    replace_tags: Annotated[list[KeyValue], Meta(max_length=50)] | None = None
    delete_tags: Annotated[list[KeyOnly], Meta(max_length=50)] | None = None

    def to_command(self, asked: Asked) -> WriteTags:
        """The thing by its six-part name."""
        parts = _QCS.fullmatch(self.resource)
        if parts is None:
            raise ValueInvalid("Resource", "expected qcs::tcr:<region>:uin/<uin>:<prefix>/<id>")
        return WriteTags(
            _thing(parts[1], parts[2]),
            asked.tenant,
            {tag.tag_key: tag.tag_value for tag in self.replace_tags or ()},
            [tag.tag_key for tag in self.delete_tags or ()],
        )


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


OPERATIONS: Final = (
    Operation(
        "DescribeResourceTagsByResourceIds",
        DescribeResourceTagsByResourceIds,
        browse,
        TagsDescribed,
    ),
    Operation("ModifyResourceTags", ModifyResourceTags, marking.write_tags, Nothing, changes=True),
)
