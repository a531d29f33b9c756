"""Reference pages of the wires, for the command that writes them."""

from collections.abc import Callable
from typing import Final

from entrepot.dialects.native.reference import api_page
from entrepot.dialects.swr.reference import swr_page
from entrepot.dialects.tcr.reference import tcr_page

WIRE_PAGES: Final[dict[str, Callable[[], str]]] = {
    "tcr.md": tcr_page,
    "swr.md": swr_page,
    "api.md": api_page,
}
