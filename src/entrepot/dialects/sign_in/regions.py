"""The cloud's regions: names that stand for the default region where none here is called so (`api.vendor_regions`)."""

from collections.abc import Set as AbstractSet
from typing import Final

from entrepot.config import Settings

NAMES: Final = frozenset(
    [
        "ae-ad-1",
        "af-north-1",
        "af-south-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-southeast-3",
        "ap-southeast-4",
        "ap-southeast-5",
        "cn-east-2",
        "cn-east-3",
        "cn-east-4",
        "cn-east-5",
        "cn-north-1",
        "cn-north-11",
        "cn-north-12",
        "cn-north-2",
        "cn-north-4",
        "cn-north-9",
        "cn-south-1",
        "cn-south-2",
        "cn-south-4",
        "cn-southwest-2",
        "cn-southwest-3",
        "eu-west-0",
        "eu-west-101",
        "la-north-2",
        "la-south-2",
        "me-east-1",
        "my-kualalumpur-1",
        "na-mexico-1",
        "ru-moscow-1",
        "ru-northwest-2",
        "sa-brazil-1",
        "sa-peru-1",
        "tr-west-1",
    ]
)


def aliases(settings: Settings) -> AbstractSet[str]:
    """The names that do so in this deployment."""
    return NAMES if settings.api.vendor_regions else frozenset()
