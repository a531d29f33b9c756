"""Internal ids. Never shown where a vendor has an identifier of its own. Micros: microseconds since the epoch, UTC."""

from typing import NewType

Micros = NewType("Micros", int)
TenantId = NewType("TenantId", int)
UserId = NewType("UserId", int)
GroupId = NewType("GroupId", int)
PolicyId = NewType("PolicyId", int)
AccountId = NewType("AccountId", int)
InstanceId = NewType("InstanceId", int)
NamespaceId = NewType("NamespaceId", int)
RepositoryId = NewType("RepositoryId", int)
ManifestId = NewType("ManifestId", int)
BlobId = NewType("BlobId", int)
TaskId = NewType("TaskId", int)
ExecutionId = NewType("ExecutionId", int)
UploadId = NewType("UploadId", str)
