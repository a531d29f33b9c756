"""Repositories and images. Everywhere an input takes the bare name of a repository; lists give `<namespace>/<repository>`."""

from typing import Annotated, Final

from msgspec import Meta

from entrepot.capabilities.content import browsing, copying, deleting, repositories
from entrepot.capabilities.content.browsing import (
    BrowseRepositories,
    BrowseTags,
    ImageDocuments,
    ImageNamed,
    Rows,
)
from entrepot.capabilities.content.deleting import EndTags
from entrepot.capabilities.content.place import Place
from entrepot.capabilities.content.repositories import Described
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.tcr import paging, times
from entrepot.dialects.tcr.shapes import Answers, Limit, Nothing, Offset, OfRegistry, Text, place
from entrepot.metadata.browsing import Slice
from entrepot.model.content import RepositoryDetails, TagDetails
from entrepot.model.errors import TagInvalid, ValueInvalid
from entrepot.oci.reference import TagSyntaxError, parse_tag

_SORTS: Final = {
    "creation_time": "created_at",
    "name": "name",
    "update_time": "updated_at",
}
MAX_TAGS: Final = 20  # of one DeleteRepositoryTags


def _tag(text: str) -> str:
    try:
        return parse_tag(text)
    except TagSyntaxError as error:
        raise TagInvalid(text[:200]) from error


# -- repositories -----------------------------------------------------------------------------------------------------


class CreateRepository(OfRegistry, frozen=True, kw_only=True):
    """Make an empty one."""

    namespace_name: Text
    repository_name: Text
    brief_description: Text | None = None
    description: Annotated[str, Meta(max_length=65536)] | None = None

    def to_command(self, asked: Asked) -> Described:
        """Absent texts are empty."""
        where = place(asked, self.namespace_name, self.repository_name)
        said = {"brief": self.brief_description or "", "description": self.description or ""}
        return Described(where, said)


class ModifyRepository(OfRegistry, frozen=True, kw_only=True):
    """Say something else about it."""

    namespace_name: Text
    repository_name: Text
    brief_description: Text
    description: Annotated[str, Meta(max_length=65536)]

    def to_command(self, asked: Asked) -> Described:
        """Both texts replace what was there."""
        where = place(asked, self.namespace_name, self.repository_name)
        said = {"brief": self.brief_description, "description": self.description}
        return Described(where, said)


class DeleteRepository(OfRegistry, frozen=True, kw_only=True):
    """Delete it with all that is in it, unless `ForceDelete` is false and something is."""

    namespace_name: Text
    repository_name: Text
    force_delete: bool | None = None

    def to_command(self, asked: Asked) -> deleting.DeleteRepository:
        """Absent `ForceDelete` means true."""
        where = place(asked, self.namespace_name, self.repository_name)
        return deleting.DeleteRepository(where, only_empty=self.force_delete is False)


class DescribeRepositories(OfRegistry, frozen=True, kw_only=True):
    """A page of the caller's repositories."""

    namespace_name: Text | None = None
    repository_name: Text | None = None
    offset: Offset = None
    limit: Limit = None
    sort_by: Text | None = None

    def to_command(self, asked: Asked) -> BrowseRepositories:
        """Names match in part; `-` in front of the sort key means descending."""
        window = paging.pages_from_one(self.offset, self.limit)
        key = (self.sort_by or "name").removeprefix("-")
        if key not in _SORTS:
            raise ValueInvalid(
                "SortBy", f"expected one of {', '.join(_SORTS)}, each with or without -"
            )
        return BrowseRepositories(
            asked.instance.id,
            asked.tenant,
            namespace=self.namespace_name or "",
            name=self.repository_name or "",
            sort=_SORTS[key],
            descending=(self.sort_by or "").startswith("-"),
            window=Slice(window.offset, window.limit),
        )


class TcrRepositoryInfo(Answers, frozen=True, kw_only=True):
    """A repository."""

    name: str
    namespace: str
    creation_time: str
    public: bool
    description: str
    brief_description: str
    update_time: str

    @classmethod
    def of(cls, found: RepositoryDetails) -> "TcrRepositoryInfo":
        """As the vendor tells it, times as Go prints them."""
        return cls(
            name=found.repository.full_name,
            namespace=found.repository.namespace_name,
            creation_time=times.go_text(found.created_at),
            public=found.repository.is_public,
            description=found.description,
            brief_description=found.brief,
            update_time=times.go_text(found.updated_at),
        )


class RepositoriesDescribed(Answers, frozen=True, kw_only=True):
    """A page."""

    repository_list: list[TcrRepositoryInfo]
    total_count: int

    @classmethod
    def of(cls, result: Rows[RepositoryDetails], _asked: Asked) -> "RepositoriesDescribed":
        """Rows and how many there are."""
        rows = [TcrRepositoryInfo.of(row) for row in result.rows]
        return cls(repository_list=rows, total_count=result.total)


# -- images -----------------------------------------------------------------------------------------------------------


