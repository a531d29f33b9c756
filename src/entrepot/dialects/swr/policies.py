"""The vendor's words for our permissions and things in its identity policies, and its system roles as preset policies.

Things are called `swr:<region>:<account id>:repo:<organization>/<repository>` and `…:namespace:<organization>` in the shared instances,
`…:repository:<instance>/<namespace>/<repository>` and `…:instance:<instance>` in dedicated ones, which the same users may reach as well.
"""

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from entrepot.capabilities.access.documents import Preset, Vocabulary
from entrepot.dialects.swr.actions import ACTIONS, NAMESPACE, PREFIX, REPO, SERVICE
from entrepot.dialects.swr.policy_documents import (
    IDENTITIES,
    INSTANCE,
    OWN_ACTIONS,
    REPOSITORY,
    check,
    parse,
)
from entrepot.model.access import Naming, Permission, Resource

_UNKNOWN: Final = "?"  # in no pattern but as `*`
_CREATE, _GET, _UPDATE, _ACCOUNTS = OWN_ACTIONS


def _words(kind: str, names: str) -> tuple[str, ...]:
    return tuple(f"{PREFIX}{kind}:{name}".lower() for name in names.split())


# What counts where no request to this API says what it is about: docker, the other dialect, our own API.
_ACTIONS: Final[Mapping[Permission, tuple[str, ...]]] = MappingProxyType(
    {
        Permission.PULL: _words(REPO, "download"),
        Permission.PUSH: _words(REPO, "upload"),
        Permission.DELETE: _words(REPO, "deleteRepoTag"),
        Permission.REPOSITORY_CREATE: _words(REPO, "upload"),
        Permission.REPOSITORY_EDIT: _words(REPO, "updateRepo deleteRepo"),
        Permission.REPOSITORY_MANAGE: _words(
            REPO, "createRepoAccess updateRepoAccess deleteRepoAccess createRepoDomain"
        ),
        Permission.CHART_PULL: _words(REPO, "download"),
        Permission.CHART_PUSH: _words(REPO, "upload"),
        Permission.CATALOG: _words(REPO, "listRepos"),
        Permission.INSTANCE_CREATE: (_CREATE,),
        Permission.INSTANCE_READ: (_GET,),
        Permission.INSTANCE_MANAGE: (_UPDATE,),
        Permission.NAMESPACE_CREATE: _words(NAMESPACE, "createNamespace"),
        Permission.NAMESPACE_READ: _words(NAMESPACE, "getNamespace"),
        Permission.NAMESPACE_MANAGE: _words(
            NAMESPACE,
            "deleteNamespace createNamespaceAccess updateNamespaceAccess deleteNamespaceAccess",
        ),
        Permission.ACCOUNT_MANAGE: (_ACCOUNTS,),
        Permission.IDENTITY_MANAGE: (IDENTITIES,),
        Permission.QUOTA_MANAGE: (IDENTITIES,),
        Permission.DEPLOYMENT_MANAGE: (IDENTITIES,),
    }
)
# The first push makes a repository: who may upload may do so, unless making repositories is denied.
_DENIALS: Final = MappingProxyType({Permission.REPOSITORY_CREATE: _words(REPO, "createRepo")})


def _resources(resource: Resource, naming: Naming, operation: str) -> Iterable[str]:
    """The names of a resource. What belongs to another tenant, or to an instance that was not looked up, has no name but for `*`."""
    place = None if resource.instance is None else naming.instances.get(resource.instance)
    region = (naming.region(resource) or _UNKNOWN).lower()
    is_own = resource.tenant in (None, naming.tenant)
    account = (naming.public_id if is_own else "") or _UNKNOWN
    if resource.instance is None:
        paths: tuple[str, ...] = (":",)  # the tenant itself
    elif place is not None and not place.is_shared:
        paths = _in_dedicated(resource, place.public_id)
    else:
        paths = _in_shared(resource, operation.lower())
    return [f"{SERVICE}:{region}:{account}:{path}" for path in paths]


def _in_shared(resource: Resource, operation: str) -> tuple[str, ...]:
    name = resource.namespace_name
    if not name:
        return (f"{REPO}:", f"{NAMESPACE}:")
    if operation.startswith(f"{PREFIX}{NAMESPACE}:"):
        return (f"{NAMESPACE}:{name}",)
    if resource.path or operation.startswith(f"{PREFIX}{REPO}:"):
        return (f"{REPO}:{name}/{resource.path}",)
    return (f"{NAMESPACE}:{name}",)


def _in_dedicated(resource: Resource, instance: str) -> tuple[str, ...]:
    if not resource.namespace_name:
        return (f"{INSTANCE}:{instance}",)
    return (f"{REPOSITORY}:{instance}/{resource.namespace_name}/{resource.path}".rstrip("/"),)


# -- presets ----------------------------------------------------------------------------------------------------------


def _preset(name: str, actions: Iterable[str], description: str) -> Preset:
    rule = {"Effect": "Allow", "Action": list(actions), "Resource": ["*"]}
    return Preset(name, SERVICE, json.dumps({"Version": "5.0", "Statement": [rule]}), description)


def _up_to(*levels: str) -> list[str]:
    return [name for name, action in ACTIONS.items() if action.level in levels]


_EVERYTHING: Final = (f"{PREFIX}*",)
_PRESETS: Final = (
    _preset("SWR Admin", _EVERYTHING, "Everything that can be done with the registry"),
    _preset("SWR FullAccess", _EVERYTHING, "Everything that can be done with the registry"),
    _preset(
        "SWR OperateAccess",
        _up_to("list", "read", "write"),
        "Everything but giving others rights and sharing",
    ),
    _preset(
        "SWR ReadOnlyAccess", _up_to("list", "read"), "See everything in the registry, and pull"
    ),
    _preset(
        "Tenant Administrator",
        (*_EVERYTHING, *OWN_ACTIONS),
        "Everything but users and their rights",
    ),
    _preset("Tenant Guest", (*_up_to("list", "read"), _GET), "See everything, and pull"),
)

SWR: Final = Vocabulary(
    dialect=SERVICE,
    parse=parse,
    actions=_ACTIONS,
    resources=_resources,
    check=check,
    prefix=PREFIX,
    denials=_DENIALS,
    needs_all=True,
    is_caseless=True,
    needs_names=True,
    presets=_PRESETS,
)
