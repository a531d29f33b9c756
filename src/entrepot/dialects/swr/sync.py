"""Image sync: rules, copying tags now, and the jobs of that (swr-behaviour section 8). Everything here is camelCase.

`remoteNamepace` is what one table of the vendor's prints for `remoteNamespace`: both are read, and both are told.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from entrepot.capabilities.content.place import Place
from entrepot.capabilities.policies import sync_now, syncing
from entrepot.capabilities.policies.sync_now import MOST_TAGS, JobsOf, ListJobs, SyncTags
from entrepot.capabilities.policies.syncing import DropRule, PutRule, RegionsFor, RulesOf
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.swr import paging, shapes
from entrepot.dialects.swr.endpoints import Endpoint
from entrepot.dialects.swr.refusal import Refusal
from entrepot.dialects.swr.shapes import Asks, Nothing, OfRepository, Text, shown
from entrepot.model.errors import QuotaExceeded
from entrepot.model.syncing import SyncJob, SyncRule, SyncTarget

_PAGE: Final = 100
_MISSING: Final = "4001014"
_FILTER_WRONG: Final = "4001035"
_TOLD: Final[Mapping[str, str]] = {
    "created_at": "createdAt",
    "domain_id": "domainID",
    "domain_name": "domainName",
    "region_id": "regionID",
    "remote_namepace": "remoteNamepace",
    "remote_namespace": "remoteNamespace",
    "remote_region_id": "remoteRegionId",
    "repo_name": "repoName",
    "sync_auto": "syncAuto",
    "sync_operator_id": "syncOperatorId",
    "sync_operator_name": "syncOperatorName",
    "updated_at": "updatedAt",
}


class OfTarget(OfRepository, frozen=True, kw_only=True, rename="camel"):
    """A request that names where images go."""

    remote_region_id: Text
    remote_namespace: Text = ""
    remote_namepace: Text = ""

    def target(self) -> SyncTarget:
        """Where to. Raises Refusal."""
        namespace = self.remote_namespace or self.remote_namepace
        for name, value in (
            ("remoteRegionId", self.remote_region_id),
            ("remoteNamespace", namespace),
        ):
            if not value:
                raise Refusal(_MISSING, f"{name} is missing")
        return SyncTarget(self.remote_region_id, namespace)


class CreateImageSyncRepo(OfTarget, frozen=True, kw_only=True, rename="camel"):
    """Make a rule, or change the one for that target."""

    sync_auto: bool = False
    override: bool = False

    def to_command(self, asked: Asked) -> PutRule:
        """Pushes from now on."""
        return PutRule(self.place(asked), self.target(), self.sync_auto, self.override)


class DeleteImageSyncRepo(OfTarget, frozen=True, kw_only=True, rename="camel"):
    """End the rule for a target."""

    def to_command(self, asked: Asked) -> DropRule:
        """By where it leads to."""
        return DropRule(self.place(asked), self.target())


class CreateManualImageSyncRepo(OfTarget, frozen=True, kw_only=True, rename="camel"):
    """Copy tags now."""

    image_tag: Annotated[list[Text], Meta(max_length=MOST_TAGS)]
    override: bool = False

    def to_command(self, asked: Asked) -> SyncTags:
        """At least one. Raises Refusal."""
        if not self.image_tag:
            raise Refusal(_MISSING, "imageTag is empty")
        return SyncTags(self.place(asked), tuple(self.image_tag), self.target(), self.override)


class ListImageAutoSyncReposDetails(OfRepository, frozen=True, kw_only=True):
    """List the rules of a repository."""

    def to_command(self, asked: Asked) -> Place:
        """By its address."""
        return self.place(asked)


class ShowSyncJob(OfRepository, frozen=True, kw_only=True):
    """List the jobs of a repository, the newest first. Without a `filter`, as the vendor's own example has it: the first page."""

    limit: Text | None = None
    offset: Text | None = None
    order: Literal["asc", "desc"] = "desc"

    def to_command(self, asked: Asked) -> ListJobs:
        """A page of them, by number."""
        window = paging.window(self.limit, self.offset, default=_PAGE)
        return ListJobs(self.place(asked), window, is_rising=self.order == "asc")


class ListSyncRegions(Asks, frozen=True, kw_only=True):
    """List what `remoteRegionId` may be."""

    def to_command(self, asked: Asked) -> RegionsFor:
        """For this account."""
        return RegionsFor(asked.tenant)


# -- answers ----------------------------------------------------------------------------------------------------------


class SyncRepo(Struct, frozen=True, kw_only=True, rename=_TOLD):
    """A rule."""

    created_at: str
    domain_id: str
    domain_name: str
    id: int
    namespace: str
    override: bool
    remote_namespace: str
    remote_namepace: str
    remote_region_id: str
    repo_name: str
    sync_auto: bool
    updated_at: str

    @classmethod
    def of(cls, rule: SyncRule, result: RulesOf, asked: Asked) -> "SyncRepo":
        """As it is."""
        return cls(
            created_at=shown(rule.created_at),
            domain_id=asked.tenant_public_id,
            domain_name=asked.tenant_name,
            id=rule.id,
            namespace=result.repository.namespace_name,
            override=rule.overrides,
            remote_namespace=rule.target.namespace,
            remote_namepace=rule.target.namespace,
            remote_region_id=rule.target.region,
            repo_name=result.repository.path,
            sync_auto=rule.is_automatic,
            updated_at=shown(rule.updated_at),
        )


