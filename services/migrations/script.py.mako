"""${message}"""

from alembic import op

revision = "${up_revision}"
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    # A migration that waits for a lock makes everything behind it wait too: better to fail and be run again.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
    """)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
    """)