class DescribeImages(OfRegistry, frozen=True, kw_only=True):
    """A page of a repository's tags."""

    namespace_name: Text
    repository_name: Text
    image_version: Text | None = None
    limit: Limit = None
    offset: Offset = None
    digest: Text | None = None
    exact_match: bool | None = None

    def to_command(self, asked: Asked) -> BrowseTags:
        """`ImageVersion` matches in part unless `ExactMatch` is true."""
        window = paging.pages_from_one(self.offset, self.limit)
        return BrowseTags(
            place(asked, self.namespace_name, self.repository_name),
            name=self.image_version or "",
            is_exact=self.exact_match is True,
            digest=self.digest or "",
            window=Slice(window.offset, window.limit),
        )


class TcrImageInfo(Answers, frozen=True, kw_only=True):
    """A tag and what it means."""

    digest: str
    size: int
    image_version: str
    update_time: str
    kind: str
    kms_signature: str

    @classmethod
    def of(cls, found: TagDetails) -> "TcrImageInfo":
        """As the vendor tells it, time in RFC 3339."""
        return cls(
            digest=found.digest,
            size=found.size,
            image_version=found.name,
            update_time=times.rfc3339(found.set_at),
            kind=f"Artifact::{found.media_type}",
            kms_signature="",
        )


class ImagesDescribed(Answers, frozen=True, kw_only=True):
    """A page."""

    image_info_list: list[TcrImageInfo]
    total_count: int

    @classmethod
    def of(cls, result: Rows[TagDetails], _asked: Asked) -> "ImagesDescribed":
        """Rows and how many there are."""
        return cls(
            image_info_list=[TcrImageInfo.of(row) for row in result.rows], total_count=result.total
        )


class OneImage(OfRegistry, frozen=True, kw_only=True):
    """An image by its tag."""

    namespace_name: Text
    repository_name: Text
    image_version: Text

    def where(self, asked: Asked) -> Place:
        """Its repository."""
        return place(asked, self.namespace_name, self.repository_name)


class DescribeImageManifests(OneImage, frozen=True, kw_only=True):
    """Its documents."""

    def to_command(self, asked: Asked) -> ImageNamed:
        """By tag."""
        return ImageNamed(self.where(asked), _tag(self.image_version))


class ManifestsDescribed(Answers, frozen=True, kw_only=True):
    """Both are JSON texts; an index has no config."""

    manifest: str
    config: str

    @classmethod
    def of(cls, result: ImageDocuments, _asked: Asked) -> "ManifestsDescribed":
        """As stored."""
        return cls(manifest=result.manifest, config=result.config)


class DeleteImage(OneImage, frozen=True, kw_only=True):
    """Take the tag away; the manifest waits for the collector."""

    def to_command(self, asked: Asked) -> EndTags:
        """One tag."""
        return EndTags(self.where(asked), (_tag(self.image_version),))


class DeleteRepositoryTags(OfRegistry, frozen=True, kw_only=True):
    """Take several tags away, all or none."""

    namespace_name: Text
    repository_name: Text
    tags: Annotated[list[Text], Meta(min_length=1, max_length=MAX_TAGS)]

    def to_command(self, asked: Asked) -> EndTags:
        """At most twenty."""
        where = place(asked, self.namespace_name, self.repository_name)
        return EndTags(where, tuple(_tag(tag) for tag in self.tags))


class DuplicateImage(OfRegistry, frozen=True, kw_only=True):
    """Give an image another name."""

    source_namespace: Text
    source_repo: Text
    source_reference: Text
    destination_tag: Text
    destination_namespace: Text | None = None
    destination_repo: Text | None = None
    override: bool | None = None

    def to_command(self, asked: Asked) -> copying.DuplicateImage:
        """What the target does not say is as in the source."""
        target = place(
            asked,
            self.destination_namespace or self.source_namespace,
            self.destination_repo or self.source_repo,
        )
        return copying.DuplicateImage(
            place(asked, self.source_namespace, self.source_repo),
            _tag(self.source_reference),
            target,
            _tag(self.destination_tag),
            replace=self.override is True,
        )


OPERATIONS: Final = (
    Operation(
        "CreateRepository",
        CreateRepository,
        repositories.create_repository,
        Nothing,
        changes=True,
    ),
    Operation(
        "ModifyRepository",
        ModifyRepository,
        repositories.describe_repository,
        Nothing,
        changes=True,
    ),
    Operation(
        "DeleteRepository",
        DeleteRepository,
        deleting.remove_repository,
        Nothing,
        changes=True,
    ),
    Operation(
        "DescribeRepositories",
        DescribeRepositories,
        browsing.browse_repositories,
        RepositoriesDescribed,
    ),
    Operation("DescribeImages", DescribeImages, browsing.browse_tags, ImagesDescribed),
    Operation(
        "DescribeImageManifests", DescribeImageManifests, browsing.show_image, ManifestsDescribed
    ),
    Operation("DeleteImage", DeleteImage, deleting.end_tags, Nothing, changes=True),
    Operation(
        "DeleteRepositoryTags", DeleteRepositoryTags, deleting.end_tags, Nothing, changes=True
    ),
    Operation("DuplicateImage", DuplicateImage, copying.duplicate_image, Nothing, changes=True),
)
