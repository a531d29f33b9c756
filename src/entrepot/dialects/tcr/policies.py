"""CAM's words for our permissions and things, and the vendor's preset policies.

Things are called by six parts, `qcs:<project>:<service>:<region>:<account>:<resource>`: `qcs::tcr:ap-x:uin/1000:instance/tcr-y`,
`…:repository/tcr-y/<namespace>`, `…/<namespace>/<repository>`. Each is also there with a `/` behind it, so that `…/<namespace>/*` includes
the namespace itself, as the vendor's examples have it. The tenant's own things also have the empty account.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from entrepot.capabilities.access.documents import Preset, Vocabulary
from entrepot.dialects.tcr.policy_documents import PREFIX, SERVICE, check, parse
from entrepot.model.access import Naming, Permission, Resource

_ANY: Final = "*:*"  # the word of what no single action stands for: only a statement about everything names it
_UNKNOWN: Final = "?"  # in no pattern but as `*`
_RIGHTS: Final = (
    f"{PREFIX}?"  # giving others rights, for which the vendor has no action: only `tcr:*` names it
)

# Actions on `repository/…`; the vendor asks for the others on `instance/…`, also where they are about one namespace.
_ON_REPOSITORY: Final = frozenset(
    (PREFIX + name).lower()
    for name in [
        "CreateNamespace",
        "DeleteNamespace",
        "ModifyNamespace",
        "DescribeNamespaces",
        "DescribeInstanceAllNamespaces",
        "CreateRepository",
        "DeleteRepository",
        "ModifyRepository",
        "DescribeRepositories",
        "DescribeImages",
        "DescribeImageManifests",
        "DeleteImage",
        "DeleteRepositoryTags",
        "DuplicateImage",
        "PullRepository",
        "PushRepository",
        "CreateHelmChart",
        "DescribeHelmCharts",
        "DownloadHelmChart",
        "DescribeChartDownloadInfo",
    ]
)


def _words(names: str) -> tuple[str, ...]:
    return tuple((PREFIX + name).lower() for name in names.split())


# What counts where no signed request says what it is about: docker, the other dialect, our own API.
_ACTIONS: Final[Mapping[Permission, tuple[str, ...]]] = MappingProxyType(
    {
        Permission.PULL: _words("PullRepository"),
        Permission.PUSH: _words("PushRepository"),
        Permission.DELETE: _words("DeleteImage DeleteRepositoryTags"),
        Permission.REPOSITORY_CREATE: _words("CreateRepository"),
        Permission.REPOSITORY_EDIT: _words("ModifyRepository DeleteRepository"),
        Permission.REPOSITORY_MANAGE: (*_words("ModifyRepository DeleteRepository"), _RIGHTS),
        Permission.CHART_PULL: _words("DescribeHelmCharts"),
        Permission.CHART_PUSH: _words("CreateHelmChart"),
        Permission.CATALOG: _words("DescribeRepositories"),
        Permission.INSTANCE_CREATE: _words("CreateInstance"),
        Permission.INSTANCE_READ: _words("DescribeInstances"),
        Permission.INSTANCE_MANAGE: _words(
            "ModifyInstance RenewInstance DeleteInstance ManageExternalEndpoint ManageInternalEndpoint"
        ),
        Permission.NAMESPACE_CREATE: _words("CreateNamespace"),
        Permission.NAMESPACE_READ: _words("DescribeNamespaces"),
        Permission.NAMESPACE_MANAGE: (*_words("ModifyNamespace DeleteNamespace"), _RIGHTS),
        Permission.ACCOUNT_MANAGE: _words(
            "CreateInstanceToken ModifyInstanceToken DeleteInstanceToken CreateServiceAccount ModifyServiceAccount "
            "ModifyServiceAccountPassword DeleteServiceAccount"
        ),
        Permission.IDENTITY_MANAGE: (_ANY,),
        Permission.QUOTA_MANAGE: (_ANY,),
        Permission.DEPLOYMENT_MANAGE: (_ANY,),
    }
)


# -- names ------------------------------------------------------------------------------------------------------------


def _resources(resource: Resource, naming: Naming, operation: str) -> Iterable[str]:
    """The names of a resource. What belongs to another tenant, or to an instance that was not looked up, has no name but for `*`."""
    if resource.instance is None and not operation.startswith(PREFIX):
        return ("",)  # the tenant itself: the service has nothing to do with it
    place = None if resource.instance is None else naming.instances.get(resource.instance)
    if place is None:
        region, instance = resource.region or _UNKNOWN, _UNKNOWN
    else:
        region, instance = place.region, place.public_id
    accounts: tuple[str, ...] = (f"uin/{_UNKNOWN}", f"uid/{_UNKNOWN}")
    if resource.tenant in (None, naming.tenant):
        accounts = ("", f"uin/{naming.uin}", f"uid/{naming.app_id}")
    paths = _paths(resource, instance, operation.lower())
    return [f"qcs::{SERVICE}:{region}:{account}:{path}" for account in accounts for path in paths]


def _paths(resource: Resource, instance: str, operation: str) -> list[str]:
    if resource.instance is None:
        return ["instance/"]  # all of them, or one that is not there yet
    found = [f"instance/{instance}"]
    if resource.namespace_name:
        path = f"/{resource.path}" if resource.path else ""
        named = f"repository/{instance}/{resource.namespace_name}{path}"
        is_whole = operation.startswith(PREFIX) and operation not in _ON_REPOSITORY
        found = [named, *found] if is_whole else [named]
    return [name for path in found for name in (path, f"{path}/")]


# -- presets ----------------------------------------------------------------------------------------------------------


def _preset(name: str, actions: str, description: str) -> Preset:
    document = f'{{"version": "2.0", "statement": [{{"effect": "allow", "action": [{actions}], "resource": "*"}}]}}'
    return Preset(name, SERVICE, document, description)


_PRESETS: Final = (
    _preset("QcloudTCRFullAccess", '"tcr:*"', "Everything that can be done with the registry"),
    _preset(
        "QcloudTCRReadOnlyAccess",
        '"tcr:Describe*", "tcr:PullRepository*"',
        "See everything in the registry, and pull",
    ),
)

TCR: Final = Vocabulary(
    dialect=SERVICE,
    parse=parse,
    actions=_ACTIONS,
    resources=_resources,
    check=check,
    prefix=PREFIX,
    needs_all=True,
    is_caseless=True,
    needs_names=True,
    presets=_PRESETS,
)
