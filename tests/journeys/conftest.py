"""What tests of journeys ask for: a story that begins on a Monday morning, on either database."""

import pytest

from portal.db import Database
from tests import cast, factories
from tests.journeys.story import Story


@pytest.fixture
def story(database: Database) -> Story:
    """The cast is on stage and nothing has happened yet."""
    house = factories.house(database, cast.MONDAY)
    with database.write() as db:
        everybody = cast.put_on_stage(db, house)
    return Story(house, everybody, cast.MONDAY)


@pytest.fixture
def using(story: Story) -> Story:
    """Maria's company uses the product since that Monday."""
    story.get_to_use()
    return story
