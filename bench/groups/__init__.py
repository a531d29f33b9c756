"""One module for each group of lines: how it is measured."""

from collections.abc import Callable, Mapping

from bench.groups import api, crowd, large, lists, small, start, upload
from bench.run import Run

GROUPS: Mapping[str, Callable[[Run], None]] = {
    "small": small.small,
    "large": large.large,
    "tls": large.large_tls,
    "upload": upload.upload,
    "crowd": crowd.crowd,
    "start": start.start,
    "lists": lists.lists,
    "api": api.api,
}
