"""The tables: the design document of what is remembered.

Conventions: `id` is internal and never shown where the vendors have an identifier of their own (`public_id`). `*_at` are
microseconds since the epoch, UTC. `deleted_at` NULL means living; names are unique among the living only. Sizes are bytes.
Names and tags compare bytewise. What a column refers to is in its comment only where the name does not say it.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, MetaData, Table, UniqueConstraint

from entrepot.metadata.types import BigId, Bytes, Json, Micros, NameText

SCHEMA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

LIVING = sa.text("deleted_at IS NULL")
# A literal, not a bound value: only so may the planner use the partial index over live blobs.
LIVE: sa.ColumnElement[str] = sa.literal_column("'live'", NameText)


def _id() -> "Column[int]":
    return Column("id", BigId, primary_key=True, autoincrement=True)


def _to(target: str, name: str, *, nullable: bool = False) -> "Column[Any]":
    return Column(name, sa.BigInteger, ForeignKey(f"{target}.id"), nullable=nullable)


def _at(name: str, *, nullable: bool = False) -> "Column[Any]":
    return Column(name, Micros, nullable=nullable)


def _living_name(table: str, *columns: str) -> Index:
    return Index(
        f"uq_{table}_living_name",
        *columns,
        unique=True,
        sqlite_where=LIVING,
        postgresql_where=LIVING,
    )


def _next_in_instance(context: Any) -> int:
    """One more than any namespace of the instance has, deleted ones too."""
    instance = context.get_current_parameters()["instance_id"]
    query = sa.select(sa.func.max(namespaces.c.number)).where(namespaces.c.instance_id == instance)
    return (context.connection.scalar(query) or 0) + 1


# -- the deployment ---------------------------------------------------------------------------------------------------

schema_info = Table(
    "schema_info",
    SCHEMA,
    Column(
        "key", NameText, primary_key=True
    ),  # `oldest_program`: the oldest version this schema serves
    Column("value", sa.Text, nullable=False),
)

signing_keys = Table(  # of bearer tokens; the newest unretired one signs, all unretired ones verify
    "signing_keys",
    SCHEMA,
    _id(),
    Column("public_id", NameText, nullable=False, unique=True),  # `kid`
    Column("algorithm", NameText, nullable=False),
    Column("private_sealed", Bytes, nullable=False),
    Column("public", Bytes, nullable=False),
    _at("created_at"),
    _at("retired_at", nullable=True),
)

epochs = Table(  # one row per scope whose rights or routes changed; `value` grows over all scopes, never repeats
    "epochs",
    SCHEMA,
    Column("scope", NameText, primary_key=True),  # `tenant:<id>`, `routing`, `keys`
    Column("value", sa.BigInteger, nullable=False, index=True),
)

# -- who --------------------------------------------------------------------------------------------------------------

tenants = Table(
    "tenants",
    SCHEMA,
    _id(),
    Column("public_id", NameText, nullable=False, unique=True),  # 32 hex digits: Huawei's domain id
    Column(
        "uin", NameText, nullable=False, unique=True
    ),  # 12 decimal digits: Tencent's account number
    Column("app_id", NameText, nullable=False, unique=True),  # 10 decimal digits
    Column("name", NameText, nullable=False),
    Column("is_root", sa.Boolean, nullable=False),  # its administrators also run the deployment
    _at("created_at"),
    _at("deleted_at", nullable=True),
    _living_name("tenants", "name"),
)

users = Table(
    "users",
    SCHEMA,
    _id(),
    _to("tenants", "tenant_id"),
    Column("public_id", NameText, nullable=False, unique=True),  # 32 hex digits
    Column("uin", NameText, nullable=False, unique=True),
    Column("name", NameText, nullable=False),
    Column("role", NameText, nullable=False),  # owner | administrator | member
    Column("password_hash", sa.Text, nullable=True),  # argon2; NULL: cannot log in with a password
    Column(
        "credential_version", sa.Integer, nullable=False
    ),  # raised with each password: older bearer tokens end
    Column("enabled", sa.Boolean, nullable=False),
    _at("created_at"),
    _at("deleted_at", nullable=True),
    _living_name("users", "tenant_id", "name"),
)

groups = Table(
    "groups",
    SCHEMA,
    _id(),
    _to("tenants", "tenant_id"),
    Column("public_id", NameText, nullable=False, unique=True),
    Column("name", NameText, nullable=False),
    _at("created_at"),
    _at("deleted_at", nullable=True),
    _living_name("groups", "tenant_id", "name"),
)

group_members = Table(
    "group_members",
    SCHEMA,
    Column("group_id", sa.BigInteger, ForeignKey("groups.id"), primary_key=True),
    Column("user_id", sa.BigInteger, ForeignKey("users.id"), primary_key=True, index=True),
)

access_keys = Table(  # what signs API requests; at most two living ones a user
    "access_keys",
    SCHEMA,
    _id(),
    _to("users", "user_id"),
    Column("access_key_id", NameText, nullable=False, unique=True),
    Column("secret_sealed", Bytes, nullable=False),
    Column("session_token_sha256", Bytes, nullable=True),  # of temporary keys
    Column("enabled", sa.Boolean, nullable=False),
    _at("created_at"),
    _at("expires_at", nullable=True),  # of temporary keys
    _at("deleted_at", nullable=True),
    Index("ix_access_keys_user_id", "user_id"),
)

policies = Table(
    "policies",
    SCHEMA,
    _id(),
    _to("tenants", "tenant_id"),
    Column("public_id", NameText, nullable=False, unique=True),
    Column("name", NameText, nullable=False),
    Column("dialect", NameText, nullable=False),  # entrepot | tcr | swr: how the document is read
    Column("document", sa.Text, nullable=False),  # as written
    Column("description", sa.Text, nullable=False),
    _at("created_at"),
    _at("deleted_at", nullable=True),
    _living_name("policies", "tenant_id", "name"),
)

policy_attachments = Table(  # to a user, to a group, or as a cap to a whole tenant, whose policy it is not
    "policy_attachments",
    SCHEMA,
    _id(),
    _to("policies", "policy_id"),
    _to("users", "user_id", nullable=True),
    _to("groups", "group_id", nullable=True),
    _to("tenants", "tenant_id", nullable=True),
    _to("projects", "project_id", nullable=True),  # of a group's: only there it counts
    CheckConstraint(
        "(CASE WHEN user_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN group_id IS NULL THEN 0 ELSE 1 END)"
        " + (CASE WHEN tenant_id IS NULL THEN 0 ELSE 1 END) = 1",
        name="one_principal",
    ),
    CheckConstraint("project_id IS NULL OR group_id IS NOT NULL", name="project_of_group"),
    Index("uq_policy_attachments_user", "user_id", "policy_id", unique=True),
    Index("uq_policy_attachments_tenant", "tenant_id", "policy_id", unique=True),
    Index("uq_policy_attachments_project", "group_id", "policy_id", "project_id", unique=True),
    Index(
        "uq_policy_attachments_group",
        "group_id",
        "policy_id",
        unique=True,
        sqlite_where=sa.text("project_id IS NULL"),
        postgresql_where=sa.text("project_id IS NULL"),
    ),
    Index("ix_policy_attachments_policy_id", "policy_id"),
)

grants = Table(  # SWR: 1 read, 3 edit, 7 manage, on a namespace or one repository of it
    "grants",
    SCHEMA,
    _id(),
    _to("users", "user_id"),
    _to("namespaces", "namespace_id"),
    _to("repositories", "repository_id", nullable=True),
    Column("level", sa.Integer, nullable=False),
    _at("created_at"),
    CheckConstraint("level IN (1, 3, 7)", name="level"),
    Index(
        "uq_grants_namespace",
        "user_id",
        "namespace_id",
        unique=True,
        sqlite_where=sa.text("repository_id IS NULL"),
        postgresql_where=sa.text("repository_id IS NULL"),
    ),
    Index(
        "uq_grants_repository",
        "user_id",
        "repository_id",
        unique=True,
        sqlite_where=sa.text("repository_id IS NOT NULL"),
        postgresql_where=sa.text("repository_id IS NOT NULL"),
    ),
    Index("ix_grants_namespace_id", "namespace_id"),
)

nonces = Table(  # numbers used once, of signed requests that carry one
    "nonces",
    SCHEMA,
    Column("access_key_id", NameText, primary_key=True),
    Column("signed_at", sa.BigInteger, primary_key=True),  # seconds, as the client says
    Column("nonce", sa.BigInteger, primary_key=True),
    _at("expires_at"),
    Index("ix_nonces_expires_at", "expires_at"),
)

# -- where ------------------------------------------------------------------------------------------------------------

regions = Table(
    "regions",
    SCHEMA,
    _id(),
    Column("number", sa.Integer, nullable=False, unique=True),
    Column("name", NameText, nullable=False, unique=True),
    Column("display_name", sa.Text, nullable=False),
    Column("kind", NameText, nullable=False),  # local | peer
    Column("is_default", sa.Boolean, nullable=False),
    _at("created_at"),
)

projects = Table(
    "projects",
    SCHEMA,
    _id(),
    _to("tenants", "tenant_id"),
    _to("regions", "region_id"),
    Column("public_id", NameText, nullable=False, unique=True),  # 32 hex digits
    Column("name", NameText, nullable=False),
    _at("created_at"),
    UniqueConstraint("tenant_id", "name"),
)

instances = Table(
    "instances",
    SCHEMA,
    _id(),
    Column("public_id", NameText, nullable=False, unique=True),  # `tcr-xxxxxxxx`
    Column("kind", NameText, nullable=False),  # shared | dedicated
    _to("tenants", "tenant_id", nullable=True),  # NULL: shared, owned by nobody
    _to("regions", "region_id"),
    Column("name", NameText, nullable=False),  # first label of its host name
    Column("is_default", sa.Boolean, nullable=False),  # answers at bare addresses
    Column(
        "edition", NameText, nullable=False, default=""
    ),  # names a row of the configured editions; shared: ""
    Column("status", NameText, nullable=False, default="running"),  # model.tenancy.InstanceStatus
    Column(
        "status_reason", sa.Text, nullable=False, default=""
    ),  # why it failed or is unhealthy; else ""
    Column("is_protected", sa.Boolean, nullable=False, default=False),  # against deletion
    Column("public_entry", NameText, nullable=False, default="opened"),  # closed | opening | opened
    Column(
        "allow_version", sa.Integer, nullable=False, default=0
    ),  # raised with each change of its allow list
    Column(
        "facts", Json, nullable=False, default=dict
    ),  # what a dialect stores and gives back, never read here
    _at("created_at"),
    _at("expires_at", nullable=True),  # informative unless instances.enforce_expiry
    _at("kept_at", nullable=True),  # deleted, but its content stays until it is restored or purged
    _at("deleted_at", nullable=True),
    _living_name("instances", "name"),
    Index("ix_instances_tenant_id", "tenant_id", "id"),
)

instance_hosts = Table(  # further names at which an instance answers; the first label under the suffix needs no row
    "instance_hosts",
    SCHEMA,
    Column("host", NameText, primary_key=True),  # lower case, without port
    _to("instances", "instance_id"),
    _to("certificates", "certificate_id", nullable=True),  # NULL: TLS ends elsewhere
    Column(
        "status", NameText, nullable=False, default="ready"
    ),  # creating | ready | failed | deleting
    _at("created_at"),
    Index("ix_instance_hosts_instance_id", "instance_id", "created_at"),
)

certificates = Table(  # for hosts of instances; a tenant's own
    "certificates",
    SCHEMA,
    _id(),
    Column("public_id", NameText, nullable=False, unique=True),
    _to("tenants", "tenant_id"),
    Column("name", sa.Text, nullable=False),
    Column("hosts", Json, nullable=False),  # names it covers, some with "*."
    Column("chain", sa.Text, nullable=False),  # PEM, leaf first
    Column("key_sealed", Bytes, nullable=False),
    _at("ends_at"),
    _at("created_at"),
    _at("deleted_at", nullable=True),
    Index("ix_certificates_tenant_id", "tenant_id", "id"),
)

allow_list = Table(  # networks that an instance's public entry lets in, in order of their ids
    "allow_list",
    SCHEMA,
    _id(),
    _to("instances", "instance_id"),
    Column("cidr", NameText, nullable=False),  # as it was entered
    Column("network", NameText, nullable=False),  # the same, host bits cleared
    Column("description", sa.Text, nullable=False),
    _at("created_at"),
    Index("uq_allow_list_network", "instance_id", "network", unique=True),
)

private_links = Table(  # an instance's private entry from a network
    "private_links",
    SCHEMA,
    _id(),
    _to("instances", "instance_id"),
    _to("networks", "network_id"),
    Column("subnet", NameText, nullable=False),  # as it was entered
    Column("status", NameText, nullable=False),  # creating | running | deleting
    Column("address", NameText, nullable=False),  # where it answers; "" until it runs
    Column("has_names", sa.Boolean, nullable=False),  # whether the host names resolve to it there
    _at("created_at"),
    Index("uq_private_links_network", "instance_id", "network_id", "subnet", unique=True),
    Index("ix_private_links_network_id", "network_id"),
)

resource_tags = Table(  # key and value that people put on things
    "resource_tags",
    SCHEMA,
    Column("kind", NameText, primary_key=True),  # instance | namespace | ...
    Column("resource", NameText, primary_key=True),  # public id, or `<instance>#<namespace>#...`
    Column("key", NameText, primary_key=True),
    Column("value", sa.Text, nullable=False),
    _to("tenants", "tenant_id"),
    Index("ix_resource_tags_key", "tenant_id", "kind", "key"),
)

networks = Table(  # what a vendor calls VPC and subnet: configured address ranges
    "networks",
    SCHEMA,
    _id(),
    Column("public_id", NameText, nullable=False, unique=True),
    _to("tenants", "tenant_id", nullable=True),  # NULL: every tenant may name it
    Column("cidrs", Json, nullable=False),  # list of texts
    _at("created_at"),
    _at("deleted_at", nullable=True),
)

namespaces = Table(
    "namespaces",
    SCHEMA,
    _id(),
    _to("instances", "instance_id"),
    _to("tenants", "tenant_id"),
    Column(  # counts from 1 in each instance
        "number", sa.Integer, nullable=False, default=_next_in_instance
    ),
    Column("name", NameText, nullable=False),
    Column("is_public", sa.Boolean, nullable=False),
    Column("facts", Json, nullable=False, default=dict),  # what a dialect stores and gives back
    Column("created_by", sa.BigInteger, ForeignKey("users.id"), nullable=True),
    _at("created_at"),
    _at("deleted_at", nullable=True),
    _living_name("namespaces", "instance_id", "name"),
    Index("uq_namespaces_number", "instance_id", "number", unique=True),
    Index("ix_namespaces_tenant_id", "tenant_id", "instance_id", "name"),
)

quotas = Table(  # limits somebody set; no row: the default
    "quotas",
    SCHEMA,
    Column("subject_kind", NameText, primary_key=True),  # tenant | instance | namespace
    Column("subject_id", sa.BigInteger, primary_key=True),
    Column("resource", NameText, primary_key=True),  # namespaces | repositories | tags | bytes
    Column("limit", sa.BigInteger, nullable=False),
)

# -- content ----------------------------------------------------------------------------------------------------------

repositories = Table(
    "repositories",
    SCHEMA,
    _id(),
    _to("namespaces", "namespace_id"),
    _to("instances", "instance_id"),  # copied from the namespace: the catalog is read by it
    Column("name", NameText, nullable=False),  # inside the namespace; may contain "/"
    Column("full_name", NameText, nullable=False),  # `<namespace>/<name>`
    Column("is_public", sa.Boolean, nullable=True),  # NULL: as the namespace
    Column("brief", sa.Text, nullable=False, default=""),  # one line about it
    Column("description", sa.Text, nullable=False),
    Column(  # what kind of software it is, in a dialect's words
        "category", NameText, nullable=False, default=""
    ),
    Column("created_by", sa.BigInteger, ForeignKey("users.id"), nullable=True),
    _at("created_at"),
    _at("updated_at"),
    _at("deleted_at", nullable=True),
    _living_name("repositories", "instance_id", "full_name"),
    Index("ix_repositories_namespace_id", "namespace_id", "name"),
    # the collector finds what a deleted repository leaves
    Index(
        "ix_repositories_deleted",
        "deleted_at",
        sqlite_where=sa.text("deleted_at IS NOT NULL"),
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    ),
)

shares = Table(  # of a repository with another tenant, whose users may then pull from it
    "shares",
    SCHEMA,
    _id(),
    _to("repositories", "repository_id"),
    _to("tenants", "tenant_id"),  # who receives it
    Column("permit", NameText, nullable=False),  # read
    Column("deadline", sa.Text, nullable=False),  # as it was sent
    _at("ends_at", nullable=True),  # what it means; NULL: never
    Column("description", sa.Text, nullable=False),
    Column("created_by", sa.BigInteger, ForeignKey("users.id"), nullable=True),
    _at("created_at"),
    _at("updated_at"),
    Index("uq_shares_tenant", "repository_id", "tenant_id", unique=True),
    Index("ix_shares_tenant_id", "tenant_id", "repository_id"),
)

manifests = Table(
    "manifests",
    SCHEMA,
    _id(),
    _to("repositories", "repository_id"),
    Column("digest", NameText, nullable=False),
    Column("media_type", NameText, nullable=False),
    Column("artifact_type", NameText, nullable=True),
    Column("subject_digest", NameText, nullable=True),  # it need not be there
    Column("annotations", Json, nullable=False),
    Column("size", sa.BigInteger, nullable=False),  # of the document
    Column("layers_size", sa.BigInteger, nullable=False),  # config and layers as stated
    _at("pushed_at"),
    _at(
        "deleted_at", nullable=True
    ),  # undelete may bring it back until the collector takes the row
    Column("payload", Bytes, nullable=False),  # last, so that reads of the rest stay short
    Index(
        "uq_manifests_living_digest",
        "repository_id",
        "digest",
        unique=True,
        sqlite_where=LIVING,
        postgresql_where=LIVING,
    ),
    Index("ix_manifests_subject", "repository_id", "subject_digest", "digest"),
    Index(  # referrers of one type, however few of them are of it
        "ix_manifests_subject_type",
        "repository_id",
        "subject_digest",
        "artifact_type",
        "digest",
        sqlite_where=sa.text("subject_digest IS NOT NULL AND deleted_at IS NULL"),
        postgresql_where=sa.text("subject_digest IS NOT NULL AND deleted_at IS NULL"),
    ),
    Index(
        "ix_manifests_deleted_digest",
        "repository_id",
        "digest",
        sqlite_where=sa.text("deleted_at IS NOT NULL"),
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    ),
    Index(
        "ix_manifests_deleted",
        "deleted_at",
        sqlite_where=sa.text("deleted_at IS NOT NULL"),
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    ),
)

manifest_references = Table(
    "manifest_references",
    SCHEMA,
    Column("manifest_id", sa.BigInteger, ForeignKey("manifests.id"), primary_key=True),
    Column("position", sa.Integer, primary_key=True),  # order in the document, over all roles
    Column("repository_id", sa.BigInteger, nullable=False),  # of the manifest
    Column("role", NameText, nullable=False),  # config | layer | manifest | subject
    Column("digest", NameText, nullable=False),
    Column("size", sa.BigInteger, nullable=False),
    Column("media_type", NameText, nullable=False),
    Index("ix_manifest_references_digest", "repository_id", "digest"),
)

tags = Table(  # versioned: a row says what the tag meant from `valid_from` until `valid_until`
    "tags",
    SCHEMA,
    _id(),
    _to("repositories", "repository_id"),
    Column("name", NameText, nullable=False),
    _to("manifests", "manifest_id"),
    _at("valid_from"),
    _at("valid_until", nullable=True),  # NULL: now
    Column("set_by", sa.Text, nullable=False),
    _at("pushed_at"),  # when this was last pushed under it: , or later
    Index(
        "ix_tags_current",
        "repository_id",
        "name",
        "manifest_id",
        sqlite_where=sa.text("valid_until IS NULL"),
        postgresql_where=sa.text("valid_until IS NULL"),
    ),
    Index(
        "uq_tags_current_name",
        "repository_id",
        "name",
        unique=True,
        sqlite_where=sa.text("valid_until IS NULL"),
        postgresql_where=sa.text("valid_until IS NULL"),
    ),
    Index(  # present tags in the order in which they were pushed
        "ix_tags_current_pushed",
        "repository_id",
        "pushed_at",
        "name",
        sqlite_where=sa.text("valid_until IS NULL"),
        postgresql_where=sa.text("valid_until IS NULL"),
    ),
    Index("ix_tags_manifest_id", "manifest_id", "valid_until"),
    Index(
        "ix_tags_past_name",
        "repository_id",
        "name",
        sqlite_where=sa.text("valid_until IS NOT NULL"),
        postgresql_where=sa.text("valid_until IS NOT NULL"),
    ),
    Index(
        "ix_tags_past",
        "valid_until",
        sqlite_where=sa.text("valid_until IS NOT NULL"),
        postgresql_where=sa.text("valid_until IS NOT NULL"),
    ),
)

blobs = Table(  # where the bytes of a digest are; one living row a digest and deployment
    "blobs",
    SCHEMA,
    _id(),
    Column("digest", NameText, nullable=False),
    Column("size", sa.BigInteger, nullable=False),
    Column("object_key", NameText, nullable=False, unique=True),
    Column("state", NameText, nullable=False),  # live | condemned | quarantined
    _at("created_at"),
    _at("condemned_at", nullable=True),
    _at("scrubbed_at", nullable=True),
    CheckConstraint("state IN ('live', 'condemned', 'quarantined')", name="state"),
    Index(
        "uq_blobs_live_digest",
        "digest",
        unique=True,
        sqlite_where=sa.text("state = 'live'"),
        postgresql_where=sa.text("state = 'live'"),
    ),
    Index("ix_blobs_state", "state", "condemned_at"),
    Index("ix_blobs_scrubbed_at", "scrubbed_at"),
)

repository_blobs = Table(  # who may read a blob is decided here, never by knowing a digest
    "repository_blobs",
    SCHEMA,
    Column("repository_id", sa.BigInteger, ForeignKey("repositories.id"), primary_key=True),
    Column("blob_id", sa.BigInteger, ForeignKey("blobs.id"), primary_key=True),
    _at("linked_at"),
    Index("ix_repository_blobs_blob_id", "blob_id"),
)

upload_sessions = Table(
    "upload_sessions",
    SCHEMA,
    Column("id", NameText, primary_key=True),  # 32 random hex digits, in the Location
    _to("repositories", "repository_id"),
    Column(
        "subject", sa.Text, nullable=False
    ),  # the caller who started it; nobody else continues it
    Column("object_key", NameText, nullable=False, unique=True),
    Column("algorithm", NameText, nullable=False),
    Column("offset", sa.BigInteger, nullable=False),  # recorded end; bytes behind it do not count
    Column("store_state", Bytes, nullable=False),
    Column("hash_state", Bytes, nullable=False),  # at `offset`; empty: read the bytes again
    Column(
        "version", sa.Integer, nullable=False
    ),  # compare-and-set fence: raised by each holder and each commit
    Column(
        "lease_token", NameText, nullable=True
    ),  # only where the store is not exclusive by itself
    _at("lease_until", nullable=True),
    _at("started_at"),
    _at("updated_at"),
    Index("ix_upload_sessions_updated_at", "updated_at"),
    Index("ix_upload_sessions_repository_id", "repository_id"),
)

# -- policies about content -------------------------------------------------------------------------------------------

retention_policies = Table(  # what says which tags stay; its id is also what people call it
    "retention_policies",
    SCHEMA,
    _id(),
    _to("namespaces", "namespace_id"),
    _to("repositories", "repository_id", nullable=True),  # NULL: each repository of the namespace
    Column("rules", Json, nullable=False),  # list of model.retention.Rule
    Column("cycle", NameText, nullable=False),  # manual | daily | weekly | monthly
    Column("after_push", sa.Boolean, nullable=False),  # whether it also runs when a tag was pushed
    Column("enabled", sa.Boolean, nullable=False),
    Column("version", sa.Integer, nullable=False),  # raised with each change
    Column("created_by", sa.BigInteger, ForeignKey("users.id"), nullable=True),
    _at("created_at"),
    _at("updated_at"),
    _at("next_at", nullable=True),  # when it runs by itself; NULL: never
    Index("ix_retention_policies_place", "namespace_id", "repository_id"),
    Index("ix_retention_policies_repository_id", "repository_id"),
    Index(
        "ix_retention_policies_next_at",
        "next_at",
        sqlite_where=sa.text("next_at IS NOT NULL"),
        postgresql_where=sa.text("next_at IS NOT NULL"),
    ),
)

retention_rules = Table(  # that removed something, as they were then
    "retention_rules",
    SCHEMA,
    _id(),
    Column("policy_id", sa.BigInteger, nullable=False),  # it may be gone by now
    Column("version", sa.Integer, nullable=False),  # of the policy
    Column("position", sa.Integer, nullable=False),  # among its rules
    Column("rule", Json, nullable=False),  # model.retention.Rule
    UniqueConstraint("policy_id", "version", "position"),
)

retention_log = Table(  # tags that policies removed
    "retention_log",
    SCHEMA,
    _id(),
    _to("repositories", "repository_id"),
    _to("retention_rules", "rule_id"),  # the one that removed it
    Column("tag", NameText, nullable=False),
    Column("digest", NameText, nullable=False),  # what it meant
    _at("removed_at"),
    Index("ix_retention_log_rule_id", "rule_id"),
    Index("ix_retention_log_repository_id", "repository_id", "id"),
    Index("ix_retention_log_removed_at", "removed_at"),
)

# -- what logs in -----------------------------------------------------------------------------------------------------

accounts = Table(
    "accounts",
    SCHEMA,
    _id(),
    Column("public_id", NameText, nullable=False, unique=True),  # UUID
    Column("kind", NameText, nullable=False),  # temporary | longterm | service | login
    _to("instances", "instance_id"),
    _to("tenants", "tenant_id"),
    _to(
        "users", "user_id"
    ),  # who made it: temporary and long-term tokens act with this user's rights
    Column("username", NameText, nullable=False),
    Column("secret_sha256", Bytes, nullable=False),  # of >= 160 random bits
    Column(
        "password_hash", sa.Text, nullable=True
    ),  # argon2, of a password somebody chose; else NULL
    Column("description", sa.Text, nullable=False),
    Column("enabled", sa.Boolean, nullable=False),
    _at("created_at"),
    _at("updated_at", nullable=True),
    _at("expires_at", nullable=True),
    _at("deleted_at", nullable=True),
    Index("ix_accounts_login", "instance_id", "username", "secret_sha256"),
    Index(  # a busy user leaves any number of logins behind
        "ix_accounts_user_id",
        "user_id",
        sqlite_where=LIVING,
        postgresql_where=LIVING,
    ),
    Index(
        "uq_accounts_service_name",  # names of others in a shared instance are nobody's business
        "instance_id",
        "tenant_id",
        "username",
        unique=True,
        sqlite_where=sa.text("kind = 'service' AND deleted_at IS NULL"),
        postgresql_where=sa.text("kind = 'service' AND deleted_at IS NULL"),
    ),
)

account_permissions = Table(  # of service accounts: what they may do in one namespace
    "account_permissions",
    SCHEMA,
    _id(),
    _to("accounts", "account_id"),
    _to("namespaces", "namespace_id"),
    Column("actions", Json, nullable=False),  # list of permission names, order kept
    UniqueConstraint("account_id", "namespace_id"),
)

# -- copying images elsewhere -----------------------------------------------------------------------------------------

peers = Table(  # other deployments that a tenant copies images to; the name stands for a region
    "peers",
    SCHEMA,
    _id(),
    Column("public_id", NameText, nullable=False, unique=True),
    _to("tenants", "tenant_id"),
    Column("name", NameText, nullable=False),
    Column("url", sa.Text, nullable=False),  # scheme, host and port of its registry
    Column("username", sa.Text, nullable=False),
    Column("secret_sealed", Bytes, nullable=False),  # deleted: empty
    Column("authorities", sa.Text, nullable=False),  # PEM; "": those this machine trusts
    _at("created_at"),
    _at("deleted_at", nullable=True),
    _living_name("peers", "tenant_id", "name"),
)

sync_rules = Table(  # where a repository's images are copied to
    "sync_rules",
    SCHEMA,
    _id(),
    _to("repositories", "repository_id"),
    Column("region", NameText, nullable=False),  # one served here, or a peer of the tenant below
    Column("namespace", NameText, nullable=False),  # there
    Column("is_automatic", sa.Boolean, nullable=False),  # at each push
    Column("overrides", sa.Boolean, nullable=False),  # tags that mean something else there
    _to("tenants", "tenant_id"),  # whose peers it may name
    _to("users", "user_id", nullable=True),  # whose rights it acts with; NULL: the operator's
    Column("operation", NameText, nullable=False),  # what policies call the request that wrote it
    _at("created_at"),
    _at("updated_at"),
    Index("uq_sync_rules_target", "repository_id", "region", "namespace", unique=True),
    Index("ix_sync_rules_region", "tenant_id", "region"),
)

sync_jobs = Table(  # one tag to be copied once; past ones are forgotten as finished work is
    "sync_jobs",
    SCHEMA,
    _id(),
    _to("repositories", "repository_id"),
    Column("tag", NameText, nullable=False),
    Column("region", NameText, nullable=False),
    Column("namespace", NameText, nullable=False),
    Column("overrides", sa.Boolean, nullable=False),
    _to("tenants", "tenant_id"),
    _to("users", "user_id", nullable=True),
    Column("operation", NameText, nullable=False),
    Column("task_id", sa.BigInteger, nullable=True),  # says how far it is while `outcome` is NULL
    Column("outcome", NameText, nullable=True),  # success | existed | failed
    Column("reason", sa.Text, nullable=False),  # why it failed; else ""
    _at("created_at"),
    _at("updated_at"),
    Index("ix_sync_jobs_repository_id", "repository_id", "id"),
    Index("ix_sync_jobs_created_at", "created_at"),
)

# -- what a push sets off ---------------------------------------------------------------------------------------------

clusters = Table(  # Kubernetes clusters of a tenant, whose workloads its triggers may change
    "clusters",
    SCHEMA,
    _id(),
    Column("public_id", NameText, nullable=False),  # UUID, or what the tenant wants it called
    _to("tenants", "tenant_id"),
    _to("regions", "region_id"),
    Column("name", NameText, nullable=False),
    Column("is_default", sa.Boolean, nullable=False),  # of the tenant in the region
    Column("server", sa.Text, nullable=False),  # URL of its API server
    Column("access_sealed", Bytes, nullable=False),  # what counts of its kubeconfig; deleted: empty
    Column("namespaces", Json, nullable=False),  # of Kubernetes, that may be changed; ["*"]: all
    Column("registry", NameText, nullable=False),  # host by which it knows this registry
    _at("created_at"),
    _at("updated_at"),
    _at("deleted_at", nullable=True),
    _living_name("clusters", "tenant_id", "name"),
    Index(
        "uq_clusters_living_id",
        "tenant_id",
        "public_id",
        unique=True,
        sqlite_where=LIVING,
        postgresql_where=LIVING,
    ),
    Index(
        "uq_clusters_default",
        "tenant_id",
        "region_id",
        unique=True,
        sqlite_where=sa.text("is_default AND deleted_at IS NULL"),
        postgresql_where=sa.text("is_default AND deleted_at IS NULL"),
    ),
)

triggers = Table(  # a push of a tag that fits sets the image of a workload; only `enabled` changes
    "triggers",
    SCHEMA,
    _id(),
    _to("repositories", "repository_id"),
    _to("tenants", "tenant_id"),  # whose clusters it may name: the repository's
    Column("name", NameText, nullable=False),
    Column("condition_kind", NameText, nullable=False),  # model.triggers.ConditionKind
    Column("condition", sa.Text, nullable=False),  # as written
    Column("workload_kind", NameText, nullable=False),  # deployment | statefulset
    Column("workload", NameText, nullable=False),
    Column("kubernetes_namespace", NameText, nullable=False),
    Column("container", NameText, nullable=False),  # "": all that run an image of the repository
    Column("cluster", NameText, nullable=True),  # public id as written; NULL: the default cluster
    Column("cluster_name", sa.Text, nullable=False),  # as written
    Column("enabled", sa.Boolean, nullable=False),
    Column("creator_name", sa.Text, nullable=False),
    _to("users", "user_id", nullable=True),  # whose rights it acts with; NULL: the operator's
    Column("operation", NameText, nullable=False),  # what policies call the request that made it
    _at("created_at"),
    _at("enabled_at"),  # pushes from before set nothing off
    Column("done_tag", NameText, nullable=True),  # of the latest push that was carried out
    _at("done_pushed_at", nullable=True),  # when that push was
    UniqueConstraint("repository_id", "name"),
)

trigger_runs = Table(  # the latest of each trigger
    "trigger_runs",
    SCHEMA,
    _id(),
    _to("triggers", "trigger_id"),
    Column("tag", NameText, nullable=False),
    Column("succeeded", sa.Boolean, nullable=False),
    Column("detail", sa.Text, nullable=False),  # why it failed, or what was set
    _at("pushed_at"),
    _at("created_at"),
    Index("ix_trigger_runs_trigger_id", "trigger_id", "id"),
)

# -- what happened, and what is to be done ----------------------------------------------------------------------------

events = Table(
    "events",
    SCHEMA,
    _id(),
    Column("kind", NameText, nullable=False),  # model.events.EventKind
    Column("tenant_id", sa.BigInteger, nullable=True),
    Column("instance_id", sa.BigInteger, nullable=True),
    Column("namespace_id", sa.BigInteger, nullable=True),
    Column("repository_id", sa.BigInteger, nullable=True),
    Column("repository", NameText, nullable=True),  # full name then
    Column("digest", NameText, nullable=True),
    Column("tag", NameText, nullable=True),
    Column("actor", sa.Text, nullable=False),
    Column("details", Json, nullable=False),
    _at("happened_at"),
    Index("ix_events_happened_at", "happened_at"),
)

executions = Table(  # one run of something, made of tasks
    "executions",
    SCHEMA,
    _id(),
    Column("kind", NameText, nullable=False),
    _to("tenants", "tenant_id", nullable=True),
    Column("target", NameText, nullable=False),  # what it is about: `rule:7`, `registry`
    Column("trigger", NameText, nullable=False),  # manual | schedule | event
    Column("actor", sa.Text, nullable=False),
    Column("status", NameText, nullable=False),  # model.work.Status
    Column("summary", Json, nullable=False),
    _at("created_at"),
    _at("started_at", nullable=True),
    _at("finished_at", nullable=True),
    Index("ix_executions_target", "target", "created_at"),
    Index("ix_executions_finished_at", "finished_at"),
)

tasks = Table(
    "tasks",
    SCHEMA,
    _id(),
    _to("executions", "execution_id", nullable=True),  # NULL: housekeeping of its own
    _to("tenants", "tenant_id", nullable=True),  # who waits for it, among long ones; NULL: nobody
    Column("kind", NameText, nullable=False),
    Column("target", NameText, nullable=False),  # at most `per_target` of a kind run on one target
    Column("priority", sa.Integer, nullable=False),  # higher first
    Column("status", NameText, nullable=False),
    Column("arguments", Json, nullable=False),
    Column("unique_key", NameText, nullable=True),  # at most one waiting task has it
    Column(
        "renews", sa.Boolean, nullable=False
    ),  # deferring the key again brings all attempts back
    Column("attempts", sa.Integer, nullable=False),
    Column("max_attempts", sa.Integer, nullable=False),
    _at("run_after"),
    Column("lease_token", NameText, nullable=True),
    _at("lease_until", nullable=True),
    Column("cancel_requested", sa.Boolean, nullable=False),
    Column("progress", Json, nullable=False),
    Column("error", sa.Text, nullable=True),
    _at("created_at"),
    _at("started_at", nullable=True),
    _at("finished_at", nullable=True),
    Index(
        "ix_tasks_running",
        "kind",
        "target",
        "lease_until",
        sqlite_where=sa.text("status = 'running'"),
        postgresql_where=sa.text("status = 'running'"),
    ),
    Index(
        "uq_tasks_unique_key",
        "unique_key",
        unique=True,
        sqlite_where=sa.text("unique_key IS NOT NULL AND status = 'pending'"),
        postgresql_where=sa.text("unique_key IS NOT NULL AND status = 'pending'"),
    ),
    Index("ix_tasks_execution_id", "execution_id", "status"),
    Index("ix_tasks_finished_at", "finished_at"),
)

Index(  # what a worker claims first; a large backlog must not be sorted under the writer's lock
    "ix_tasks_due",
    tasks.c.priority.desc(),
    tasks.c.run_after,
    sqlite_where=sa.text("status = 'pending'"),
    postgresql_where=sa.text("status = 'pending'"),
)

schedules = Table(
    "schedules",
    SCHEMA,
    _id(),
    Column("kind", NameText, nullable=False),
    Column("target", NameText, nullable=False),
    _to("tenants", "tenant_id", nullable=True),
    Column("cron", sa.Text, nullable=False),  # five fields
    Column("timezone", NameText, nullable=False),
    Column("arguments", Json, nullable=False),
    Column("enabled", sa.Boolean, nullable=False),
    _at("next_at"),
    _at("last_at", nullable=True),
    UniqueConstraint("kind", "target"),
    Index("ix_schedules_next_at", "next_at"),
)

reviews = Table(  # the collector's queue: look again at this blob or manifest after a while
    "reviews",
    SCHEMA,
    Column("kind", NameText, primary_key=True),  # blob | manifest | repository
    Column("subject_id", sa.BigInteger, primary_key=True),
    _at("review_after"),
    Column("reason", NameText, nullable=False),
    Column("attempts", sa.Integer, nullable=False),
    _at("created_at"),
    Index("ix_reviews_review_after", "review_after"),
)

counters = Table(  # folded values; add the deltas that are not folded yet
    "counters",
    SCHEMA,
    Column(
        "subject_kind", NameText, primary_key=True
    ),  # tenant | instance | namespace | repository | manifest
    Column("subject_id", sa.BigInteger, primary_key=True),
    Column("name", NameText, primary_key=True),  # namespaces | repositories | tags | bytes | pulls
    Column("value", sa.BigInteger, nullable=False),
)

counter_deltas = Table(
    "counter_deltas",
    SCHEMA,
    _id(),
    Column("subject_kind", NameText, nullable=False),
    Column("subject_id", sa.BigInteger, nullable=False),
    Column("name", NameText, nullable=False),
    Column("delta", sa.BigInteger, nullable=False),
    Index("ix_counter_deltas_subject", "subject_kind", "subject_id", "name"),
)

audit = Table(  # changes, denials, logins
    "audit",
    SCHEMA,
    _id(),
    _at("happened_at"),
    Column("tenant_id", sa.BigInteger, nullable=True),
    Column("actor", sa.Text, nullable=False),
    Column("source", sa.Text, nullable=False),  # client address
    Column("action", NameText, nullable=False),
    Column("resource", sa.Text, nullable=False),
    Column("outcome", NameText, nullable=False),  # done | denied | failed
    Column("request_id", NameText, nullable=False),
    Column("details", Json, nullable=False),
    Index("ix_audit_happened_at", "happened_at"),
    Index("ix_audit_tenant_id", "tenant_id", "happened_at"),
)

# Ids that outlive their rows (in tokens, audit, object names) are never given again.
for _table in (
    *(tenants, users, groups, access_keys, policies, accounts, instances, namespaces),
    *(repositories, manifests, blobs, executions, tasks, events, clusters, triggers),
    *(sync_rules, sync_jobs),
    *(retention_policies, retention_log),
):
    _table.dialect_options["sqlite"]["autoincrement"] = True
