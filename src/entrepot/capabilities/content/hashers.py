"""Hash states of upload sessions between two requests."""

from collections import OrderedDict

from entrepot.model.content import UploadSession
from entrepot.model.ids import UploadId
from entrepot.oci.digest import Hasher, new_hasher


class LiveHashers:
    """Hash states of sessions between two requests, in this process only: (session, offset) -> state.

    hashlib cannot save its state; where it is not found here the stored bytes are read again at commit.
    """

    def __init__(self, most: int = 2048) -> None:
        self._most = most
        self._kept: OrderedDict[UploadId, tuple[int, Hasher]] = OrderedDict()

    def put(self, upload: UploadId, offset: int, hasher: Hasher) -> None:
        """Keep the state at that offset."""
        self._kept[upload] = (offset, hasher)
        self._kept.move_to_end(upload)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def take(self, session: UploadSession) -> Hasher | None:
        """The state at the session's recorded offset, if it is known here."""
        if session.offset == 0:
            self._kept.pop(session.id, None)
            return new_hasher(session.algorithm)
        offset, hasher = self._kept.pop(session.id, (-1, None))
        return hasher if offset == session.offset else None
