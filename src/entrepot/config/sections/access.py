"""Who logs in, where, and how much they may have."""

from typing import Annotated

from entrepot.config.sections.base import Section, setting
from entrepot.config.types import Duration, Secret


class Root(Section, frozen=True, kw_only=True):
    """Presets for the first start; later starts do not read them. What is not preset is made up and shown once."""

    user: Annotated[
        str, setting("Name of the first user.", pattern=r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
    ] = "root"
    password: Annotated[Secret | None, setting("Password of the first user.")] = None
    access_key: Annotated[
        Secret | None,
        setting(
            "Access key id of the first key pair. Set together with `root.secret_key`.",
            pattern="[A-Za-z0-9_-]{4,128}",
        ),
    ] = None
    secret_key: Annotated[Secret | None, setting("Secret key of the first key pair.")] = None


class Region(Section, frozen=True, kw_only=True):
    """The first region; more are added by command. Read at the first start only."""

    name: Annotated[
        str, setting("Name, as clients send it.", pattern="[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
    ] = "local-1"
    id: Annotated[int, setting("Numeric id.", least="1", most="2147483647")] = 1
    display_name: Annotated[str, setting("Name for people. Empty: `region.name`.")] = ""


class Auth(Section, frozen=True, kw_only=True):
    """Logins and tokens of the registry."""

    token_lifetime: Annotated[
        Duration, setting("How long a token of `/service/token` is valid.", least="60s", most="1h")
    ] = Duration.parse("5m")
    basic_cache: Annotated[
        Duration,
        setting(
            "How long a good Basic login is remembered, so that not every request costs a password hash; revocation still takes effect. 0: not at all.",
            most="10m",
        ),
    ] = Duration.parse("1m")
    throttle_failures: Annotated[
        int,
        setting(
            "Failed logins of one source for one account within `auth.throttle_window` before 429.",
            least="1",
            most="10000",
        ),
    ] = 10
    throttle_window: Annotated[
        Duration, setting("The span in which failed logins are counted.", least="1s", most="1d")
    ] = Duration.parse("5m")
    argon2_parallel: Annotated[
        int,
        setting(
            "Passwords hashed at once in a process, 19 MiB each; further logins get 429.",
            least="1",
            most="64",
        ),
    ] = 2
    anonymous_pull: Annotated[
        bool, setting("Whether public namespaces and repositories can be pulled without a login.")
    ] = True


class Quota(Section, frozen=True, kw_only=True):
    """Defaults for tenants without a quota of their own."""

    swr_organizations: Annotated[
        int, setting("SWR organizations a tenant. 0: unlimited.", least="0", most="1000000")
    ] = 5
