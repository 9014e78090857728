"""When the machines renew packages by themselves: one setting, read as the times of apt's two timers."""

from __future__ import annotations

from dataclasses import dataclass

DAY_MINUTES = 24 * 60
LEAST_MINUTES = 30


@dataclass(frozen=True)
class Window:
    """A window of the day. A third of it passes until the last machine has read the package lists, a third until the last one
    begins to install, and in the last third all come to their end. Within a third each machine takes a moment of its own."""

    start: int
    minutes: int

    @property
    def lists_at(self) -> str:
        """Return when the first machine may read the package lists."""
        return format_time(self.start)

    @property
    def install_at(self) -> str:
        """Return when the first machine may install."""
        return format_time(self.start + self.minutes // 3)

    @property
    def spread_minutes(self) -> int:
        """Return how far apart the machines may be."""
        return self.minutes // 3


def read_window(text: str) -> Window | None:
    """Read such as `03:00-05:00`, which may lead over midnight; None where machines renew nothing by themselves."""
    if text == "off":
        return None
    start, end = (int(time[:2]) * 60 + int(time[3:]) for time in text.split("-"))
    return Window(start, (end - start) % DAY_MINUTES or DAY_MINUTES)


def format_time(minutes: int) -> str:
    """Return a time of the day as systemd reads it."""
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"
