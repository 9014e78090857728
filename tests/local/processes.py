"""Processes of this machine, as the kernel shows them."""

from pathlib import Path


def descendants(pid: int) -> dict[int, str]:
    """The processes below a process with their command lines."""
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            for child in map(int, read_process_file(children).split()):
                found[child] = read_process_file(Path(f"/proc/{child}/cmdline")).replace("\0", " ").strip()
                waiting.append(child)
    return found


def read_process_file(path: Path) -> str:
    """A file of a process that may be gone."""
    try:
        return path.read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    state = read_process_file(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return bool(state) and state[0] != "Z"
