"""Alembic's environment: runs revisions on the connection that `migrate` gives it, inside that connection's transaction."""

from alembic import context

from entrepot.metadata.schema import SCHEMA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SCHEMA,
    render_as_batch=True,  # SQLite alters most things by copying the table
    transactional_ddl=True,
    compare_type=True,
    user_module_prefix="types.",
)
with context.begin_transaction():
    context.run_migrations()
