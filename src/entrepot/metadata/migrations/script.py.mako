"""${message}."""
# ruff: noqa: PLR0915 (written by a machine, read by a person)

import sqlalchemy as sa
from alembic import op

from entrepot.metadata import types
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Forward only: going back is restoring a backup."""
    ${upgrades if upgrades else "pass"}
