"""Hash states of upload sessions between two requests: live in this process, and recorded for others."""

from collections import OrderedDict

from entrepot.model.content import UploadSession
from entrepot.model.ids import UploadId
from entrepot.oci.digest import Hasher
from entrepot.oci.resumable import restored, resumable_hasher, saved


class LiveHashers:
    """Hash states of sessions between two requests: (session, offset) -> state.

    Where it is not found here, the one recorded with the session is taken up; where there is none, the stored bytes are read again
    at commit.
    """

    def __init__(self, most: int = 2048, *, life: bytes | None = None) -> None:
        """`life`: how long what the store `save`s is sure to be there, as a name that changes when it ends: of this run of the machine
        where power loss may take written bytes, empty where nothing does. A recorded state holds in the same life only, for it would
        vouch for bytes that are there no more. None: record none.
        """
        self._most = most
        self._life = life
        self._kept: OrderedDict[UploadId, tuple[int, Hasher]] = OrderedDict()

    def put(self, upload: UploadId, offset: int, hasher: Hasher) -> None:
        """Keep the state at that offset."""
        self._kept[upload] = (offset, hasher)
        self._kept.move_to_end(upload)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def take(self, session: UploadSession) -> Hasher | None:
        """The state at the session's recorded offset, if it is known."""
        offset, hasher = self._kept.pop(session.id, (-1, None))
        if session.offset == 0:
            return resumable_hasher(session.algorithm)
        return hasher if offset == session.offset else self._recorded(session)

    def to_record(self, hasher: Hasher | None, offset: int) -> bytes:
        """What to record with that offset; empty where the state cannot be kept."""
        state = b"" if hasher is None or self._life is None else saved(hasher, length=offset)
        return (
            b""
            if not state or self._life is None
            else bytes([len(self._life)]) + self._life + state
        )

    def _recorded(self, session: UploadSession) -> Hasher | None:
        if self._life is None or not session.hash_state:
            return None
        head = bytes([len(self._life)]) + self._life
        if not session.hash_state.startswith(head):
            return None
        state = session.hash_state[len(head) :]
        return restored(session.algorithm, state, length=session.offset)
