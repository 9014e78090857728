"""Two runs at once, as threads: a lock on a file holds between them as between processes."""

import threading
from collections.abc import Callable

PATIENCE_SECONDS = 20


def side_by_side(*actions: Callable[[], object]) -> None:
    """Run all actions at once and wait for their ends."""
    runs = [threading.Thread(target=action) for action in actions]
    for run in runs:
        run.start()
    for run in runs:
        run.join(PATIENCE_SECONDS)
        assert not run.is_alive()
