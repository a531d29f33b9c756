"""Database and blob store brought to agree."""

from entrepot.capabilities.operations.counting import Counted
from entrepot.metadata import truths

COUNTED = (  # repositories first: a namespace's bytes are the sum of theirs
    Counted("repository", "bytes", truths.repository_ids, truths.repository_bytes),
    Counted("repository", "tags", truths.repository_ids, truths.repository_tags),
    Counted("namespace", "repositories", truths.namespace_ids, truths.namespace_repositories),
    Counted("namespace", "bytes", truths.namespace_ids, truths.namespace_bytes),
)
