"""When every cloud alarms."""

ALARMS = ((80, False), (100, False), (100, True))
"""Per cent of a budget at which the cloud alarms, and whether what it forecasts counts."""
