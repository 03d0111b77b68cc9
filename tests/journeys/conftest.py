"""What tests of journeys ask for: a story that begins on a Monday morning, on either database."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from portal.db import Database
from tests import cast, factories
from tests.journeys.story import Story
from tests.shelf import Shelf


@pytest.fixture
def story(database: Database) -> Story:
    """The cast is on stage and nothing has happened yet."""
    house = factories.house(database, cast.MONDAY)
    with database.write() as db:
        everybody = cast.put_on_stage(db, house)
    return Story(house, everybody, cast.MONDAY)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Database]]:
    """Makes migrated databases without rows, as many as are asked for, on each engine in turn."""
    if request.param == "sqlite":
        template, number = request.getfixturevalue("migrated_sqlite_file"), itertools.count()
        yield lambda: Database(f"sqlite:///{shutil.copyfile(template, tmp_path / f'{next(number)}.sqlite')}")
        return
    shelf: Shelf = request.getfixturevalue("pg_shelf")
    with ExitStack() as stack:
        yield lambda: Database(stack.enter_context(shelf.one()))


@pytest.fixture
def using(story: Story) -> Story:
    """Maria's company uses the product since that Monday."""
    story.get_to_use()
    return story
