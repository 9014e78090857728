"""What status says of a change that goes through the whole deployment in rounds."""

from collections.abc import Callable

from ..ask.consul import ConsulError
from ..report import MachineRow
from . import access_lists


def describe(name: str, what: str, find_missing: Callable[[], list[str]], last: str) -> MachineRow:
    """Tell what is not done yet and which nodes it waits for; `last` is what follows when it waits for none."""
    try:
        missing = find_missing()
    except ConsulError as error:
        missing = [str(error)]
    try:
        down = access_lists.list_down() if missing else set()
    except ConsulError:
        down = set()  # who is waited for is known all the same
    named = [f"{one} (down)" if one in down else one for one in missing]
    why = f"waiting for {', '.join(named)}" if missing else last
    return {"name": name, "healthy": True, "warning": True, "why": f"{what}; {why}"}
