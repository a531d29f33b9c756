"""A process that takes an upload up at offset 0, says so, and holds it until it is killed. Arguments: root, key."""

import sys
from pathlib import Path

from entrepot.ports.blobs import ObjectKey
from entrepot.storage.local import LocalStore

upload = LocalStore(Path(sys.argv[1])).resume(ObjectKey(sys.argv[2]), state=b"", offset=0)
upload.write(memoryview(b"held"))
print("held", flush=True)
sys.stdin.read()
