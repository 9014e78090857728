"""When every cloud alarms."""

from typing import NamedTuple


class Alarm(NamedTuple):
    """The part of a budget at which a cloud alarms; with `forecast` of what it foresees for the month, else of what is spent."""

    percent: int
    forecast: bool = False


ALARMS = (Alarm(percent=80), Alarm(percent=100), Alarm(percent=100, forecast=True))
