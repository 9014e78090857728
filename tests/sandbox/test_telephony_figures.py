"""What alerts are made of is there at a healthy OpenSIPS, and counts what happens."""

import re

import pytest

from cloud_init.node.ask.view import View
from cloud_init.node.health import call_figures
from components.model.catalogue.alerts import ALERTS
from tests.sandbox.telephony import LOOPBACK, NODE, PASSWORD, Telephony
from tests.tools.caller import Caller
from tests.unit.node.entries import manifest, probe, service
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

PHONE = "127.0.79.16"
ANSWERS, REQUESTS = "webitel_opensips_answers_total", "webitel_opensips_requests_total"


def ask() -> dict[str, float]:
    """The figures by name, and for answers by code."""
    known = manifest(services=[service("opensips", probe("opensips_rtpengine", address=LOOPBACK, port=8000))])
    return {of.get("code", name): value for name, of, value in call_figures.ask(known, View(known))}


def test_no_figure_that_an_alert_is_made_of_is_missing(telephony: Telephony) -> None:
    named = set(re.findall(r"webitel_opensips_\w+", " ".join(alert.expression for alert in ALERTS["opensips"])))
    assert named - {ANSWERS} <= ask().keys() and {"2xx", "4xx", "5xx"} <= ask().keys()


def test_a_call_counts(telephony: Telephony) -> None:
    before = ask()
    caller = Caller((NODE, 5060), PHONE, "echo", "1001", "webitel", PASSWORD)
    try:
        assert caller.invite().status == 200
    finally:
        caller.close()
    # An answer is with the caller before it is counted.
    wait_until(lambda: ask()["2xx"] > before["2xx"], 10, "the answer counted")
    after = ask()
    assert after[REQUESTS] > before[REQUESTS]
    assert after["2xx"] == before["2xx"] + 1 and after["5xx"] == before["5xx"]
    assert 0 <= after["webitel_opensips_memory_used_bytes"] < after["webitel_opensips_memory_total_bytes"]
