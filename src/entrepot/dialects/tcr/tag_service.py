"""The tag service (`tag.<suffix>`, version 2018-08-13): what Terraform's resources of an instance ask it for.

A thing is named `<instance>`, or `<instance>#<namespace>` and so on, under a prefix that says of what kind it is.
"""

import hashlib
import re
from typing import Annotated, Final

from msgspec import Meta, Struct, field

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances import resource_tags
from entrepot.capabilities.instances.resource_tags import DescribeTags, ModifyTags, Thing
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.tcr import paging
from entrepot.dialects.tcr.shapes import Answers, Asks, Limit, Nothing, Offset, Text
from entrepot.model.access import Caller
from entrepot.model.errors import ValueInvalid
from entrepot.model.ids import TenantId

VERSION: Final = "2018-08-13"
_SERVICE: Final = "tcr"
_QCS: Final = re.compile(r"qcs::tcr:[^:]*:uin/[0-9]*:([a-zA-Z]+)/(.+)")


def _thing(prefix: str, name: str) -> Thing:
    """An instance, a namespace, or whatever else the client keeps tags of under that prefix."""
    instance, _, inside = name.partition("#")
    if not inside:
        return Thing(instance)
    if "#" not in inside and prefix != "instance":
        return Thing(instance, namespace=inside)
    return Thing(instance, part=f"{prefix}:{inside}")


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
        names = self.resource_ids if self.service_type == _SERVICE else []
        window = paging.rows_from_zero(self.offset, self.limit)
        return Browse(
            {_thing(self.resource_prefix, one): one for one in names}, asked.tenant, window
        )


class Browse(Struct, frozen=True):
    """A page of tags. `things`: what they are called in the request."""

    things: dict[Thing, str]
    tenant: TenantId
    window: paging.Window


class TagOf(Struct, frozen=True):
    """One tag of one thing."""

    resource: str
    key: str
    value: str


class Browsed(Struct, frozen=True):
    """The page, and how many there are on all."""

    rows: list[TagOf]
    window: paging.Window
    total: int


async def browse(ctx: Context, caller: Caller, command: Browse) -> Browsed:
    """Tags in pages; things that are not there for the caller have none."""
    asked = DescribeTags(tuple(command.things), command.tenant)
    held = await resource_tags.describe_tags(ctx, caller, asked)
    found = [
        TagOf(name, key, value)
        for thing, name in command.things.items()
        for key, value in held.get(thing, {}).items()
    ]
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

    def to_command(self, asked: Asked) -> ModifyTags:
        """The thing by its six-part name."""
        parts = _QCS.fullmatch(self.resource)
        if parts is None:
            raise ValueInvalid("Resource", "expected qcs::tcr:<region>:uin/<uin>:<prefix>/<id>")
        return ModifyTags(
            _thing(parts[1], parts[2]),
            {tag.tag_key: tag.tag_value for tag in self.replace_tags or ()},
            [tag.tag_key for tag in self.delete_tags or ()],
            asked.tenant,
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
    Operation(
        "ModifyResourceTags", ModifyResourceTags, resource_tags.modify_tags, Nothing, changes=True
    ),
)
