"""Cancelling an upload while somebody else looks at it."""

import asyncio

import pytest

from entrepot.capabilities.content import uploading
from entrepot.model.access import SYSTEM
from entrepot.model.errors import UploadHeld, UploadUnknown
from entrepot.oci.digest import Algorithm
from registry_in_memory import open_registry


def test_a_cancelled_session_is_gone_though_another_holds_its_file(
    migrated_database, tmp_path, monkeypatch
):
    def held(key, *, state):
        raise UploadHeld(key)

    async def body():
        async with open_registry(migrated_database, tmp_path) as registry:
            ctx, place = registry.ctx, registry.place("app")
            session = await uploading.start_upload(ctx, SYSTEM, place, Algorithm.SHA256)
            monkeypatch.setattr(registry.store, "abandon", held)
            await uploading.cancel(ctx, SYSTEM, place, session.id)
            with pytest.raises(UploadUnknown):
                await uploading.get_upload(ctx, SYSTEM, place, session.id)

    asyncio.run(body())
