"""The vendor's actions as identity policies name them: how far each goes, on what kind of thing, and which keys of conditions it evaluates."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

SERVICE: Final = "swr"
PREFIX: Final = f"{SERVICE}:"
REPO: Final = "repo"
NAMESPACE: Final = "namespace"
ACCOUNT: Final = ""  # of no kind: only `*` names it


@dataclass(frozen=True, slots=True)
class Action:
    """`level`: list, read, write or permission_management; `kind`: of the thing that a statement may name with it."""

    level: str
    kind: str


def _some(kind: str, level: str, names: str) -> dict[str, Action]:
    return {f"{PREFIX}{kind}:{name}": Action(level, kind) for name in names.split()}


# `access` and `domain`: the vendor's words for grants and sharing. Some names have no API operation here: nobody will ask for them.
ACTIONS: Final[Mapping[str, Action]] = MappingProxyType(
    {
        **_some(NAMESPACE, "list", "listNamespaces"),
        **_some(NAMESPACE, "read", "getNamespace getNamespaceAccess"),
        **_some(NAMESPACE, "write", "createNamespace deleteNamespace multipartUpload"),
        **_some(
            NAMESPACE,
            "permission_management",
            "createNamespaceAccess updateNamespaceAccess deleteNamespaceAccess",
        ),
        **_some(
            REPO,
            "list",
            "listRepos listSharedRepos listRepoTags listRepoDomains listRepoShares listAutoSyncRepoJobs listTriggers"
            " listRetentions listRetentionHistories",
        ),
        **_some(
            REPO,
            "read",
            "getRepo getRepoDomain getRepoShare getSyncRepoJobInfo getTrigger getRetention getRepoAccess download",
        ),
        **_some(
            REPO,
            "write",
            "createRepo updateRepo deleteRepo createRepoTag deleteRepoTag upload createAutoSyncRepoJob"
            " createManualSyncRepoJob deleteAutoSyncRepoJob createTrigger updateTrigger deleteTrigger createRetention"
            " updateRetention deleteRetention",
        ),
        **_some(
            REPO,
            "permission_management",
            "createRepoDomain updateRepoDomain deleteRepoDomain createRepoShare updateRepoShare deleteRepoShare"
            " createRepoAccess updateRepoAccess deleteRepoAccess",
        ),
        "swr::createLoginSecret": Action("write", ACCOUNT),
        "swr:listQuotas": Action("list", ACCOUNT),
        "swr:getDomainOverview": Action("read", ACCOUNT),
        "swr:getDomainResourceReports": Action("read", ACCOUNT),
    }
)

# Which actions evaluate a key of the service's own: under all others it is absent. Keys that begin with `g:` are there under all.
EVALUATED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "swr:TargetAccountId": ("swr:repo:createRepoDomain", "swr:repo:updateRepoDomain"),
        "swr:TargetRegion": ("swr:repo:createAutoSyncRepoJob", "swr:repo:createManualSyncRepoJob"),
        "swr:AllowPublicAccess": ("swr:repo:createRepo", "swr:repo:updateRepo"),
        "swr:EnablePublicNameSpace": ("swr:namespace:createNamespace",),
        "swr:VpcId": tuple(ACTIONS),
    }
)

# What the vendor's table has besides, and why nothing here could ever evaluate it.
WITHOUT_MEANING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "swr:TargetOrgId": "accounts belong to no organization of accounts here",
        "swr:TargetOrgPath": "accounts belong to no organization of accounts here",
        "swr:SubnetId": "networks have addresses here, and no subnets of their own",
        "swr:EnableObsEncrypt": "instances have no buckets of their own here",
    }
)
