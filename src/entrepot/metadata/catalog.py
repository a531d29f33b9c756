"""Lists of repositories as far as somebody may see them."""

from sqlalchemy import Connection

from entrepot.metadata.access import Visibility, visible
from entrepot.metadata.namespaces import repository_of, select_repositories
from entrepot.metadata.schema import repositories
from entrepot.model.content import Repository
from entrepot.model.ids import InstanceId


def repositories_page(
    conn: Connection, instance: InstanceId, visibility: Visibility, *, after: str, limit: int
) -> list[Repository]:
    """Living repositories of the instance in bytewise order of their full names, behind `after`."""
    rows = conn.execute(
        select_repositories()
        .where(
            repositories.c.instance_id == instance,
            repositories.c.full_name > after,
            repositories.c.deleted_at.is_(None),
            visible(visibility),
        )
        .order_by(repositories.c.full_name)
        .limit(limit)
    )
    return [repository_of(row) for row in rows]
