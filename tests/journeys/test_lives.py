"""Whole lives under random orders of events: the invariants hold on paper, and in a database whose clients die now and
then."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from portal.db import Database
from tests.journeys.lives import LivesInDatabase, LivesOnPaper


def test_the_invariants_hold_on_paper() -> None:
    run_state_machine_as_test(LivesOnPaper, settings=settings(max_examples=300, stateful_step_count=40))


@pytest.mark.slow
def test_the_invariants_hold_in_a_database_whose_clients_die(new_database: Callable[[], Database]) -> None:
    every_life = settings(
        max_examples=10,
        stateful_step_count=25,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.reuse, Phase.generate],  # shrinking takes minutes here: what fails is shrunk on paper
    )
    run_state_machine_as_test(lambda: LivesInDatabase(new_database()), settings=every_life)  # type: ignore[arg-type]
