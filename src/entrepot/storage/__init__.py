"""BlobStores: local files, memory for tests, and parts over an object service with S3's limits.

Only `bootstrap` opens one (`entrepot.storage.opening.open_store`); everybody else sees `entrepot.ports.blobs`. Nothing here
knows digests, repositories or rights, and nothing here reads uploaded bytes again unless asked to.
"""
