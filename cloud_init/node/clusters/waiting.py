"""What status says of a change that goes through the whole deployment in rounds."""

from collections.abc import Callable

from ..ask.consul import ConsulError
from ..report import MachineRow


def describe(name: str, what: str, find_missing: Callable[[], list[str]], last: str) -> MachineRow:
    """Tell what is not done yet and which nodes it waits for; `last` is what follows when it waits for none."""
    try:
        missing = find_missing()
    except ConsulError as error:
        missing = [str(error)]
    why = f"waiting for {', '.join(missing)}" if missing else last
    return {"name": name, "healthy": True, "warning": True, "why": f"{what}; {why}"}
