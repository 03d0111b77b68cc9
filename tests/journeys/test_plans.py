"""What is asked all the time is answered by walking an index, on both databases: a test of the plan, not of the time."""

import pytest

from bench.crowd import write_crowd
from bench.plans import QUESTIONS, plan, settle_statistics
from portal.db import Database


@pytest.mark.slow
def test_claims_and_board_columns_walk_their_indexes(database: Database) -> None:
    write_crowd(database, 3000)
    settle_statistics(database)
    for question in QUESTIONS:
        with database.write() as db:
            said = plan(db, question)
        assert question.is_walked(said), f"{question.name}: {said}"
