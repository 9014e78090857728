"""What programs write of a call that works, for `webitel logs --call`. rtpengine is real, OpenSIPS a stand-in."""

import pytest

from tests.sandbox.telephony import Telephony
from tests.sandbox.test_smoke_calls import place

pytestmark = pytest.mark.sandbox


def lines_of(telephony: Telephony, program: str, call: str) -> list[str]:
    """What a program wrote of a call."""
    return [line for line in (telephony.folder / f"{program}.log").read_text(errors="replace").splitlines() if call in line]


def test_opensips_and_rtpengine_name_a_call_that_works(telephony: Telephony) -> None:
    call, other = place("1001"), place("1002")
    said = lines_of(telephony, "opensips", call)
    # Where it came from and where it went, its answer, its end; nothing for what is only asked for a password.
    assert [line.partition(f"call {call}: ")[2].split(" ")[0] for line in said] == ["sip:1001@webitel", "200", "BYE"], said
    assert lines_of(telephony, "rtpengine", call)
    assert not any(other in line for program in ("opensips", "rtpengine") for line in lines_of(telephony, program, call))
