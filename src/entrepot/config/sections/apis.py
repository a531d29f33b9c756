"""The management APIs."""

from typing import Annotated

from entrepot.config.sections.base import Section, setting


class Api(Section, frozen=True, kw_only=True):
    """The vendors' management APIs."""

    rate_percent: Annotated[
        int,
        setting(
            "How many requests a second an account may send of each action in a region, in percent of what the vendor documents. 0: any number.",
            least="0",
            most="1000000",
        ),
    ] = 100
    swr_rate: Annotated[
        int,
        setting(
            "How many requests a second an account may send of each operation of the SWR API in a region. The vendor documents no figure; `rate_percent` counts here, too. 0: any number.",
            least="0",
            most="1000000",
        ),
    ] = 1000
    vendor_regions: Annotated[
        bool,
        setting(
            "Take a vendor's region name that no region here has for the default one, so that clients need no change but the endpoint."
        ),
    ] = True
    swr_error_arrays: Annotated[
        bool,
        setting(
            "Answer errors of the SWR API as the bare array of the vendor's appendix. Its SDK finds no code in that, so an object is the default."
        ),
    ] = False
