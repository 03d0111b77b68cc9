"""PostgreSQL looks for words through the full-text index, always.

Left to itself it reads every text instead: it takes a word for rarer or commoner than it is among what one reader may see,
and doesn't count what unpacking a text costs (100 ms for 10 000 of them, where the index takes one).
"""

from collections.abc import Sequence

from alembic import op

revision: str = "2611272200"
down_revision: str | Sequence[str] | None = "2611272156"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BY_THE_INDEX = "LANGUAGE sql STABLE SET enable_seqscan = off SET enable_indexscan = off"


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute(
        f"""
        CREATE FUNCTION search_titles(asked tsquery, most integer) RETURNS SETOF bigint {BY_THE_INDEX} AS $$
            SELECT document_id FROM search_index WHERE title @@ asked ORDER BY document_id DESC LIMIT most
        $$
        """  # noqa: S608 - of our own words only
    )
    op.execute(
        f"""
        CREATE FUNCTION search_texts(asked tsquery, terms tsquery, most integer) RETURNS TABLE (id bigint, rank real)
        {BY_THE_INDEX} AS $$
            SELECT document_id, -ts_rank(words, terms, 1) FROM (
                SELECT document_id, words FROM search_index WHERE words @@ asked ORDER BY document_id DESC LIMIT most
            ) AS newest
        $$
        """  # noqa: S608 - of our own words only
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION search_texts(tsquery, tsquery, integer)")
        op.execute("DROP FUNCTION search_titles(tsquery, integer)")
