"""What the tests of the command line share."""

from collections.abc import Iterator
from functools import cache

import pytest
from typer import main, testing


@pytest.fixture(scope="session", autouse=True)
def command_made_once() -> Iterator[None]:
    """Typer's runner would make the command anew of all its functions for each test, which takes longer than most commands do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(testing, "_get_command", cache(main.get_command))
        yield
