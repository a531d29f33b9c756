"""What the vendor documents of each action (API 2019-09-24): category, requests a second and account, and the error codes of its page.

Names and figures only, generated once from the contract; a test holds them against it. `COMMON` holds for every action.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Entry:
    """One documented action. `codes`: beyond the common ones."""

    category: str
    per_second: int
    codes: frozenset[str]


def _entry(category: str, per_second: int, codes: str = "") -> Entry:
    return Entry(category, per_second, frozenset(codes.split()))


COMMON: Final = frozenset(
    [
        "ActionOffline",
        "AuthFailure.InvalidAuthorization",
        "AuthFailure.InvalidSecretId",
        "AuthFailure.MFAFailure",
        "AuthFailure.SecretIdNotFound",
        "AuthFailure.SignatureExpire",
        "AuthFailure.SignatureFailure",
        "AuthFailure.TokenFailure",
        "AuthFailure.UnauthorizedOperation",
        "DryRunOperation",
        "FailedOperation",
        "InternalError",
        "InvalidAction",
        "InvalidParameter",
        "InvalidParameterValue",
        "InvalidRequest",
        "IpInBlacklist",
        "IpNotInWhitelist",
        "LimitExceeded",
        "MissingParameter",
        "NoSuchProduct",
        "NoSuchVersion",
        "RequestLimitExceeded",
        "RequestLimitExceeded.GlobalRegionUinLimitExceeded",
        "RequestLimitExceeded.IPLimitExceeded",
        "RequestLimitExceeded.UinLimitExceeded",
        "RequestSizeLimitExceeded",
        "ResourceInUse",
        "ResourceInsufficient",
        "ResourceNotFound",
        "ResourceUnavailable",
        "ResponseSizeLimitExceeded",
        "ServiceUnavailable",
        "UnauthorizedOperation",
        "UnknownParameter",
        "UnsupportedOperation",
        "UnsupportedProtocol",
        "UnsupportedRegion",
    ]
)

BOOK: Final = {
    "CheckInstance": _entry(
        "instances",
        20,
        "InternalError.DbError InternalError.ErrConflict InternalError.ErrNotExist "
        "InternalError.ErrorConflict InternalError.ErrorOverLimit "
        "InvalidParameter.ErrorNameExists InvalidParameter.ErrorRegistryName "
        "InvalidParameter.ErrorTagOverLimit InvalidParameter.UnsupportedRegion",
    ),
    "CheckInstanceName": _entry(
        "instances",
        20,
        "InternalError.DbError InternalError.ErrConflict InternalError.ErrNotExist "
        "InternalError.ErrorConflict InternalError.ErrorOverLimit "
        "InvalidParameter.ErrorNameExists InvalidParameter.ErrorRegistryName "
        "InvalidParameter.ErrorTagOverLimit InvalidParameter.UnsupportedRegion",
    ),
    "CreateImageAccelerationService": _entry(
        "instances",
        20,
        "InternalError.DbError OperationDenied",
    ),
    "CreateImmutableTagRules": _entry(
        "namespaces",
        20,
        "AuthFailure InternalError.ErrorTcrResourceConflict InternalError.Unknown "
        "InvalidParameter.ErrorTcrInvalidParameter",
    ),
    "CreateInstance": _entry(
        "instances",
        20,
        "FailedOperation.GetDBDataError FailedOperation.TradeFailed "
        "FailedOperation.ValidateRegistryNameFail FailedOperation.ValidateSupportedRegionFail "
        "InternalError.DbError InternalError.ErrConflict InternalError.ErrNotExist "
        "InternalError.ErrorConflict InternalError.ErrorOverLimit "
        "InvalidParameter.ErrorNameExists InvalidParameter.ErrorNameIllegal "
        "InvalidParameter.ErrorNameReserved InvalidParameter.ErrorRegistryName "
        "InvalidParameter.ErrorTagOverLimit InvalidParameter.UnsupportedRegion "
        "OperationDenied.QuotaOverLimit",
    ),
    "CreateInstanceCustomizedDomain": _entry(
        "instances",
        1,
        "InternalError.DbError InternalError.ErrConflict InternalError.ErrNotExist "
        "InternalError.ErrorConflict InternalError.ErrorOverLimit "
        "InvalidParameter.UnsupportedRegion OperationDenied",
    ),
    "CreateInstanceToken": _entry(
        "instances",
        100,
        "InternalError.DbError InternalError.Unknown ResourceNotFound.TcrResourceNotFound",
    ),
    "CreateMultipleSecurityPolicy": _entry(
        "access control",
        20,
        "FailedOperation.DependenceError FailedOperation.ErrorGetDBDataError "
        "FailedOperation.GetDBDataError FailedOperation.GetTcrClient InternalError.DbError "
        "OperationDenied",
    ),
    "CreateNamespace": _entry(
        "namespaces",
        20,
        "FailedOperation.DependenceError FailedOperation.ErrorTcrInvalidMediaType "
        "FailedOperation.ErrorTcrResourceConflict FailedOperation.ErrorTcrUnauthorized "
        "FailedOperation.OperationCancel InternalError.DbError InternalError.ErrorTcrInternal "
        "InternalError.ErrorTcrInvalidMediaType InternalError.ErrorTcrResourceConflict "
        "InternalError.ErrorTcrUnauthorized InvalidParameter.ErrorTcrInvalidParameter "
        "OperationDenied",
    ),
    "CreateReplicationInstance": _entry(
        "replication",
        1,
        "InternalError.DbError InternalError.ErrConflict InternalError.ErrNotExist "
        "InternalError.ErrorConflict InternalError.ErrorOverLimit "
        "InvalidParameter.ReplicationExists InvalidParameter.UnsupportedRegion "
        "OperationDenied",
    ),
    "CreateRepository": _entry(
        "images",
        20,
        "FailedOperation.OperationCancel InternalError.ErrorTcrInternal "
        "InternalError.ErrorTcrInvalidMediaType InternalError.ErrorTcrResourceConflict "
        "InternalError.ErrorTcrUnauthorized InvalidParameter.ErrorTcrInvalidParameter "
        "OperationDenied",
    ),
    "CreateSecurityPolicy": _entry(
        "access control",
        20,
    ),
    "CreateServiceAccount": _entry(
        "service accounts",
        20,
        "FailedOperation.DbError OperationDenied OperationDenied.QuotaOverLimit",
    ),
    "CreateSignature": _entry(
        "images",
        20,
        "FailedOperation.OperationCancel InternalError.ErrorTcrInternal "
        "InternalError.ErrorTcrInvalidMediaType InternalError.ErrorTcrResourceConflict "
        "InternalError.ErrorTcrUnauthorized InvalidParameter.ErrorTcrInvalidParameter "
        "OperationDenied ResourceNotFound.TcrResourceNotFound",
    ),
    "CreateSignaturePolicy": _entry(
        "namespaces",
        20,
        "InternalError.ErrorTcrUnauthorized InvalidParameter.ErrorTcrInvalidParameter",
    ),
    "CreateTagRetentionExecution": _entry(
        "retention",
        2,
        "InternalError.DbError InternalError.ErrConflict InternalError.ErrNotExist "
        "InternalError.ErrorConflict InternalError.ErrorOverLimit",
    ),
    "CreateTagRetentionRule": _entry(
        "retention",
        20,
        "InternalError.DbError InternalError.ErrConflict InternalError.ErrNotExist "
        "InternalError.ErrorConflict InternalError.ErrorOverLimit "
        "InternalError.ErrorTcrUnauthorized InvalidParameter.ErrorTcrInvalidParameter",
    ),
    "CreateWebhookTrigger": _entry(
        "triggers",
        20,
        "InternalError.DbError InternalError.ErrorTcrInternal "
        "InternalError.ErrorTcrUnauthorized InvalidParameter.ErrorTcrInvalidParameter "
        "ResourceNotFound.TcrResourceNotFound",
    ),
    "DeleteImage": _entry(
        "images",
        20,
        "InternalError.ErrorTcrInternal InternalError.ErrorTcrInvalidMediaType "
        "InternalError.ErrorTcrResourceConflict InternalError.ErrorTcrUnauthorized "
        "OperationDenied ResourceNotFound.TcrResourceNotFound",
    ),
    "DeleteImageAccelerateService": _entry(
        "instances",
        20,
        "InternalError.DbError",
    ),
    "DeleteImmutableTagRules": _entry(
        "namespaces",
        20,
        "AuthFailure InternalError.Unknown",
    ),
    "DeleteInstance": _entry(
        "instances",
        20,
        "FailedOperation.TradeFailed InternalError.DbError InternalError.ErrorConflict "
        "OperationDenied",
    ),
    "DeleteInstanceCustomizedDomain": _entry(
        "instances",
        1,
        "InternalError.DbError InternalError.ErrConflict InternalError.ErrNotExist "
        "InternalError.ErrorConflict InternalError.ErrorOverLimit "
        "InvalidParameter.UnsupportedRegion",
    ),
    "DeleteInstanceToken": _entry(
        "instances",
        20,
        "InternalError.DbError InternalError.Unknown",
    ),
    "DeleteMultipleSecurityPolicy": _entry(
        "access control",
        20,
        "InternalError.DbError",
    ),
    "DeleteNamespace": _entry(
        "namespaces",
        20,
        "FailedOperation.ErrorGetDBDataError FailedOperation.ErrorTcrResourceConflict "
        "FailedOperation.ErrorTcrUnauthorized FailedOperation.GetDBDataError "
        "FailedOperation.PreconditionFailed InternalError.DbError "
        "InternalError.ErrorTcrInternal InternalError.ErrorTcrInvalidMediaType "
        "InternalError.ErrorTcrResourceConflict InternalError.ErrorTcrUnauthorized "
        "OperationDenied ResourceNotFound.TcrResourceNotFound",
    ),
    "DeleteReplicationInstance": _entry(
        "replication",
        1,
        "InternalError.DbError InternalError.ErrorConflict",
    ),
    "DeleteRepository": _entry(
        "images",
        20,
        "InternalError.ErrorTcrInternal InternalError.ErrorTcrInvalidMediaType "
        "InternalError.ErrorTcrResourceConflict InternalError.ErrorTcrUnauthorized "
        "OperationDenied ResourceNotFound.TcrResourceNotFound",
    ),
    "DeleteRepositoryTags": _entry(
        "images",
        20,
        "FailedOperation.PreconditionFailed InternalError.ErrorTcrInternal "
        "InternalError.ErrorTcrInvalidMediaType InternalError.ErrorTcrResourceConflict "
        "InternalError.ErrorTcrUnauthorized InvalidParameter.ErrorTcrInvalidParameter "
        "OperationDenied ResourceNotFound.TcrResourceNotFound",
    ),
    "DeleteSecurityPolicy": _entry(
        "access control",
        20,
        "InternalError.DbError OperationDenied",
    ),
    "DeleteServiceAccount": _entry(
        "service accounts",
        20,
        "FailedOperation.DbError OperationDenied",
    ),
    "DeleteSignaturePolicy": _entry(
        "namespaces",
        20,
        "FailedOperation.ErrorGetDBDataError FailedOperation.ErrorTcrResourceConflict "
        "FailedOperation.ErrorTcrUnauthorized FailedOperation.GetDBDataError "
        "InternalError.ErrorTcrInternal InternalError.ErrorTcrInvalidMediaType "
        "InternalError.ErrorTcrResourceConflict InternalError.ErrorTcrUnauthorized "
        "OperationDenied ResourceNotFound.TcrResourceNotFound",
    ),
    "DeleteTagRetentionRule": _entry(
        "retention",
        2,
        "InternalError.DbError InternalError.ErrConflict InternalError.ErrNotExist "
        "InternalError.ErrorConflict InternalError.ErrorOverLimit "
        "InvalidParameter.ErrorTcrInvalidParameter",
    ),
    "DeleteWebhookTrigger": _entry(
        "triggers",
        20,
        "InternalError.DbError InternalError.ErrorTcrInternal "
        "InternalError.ErrorTcrUnauthorized InvalidParameter.ErrorTcrInvalidParameter "
        "ResourceNotFound.TcrResourceNotFound",
    ),
    "DescribeChartDownloadInfo": _entry(
        "charts",
        20,
    ),
    "DescribeExternalEndpointStatus": _entry(
        "access control",
        20,
        "FailedOperation.ErrorGetDBDataError FailedOperation.GetDBDataError "
        "FailedOperation.GetTcrClient InternalError.DbError OperationDenied",
    ),
    "DescribeGCJobs": _entry(
        "images",
        20,
        "AuthFailure InternalError.DbError InternalError.ErrorTcrInternal "
        "InternalError.ErrorTcrUnauthorized",
    ),
    "DescribeImageAccelerateService": _entry(
        "instances",
        20,
        "InternalError.DbError",
    ),
    "DescribeImageManifests": _entry(
        "images",
        10,
        "InternalError.DbError InternalError.ErrorTcrInternal "
        "InternalError.ErrorTcrInvalidMediaType InternalError.ErrorTcrResourceConflict "
        "InternalError.ErrorTcrUnauthorized InvalidParameter.ErrorTcrInvalidParameter "
        "OperationDenied ResourceNotFound.TcrResourceNotFound",
    ),
    "DescribeImages": _entry(
        "images",
        100,
        "FailedOperation.EmptyCoreBody InternalError.DbError InternalError.ErrorTcrInternal "
        "InternalError.ErrorTcrInvalidMediaType InternalError.ErrorTcrResourceConflict "
        "InternalError.ErrorTcrUnauthorized InvalidParameter.ErrorTcrInvalidParameter "
        "OperationDenied ResourceNotFound.TcrResourceNotFound",
    ),
    "DescribeImmutableTagRules": _entry(
        "namespaces",
        20,
        "AuthFailure InternalError.ErrorTcrInternal InternalError.ErrorTcrUnauthorized "
        "InternalError.Unknown ResourceNotFound.TcrResourceNotFound",
    ),
    "DescribeInstanceAllNamespaces": _entry(
        "namespaces",
        20,
        "FailedOperation.DependenceError FailedOperation.ErrorGetDBDataError "
        "FailedOperation.OperationCancel InternalError.ErrorTcrInternal "
        "InternalError.ErrorTcrInvalidMediaType InternalError.ErrorTcrResourceConflict "
        "InternalError.ErrorTcrUnauthorized InvalidParameter.ErrorTcrInvalidParameter "
        "OperationDenied ResourceNotFound.TcrResourceNotFound",
    ),
    "DescribeInstanceCustomizedDomain": _entry(
        "instances",
        20,
        "InternalError.DbError InternalError.ErrConflict InternalError.ErrNotExist "
        "InternalError.ErrorConflict InternalError.ErrorOverLimit "
        "InvalidParameter.UnsupportedRegion",
    ),
    "DescribeInstanceStatus": _entry(
        "instances",
        20,
        "InternalError.DbError",
    ),
    "DescribeInstanceToken": _entry(
        "instances",
        20,
        "InternalError.DbError",
    ),
    "DescribeInstances": _entry(
        "instances",
        100,
        "InternalError.DbError OperationDenied ResourceInsufficient.ErrorInstanceNotRunning",
    ),
    "DescribeInternalEndpoints": _entry(
        "access control",
        20,
        "InternalError.DbError",
    ),
    "DescribeNamespaces": _entry(
        "namespaces",
        100,
        "FailedOperation.DependenceError FailedOperation.ErrorGetDBDataError "
        "FailedOperation.ErrorTcrResourceConflict FailedOperation.ErrorTcrUnauthorized "
        "FailedOperation.GetDBDataError FailedOperation.OperationCancel InternalError.DbError "
        "InternalError.ErrorTcrInternal InternalError.ErrorTcrInvalidMediaType "
        "InternalError.ErrorTcrResourceConflict InternalError.ErrorTcrUnauthorized "
        "InvalidParameter.ErrorTcrInvalidParameter OperationDenied "
        "ResourceNotFound.TcrResourceNotFound",
    ),
    "DescribeRegions": _entry(
        "instances",
        20,
        "InternalError.DbError",
    ),
    "DescribeReplicationInstanceCreateTasks": _entry(
        "replication",
        20,
        "InternalError.DbError",
    ),
    "DescribeReplicationInstanceSyncStatus": _entry(
        "replication",
        5,
        "InternalError.DbError",
    ),
    "DescribeReplicationInstances": _entry(
        "replication",
        20,
        "InternalError.DbError OperationDenied ResourceInsufficient.ErrorInstanceNotRunning",
    ),
    "DescribeRepositories": _entry(
        "images",
        100,
        "FailedOperation.EmptyCoreBody InternalError.DbError InternalError.ErrorTcrInternal "
        "InternalError.ErrorTcrInvalidMediaType InternalError.ErrorTcrResourceConflict "
        "InternalError.ErrorTcrUnauthorized InvalidParameter.ErrorTcrInvalidParameter "
        "OperationDenied ResourceNotFound.TcrResourceNotFound",
    ),
    "DescribeSecurityPolicies": _entry(
        "access control",
        20,
        "FailedOperation.ErrorGetDBDataError FailedOperation.GetDBDataError "
        "FailedOperation.GetSecurityPolicyFail FailedOperation.GetTcrClient "
        "InternalError.DbError OperationDenied",
    ),
    "DescribeServiceAccounts": _entry(
        "service accounts",
        20,
        "FailedOperation.DbError OperationDenied",
    ),
    "DescribeTagRetentionExecution": _entry(
        "retention",
        2,
        "InternalError.DbError InternalError.ErrConflict InternalError.ErrNotExist "
        "InternalError.ErrorConflict InternalError.ErrorOverLimit "
        "InvalidParameter.ErrorTcrInvalidParameter",
    ),
    "DescribeTagRetentionExecutionTask": _entry(
        "retention",
        2,
        "InternalError.DbError InternalError.ErrConflict InternalError.ErrNotExist "
        "InternalError.ErrorConflict InternalError.ErrorOverLimit",
    ),
    "DescribeTagRetentionRules": _entry(
        "retention",
        20,
        "FailedOperation.EmptyCoreBody InternalError.DbError InternalError.ErrConflict "
        "InternalError.ErrNotExist InternalError.ErrorConflict InternalError.ErrorOverLimit "
        "InternalError.ErrorTcrInternal InternalError.ErrorTcrUnauthorized",
    ),
    "DescribeWebhookTrigger": _entry(
        "triggers",
        20,
        "InternalError.DbError InternalError.ErrorTcrInternal "
        "InternalError.ErrorTcrUnauthorized InvalidParameter.ErrorTcrInvalidParameter "
        "ResourceNotFound.TcrResourceNotFound",
    ),
    "DescribeWebhookTriggerLog": _entry(
        "triggers",
        20,
        "InternalError.DbError InternalError.ErrorTcrInternal "
        "InternalError.ErrorTcrUnauthorized InvalidParameter.ErrorTcrInvalidParameter "
        "ResourceNotFound.TcrResourceNotFound",
    ),
    "DownloadHelmChart": _entry(
        "charts",
        20,
    ),
    "DuplicateImage": _entry(
        "images",
        20,
        "FailedOperation.EmptyCoreBody FailedOperation.OperationCancel "
        "FailedOperation.PreconditionFailed InternalError.DbError "
        "InternalError.ErrorTcrInternal InternalError.ErrorTcrResourceConflict "
        "InvalidParameter.ErrorTcrInvalidParameter ResourceNotFound.TcrResourceNotFound",
    ),
    "ManageExternalEndpoint": _entry(
        "access control",
        20,
        "InternalError.DbError",
    ),
    "ManageInternalEndpoint": _entry(
        "access control",
        2,
        "InternalError.DbError InternalError.ErrorConflict InternalError.ErrorOverLimit "
        "OperationDenied ResourceInsufficient.ErrorVpcDnsStatus",
    ),
    "ManageReplication": _entry(
        "replication",
        20,
        "InternalError.DbError InternalError.ErrorTcrInternal "
        "InternalError.ErrorTcrInvalidMediaType InternalError.ErrorTcrResourceConflict "
        "InternalError.ErrorTcrUnauthorized InvalidParameter.ErrorTcrInvalidParameter "
        "ResourceNotFound.TcrResourceNotFound",
    ),
    "ModifyImmutableTagRules": _entry(
        "namespaces",
        20,
        "AuthFailure InternalError.Unknown InvalidParameter.ErrorTcrInvalidParameter",
    ),
    "ModifyInstance": _entry(
        "instances",
        20,
        "InternalError.DbError InternalError.ErrNotExist InternalError.ErrorConflict "
        "OperationDenied",
    ),
    "ModifyInstanceToken": _entry(
        "instances",
        20,
        "InternalError.DbError InternalError.Unknown",
    ),
    "ModifyNamespace": _entry(
        "namespaces",
        20,
        "FailedOperation.DependenceError InternalError.ErrorTcrInternal "
        "InternalError.ErrorTcrInvalidMediaType InternalError.ErrorTcrResourceConflict "
        "InternalError.ErrorTcrUnauthorized InvalidParameter.ErrorTcrInvalidParameter "
        "OperationDenied ResourceNotFound.TcrResourceNotFound",
    ),
    "ModifyRepository": _entry(
        "images",
        20,
        "InternalError.ErrorTcrInternal InternalError.ErrorTcrInvalidMediaType "
        "InternalError.ErrorTcrResourceConflict InternalError.ErrorTcrUnauthorized "
        "OperationDenied ResourceNotFound.TcrResourceNotFound",
    ),
    "ModifySecurityPolicy": _entry(
        "access control",
        20,
        "InternalError.DbError",
    ),
    "ModifyServiceAccount": _entry(
        "service accounts",
        20,
        "FailedOperation.DbError OperationDenied",
    ),
    "ModifyServiceAccountPassword": _entry(
        "service accounts",
        20,
        "FailedOperation.DbError OperationDenied",
    ),
    "ModifyTagRetentionRule": _entry(
        "retention",
        2,
        "InternalError.DbError InternalError.ErrConflict InternalError.ErrNotExist "
        "InternalError.ErrorConflict InternalError.ErrorOverLimit "
        "InvalidParameter.ErrorTcrInvalidParameter",
    ),
    "ModifyWebhookTrigger": _entry(
        "triggers",
        20,
        "InternalError.DbError InternalError.ErrorTcrInternal "
        "InvalidParameter.ErrorTcrInvalidParameter ResourceNotFound.TcrResourceNotFound",
    ),
    "RenewInstance": _entry(
        "instances",
        20,
        "InternalError.DbError InternalError.ErrConflict InternalError.ErrNotExist "
        "InternalError.ErrorConflict InternalError.ErrorOverLimit "
        "InvalidParameter.ErrorNameExists InvalidParameter.ErrorRegistryName "
        "InvalidParameter.ErrorTagOverLimit InvalidParameter.UnsupportedRegion",
    ),
}

# Documented once and taken back.
WITHDRAWN: Final = frozenset(
    {
        "CreateCustomAccount",
        "CreateSecurityPolicies",
        "DeleteCustomAccount",
        "DescribeCustomAccounts",
        "DescribeInstanceAll",
        "ModifyCustomAccount",
    }
)