class SyncRepos(shapes.Rows, frozen=True, kw_only=True):
    """All of a repository; this list tells no range."""

    is_ranged = False

    @classmethod
    def of(cls, result: RulesOf, asked: Asked) -> "SyncRepos":
        """Oldest first."""
        return cls(rows=[SyncRepo.of(one, result, asked) for one in result.rules])


class Job(Struct, frozen=True, kw_only=True, rename=_TOLD):
    """One tag that is, was or will be copied."""

    created_at: str
    domain_id: str
    domain_name: str
    id: int
    namespace: str
    override: bool
    remote_namespace: str
    remote_namepace: str
    remote_region_id: str
    repo_name: str
    status: str
    sync_operator_id: str
    sync_operator_name: str
    tag: str
    updated_at: str

    @classmethod
    def of(cls, job: SyncJob, result: JobsOf, asked: Asked) -> "Job":
        """As it is."""
        return cls(
            created_at=shown(job.created_at),
            domain_id=asked.tenant_public_id,
            domain_name=asked.tenant_name,
            id=job.id,
            namespace=result.repository.namespace_name,
            override=job.overrides,
            remote_namespace=job.target.namespace,
            remote_namepace=job.target.namespace,
            remote_region_id=job.target.region,
            repo_name=result.repository.path,
            status=job.status.value,
            sync_operator_id=job.user_id,
            sync_operator_name=job.user_name,
            tag=job.tag,
            updated_at=shown(job.updated_at),
        )


class Jobs(shapes.Rows, frozen=True, kw_only=True):
    """A page of them."""

    @classmethod
    def of(cls, result: JobsOf, asked: Asked) -> "Jobs":
        """In the order that was asked for."""
        rows = [Job.of(one, result, asked) for one in result.page.rows]
        return cls(rows=rows, offset=result.offset, total=result.page.total)


class FailedTags(shapes.Rows, frozen=True, kw_only=True):
    """Names of the tags that are not copied; none: all are, or will be."""

    is_ranged = False

    @classmethod
    def of(cls, result: list[str], _asked: Asked) -> "FailedTags":
        """In the order they were sent."""
        return cls(rows=result)


class RegionInfo(Struct, frozen=True, kw_only=True, rename=_TOLD):
    """What `remoteRegionId` may be."""

    region_id: str


class RegionInfos(shapes.Rows, frozen=True, kw_only=True):
    """All of them."""

    is_ranged = False

    @classmethod
    def of(cls, result: list[str], _asked: Asked) -> "RegionInfos":
        """Those served here first."""
        return cls(rows=[RegionInfo(region_id=name) for name in result])


# -- rows -------------------------------------------------------------------------------------------------------------

_REPOSITORY: Final = "/v2/manage/namespaces/{namespace}/repos/{repository}"
_RULES: Final = f"{_REPOSITORY}/sync_repo"
ENDPOINTS: Final = (
    Endpoint(
        "POST",
        _RULES,
        Operation(
            "CreateImageSyncRepo",
            CreateImageSyncRepo,
            syncing.put_rule,
            Nothing,
            changes=True,
            codes={QuotaExceeded: "4000014"},
        ),
        "swr:repo:createAutoSyncRepoJob",
    ),
    Endpoint(
        "GET",
        _RULES,
        Operation(
            "ListImageAutoSyncReposDetails",
            ListImageAutoSyncReposDetails,
            syncing.list_rules,
            SyncRepos,
        ),
        "swr:repo:listAutoSyncRepoJobs",
    ),
    Endpoint(
        "DELETE",
        _RULES,
        Operation(
            "DeleteImageSyncRepo", DeleteImageSyncRepo, syncing.drop_rule, Nothing, changes=True
        ),
        "swr:repo:deleteAutoSyncRepoJob",
    ),
    Endpoint(
        "POST",
        f"{_REPOSITORY}/sync_images",
        Operation(
            "CreateManualImageSyncRepo",
            CreateManualImageSyncRepo,
            sync_now.sync_tags,
            FailedTags,
            changes=True,
        ),
        "swr:repo:createManualSyncRepoJob",
    ),
    Endpoint(
        "GET",
        f"{_REPOSITORY}/sync_job",
        Operation("ShowSyncJob", ShowSyncJob, sync_now.list_jobs, Jobs),
        "swr:repo:getSyncRepoJobInfo",
        filters=frozenset({"limit", "offset", "order"}),
        wrong={"order": _FILTER_WRONG},
    ),
    Endpoint(
        "GET",
        "/v2/manage/regions",
        Operation(
            "ListSyncRegions",
            ListSyncRegions,
            syncing.list_sync_regions,
            RegionInfos,
            is_documented=False,
        ),
        "swr:repo:listAutoSyncRepoJobs",
    ),
)
