"""`/` of a bare address, where two APIs live: signs in the request tell which is meant."""

from entrepot.dialects.swr.wire import Swr
from entrepot.dialects.tcr.wire import Tcr, is_meant
from entrepot.http.messages import Request, Response
from entrepot.model.tenancy import Instance


class Root:
    """The handler that the chain calls for it."""

    def __init__(self, tcr: Tcr, swr: Swr) -> None:
        self._tcr = tcr
        self._swr = swr

    async def __call__(self, request: Request, instance: Instance) -> Response:
        """What has no sign of the one is the other's, which tells its versions to anybody."""
        wire = self._tcr if is_meant(request) else self._swr
        return await wire(request, instance)
