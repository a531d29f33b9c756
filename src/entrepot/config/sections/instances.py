"""Tenants' own instances: what each edition brings, and how they come and go."""

from typing import Annotated

from entrepot.config.editions import Edition
from entrepot.config.sections.base import Section, setting
from entrepot.config.types import Duration

_EDITIONS = (
    (
        "basic namespaces=50 repositories=1000 tokens=100 accounts=20 triggers=20 rules=20"
        " links=2 allow_list_entries=50 domains=0 replicas=0"
    ),
    (
        "standard namespaces=100 repositories=3000 tokens=300 accounts=50 triggers=50 rules=50"
        " links=5 allow_list_entries=100 domains=5 replicas=0 replication signatures"
    ),
    (
        "premium namespaces=500 repositories=5000 tokens=1000 accounts=200 triggers=100 rules=100"
        " links=10 allow_list_entries=200 domains=20 replicas=10 replication signatures acceleration"
    ),
)


class Instances(Section, frozen=True, kw_only=True):
    """Dedicated instances: editions, and how instances come and go."""

    editions: Annotated[
        tuple[Edition, ...],
        setting(
            "Each `name resource=limit … feature …`, the first one the default. Resources: namespaces, repositories, tokens, accounts, triggers, rules,"
            " links (networks), allow_list_entries, domains, replicas; one that is not named is unlimited, 0 allows none."
            " Features: replication, signatures, acceleration; one that is not named is refused."
        ),
    ] = tuple(map(Edition.parse, _EDITIONS))
    per_tenant: Annotated[
        int,
        setting("Dedicated instances a tenant may have. 0: unlimited.", least="0", most="1000000"),
    ] = 20
    reserved_names: Annotated[
        tuple[str, ...],
        setting(
            "Instance names nobody is given, besides those of the deployment's own services under the suffix."
        ),
    ] = ("admin", "login", "registry", "www")
    step_time: Annotated[
        Duration,
        setting(
            "How long each state on the way to a running instance is shown at least, so that clients that poll see it.",
            most="10m",
        ),
    ] = Duration.parse("1s")
    private_address: Annotated[
        str,
        setting(
            "Address that private links are told they find this server at. Empty: the listener's, or on a listener of all addresses the one towards the network.",
            pattern="[A-Za-z0-9.:-]{0,253}",
        ),
    ] = ""
    enforce_expiry: Annotated[
        bool,
        setting(
            "Isolate an instance whose end has come until it is renewed. Otherwise such dates are only remembered."
        ),
    ] = False
