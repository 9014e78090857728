"""Limits against toll fraud: how many calls an account and a trunk may make, to where and when."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from math import ceil
from typing import Literal, NamedTuple

from components.model.catalogue.services import CATALOGUE
from components.model.catalogue.tiers import TIERS
from components.model.plan import Plan
from components.model.planning.capacity import MINUTES_PER_CALL
from components.model.planning.draft import Draft
from components.model.problems import Problem, setting_problem
from components.model.settings import CarrierProfile, Settings

PEAK_FACTOR = 10
"""The busiest minute of a day against its mean (ours): a day's calls come within eight hours, and three times as many at once."""

MINUTES_PER_DAY = 24 * 60

ACCOUNT_CALLS, ACCOUNT_CALLS_PER_MINUTE = 10, 60
"""What a phone may do unless set (ours): a person dials a handful, a stolen password thousands."""

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

SPAN = re.compile(r"([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)")
HOST = re.compile(r"(?=.{1,253}$)(?=.*[a-z])[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+")
NUMBER = re.compile(r"\+?[0-9*#]{1,32}")


@dataclass(frozen=True)
class CallLimit:
    """Calls at once and begun within a minute."""

    calls: int
    per_minute: int


class Hours(NamedTuple):
    """When calls go out: weekdays as digits from 1 = Monday (`strftime` %u), first and last minute as HH:MM."""

    days: str
    first: str
    last: str


@dataclass(frozen=True)
class CallLimits:
    """Everything that ends in a 403 of OpenSIPS."""

    account: CallLimit
    trunk: CallLimit
    hours: tuple[Hours, ...]


def resolve_call_limits(plan: Plan, settings: Settings) -> CallLimits:
    """Return the limits as set, else ours; a trunk's are never below the load that the deployment is made for."""
    tier = TIERS[plan.tier]
    carriers = {service.name for service in CATALOGUE.values() if service.carries_calls}
    media = sum(role.count for role in tier.roles if carriers.intersection(role.services))
    growth = max(1.0, sum(not carriers.isdisjoint(node.services) for node in plan.nodes) / media)
    per_minute = ceil(PEAK_FACTOR * growth * tier.calls_per_day / MINUTES_PER_DAY)
    return CallLimits(
        _limit(settings.account_limits, CallLimit(ACCOUNT_CALLS, ACCOUNT_CALLS_PER_MINUTE)),
        _limit(settings.trunk_limits, CallLimit(ceil(per_minute * MINUTES_PER_CALL), per_minute)),
        tuple(Hours(weekdays(days), *span.split("-")) for days, span in settings.outgoing_hours.items()),
    )


def _limit(wanted: Mapping[Literal["calls", "per_minute"], int], default: CallLimit) -> CallLimit:
    return CallLimit(wanted.get("calls", default.calls), wanted.get("per_minute", default.per_minute))


def weekdays(text: str) -> str:
    """Return `mon-fri` or `sat` as digits from 1 = Monday; "" = neither."""
    first, _, last = text.partition("-")
    if first not in DAYS or (last or first) not in DAYS:
        return ""
    start, end = DAYS.index(first), DAYS.index(last or first)
    return "".join(str(day + 1) for day in range(len(DAYS)) if (day - start) % 7 <= (end - start) % 7)


def carrier_networks(settings: Settings) -> dict[IPv4Network, CarrierProfile]:
    """Return the profiles of networks, the widest first."""
    found = {IPv4Network(name): profile for name, profile in settings.carrier_profiles.items() if not HOST.fullmatch(name)}
    return dict(sorted(found.items(), key=lambda item: item[0].prefixlen))


def carrier_hosts(settings: Settings) -> dict[str, CarrierProfile]:
    """Return the profiles of host names, which count for calls that go out."""
    return {name: profile for name, profile in settings.carrier_profiles.items() if HOST.fullmatch(name)}


def check_carrier_profiles(draft: Draft) -> Iterator[Problem]:
    """Find profiles of nobody."""
    for name in draft.settings.carrier_profiles:
        if HOST.fullmatch(name):
            continue
        try:
            network = IPv4Network(name)
        except ValueError:
            yield setting_problem("carrier_profiles", name, "neither a network of webitel:carriers nor a host name")
            continue
        if not any(network.subnet_of(carrier) for carrier in draft.settings.carriers):
            yield setting_problem("carrier_profiles", name, "is in no network of webitel:carriers; add it there")


def check_calls(draft: Draft) -> Iterator[Problem]:
    """Find limits that no call could meet, numbers that are none, hours that are none."""
    settings = draft.settings
    for name in ("account_limits", "trunk_limits"):
        for key, value in getattr(settings, name).items():
            if value < 1:
                yield setting_problem(
                    f"{name}.{key}",
                    value,
                    "no call would be allowed; use a number such as 30, or webitel:destinations to say where calls may go",
                )
    for name in ("emergency_numbers", "destinations"):
        for number in getattr(settings, name):
            if not NUMBER.fullmatch(number):
                yield setting_problem(name, number, "not a number as people dial it; use digits such as 112 or +49")
    for days, span in settings.outgoing_hours.items():
        setting = f"outgoing_hours.{days}"
        if not weekdays(days):
            yield setting_problem(setting, span, "not days of the week; use a key such as mon-fri or sat")
        elif not SPAN.fullmatch(span) or span.split("-")[0] >= span.split("-")[1]:
            yield setting_problem(setting, span, "not hours of a day; use a span such as 07:00-20:00, or 00:00-24:00")
