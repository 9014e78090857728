"""Every parameter that opensips.cfg sets: it says something else than the real program's default, and the stand-in acts on it."""

import re
from functools import cache
from pathlib import Path

from sandbox.standin.opensips import words
from sandbox.standin.opensips.checks import read_config
from tests.unit.cloud_init.opensips_files import CONFIGURATION, with_bundle
from tests.unit.cloud_init.test_telephony_fragments import TRIAL, files_with

STANDIN = Path(words.__file__).parent
SAME_AS_THE_DEFAULT = {
    ("auth_db", "calculate_ha1"),
    ("db_virtual", "db_probe_time"),
    ("dialog", "db_mode"),
    ("dialog", "dlg_match_mode"),
    ("dialog", "options_ping_interval"),
    ("dispatcher", "ds_ping_method"),
    ("event_rabbitmq", "heartbeat"),
    ("nathelper", "natping_tcp"),
    ("nathelper", "sipping_method"),
    ("pike", "remove_latency"),
    ("pike", "sampling_time_unit"),
}
"""What the file says although taking it out changes nothing."""


@cache
def read_set() -> dict[tuple[str, str], list[str | int]]:
    """The parameters that our file sets, by module and name, each with its values."""
    files = with_bundle(files_with(TRIAL, "opensips"))
    return read_config(files[CONFIGURATION], files).parameters


def default_of(module: str, name: str) -> str:
    """What the real program takes where nothing is said."""
    return words.read_table()[module].parameters[name].default


def test_only_what_is_listed_repeats_a_default() -> None:
    found = {(module, name) for (module, name), values in read_set().items() if str(values[-1]) == default_of(module, name)}
    assert found == SAME_AS_THE_DEFAULT


def test_the_stand_in_acts_on_every_parameter() -> None:
    read = "\n".join(path.read_text() for path in STANDIN.glob("*.py"))
    spelt = {name: name.removesuffix("_column").removesuffix("_col") for _, name in read_set()}
    assert [one for one in sorted(read_set()) if not re.search(rf"\b{one[1]}\b|\"{spelt[one[1]]}\"", read)] == []
