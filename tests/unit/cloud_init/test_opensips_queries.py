"""Every table and column that opensips.cfg and its modules ask for, against the sandbox's schema: it has what is known."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.standin.opensips.checks import read_config
from sandbox.standin.opensips.queries import missing_columns
from tests.unit.cloud_init.opensips_files import CONFIGURATION, read_once, with_bundle
from tests.unit.cloud_init.test_telephony_fragments import STACKS, TRIAL, files_with

SCHEMA = Path(__file__).parents[3] / "sandbox" / "webitel" / "schema" / "webitel-db-schema.sql"
MISTAKES: dict[str, Callable[[str], str]] = {
    "load_credentials: no column rpid in sip_subscriber": lambda t: t.replace('modparam("auth_db", "load_credentials", "")', ""),
    "password_column: no column ha1 in sip_subscriber": lambda t: t.replace(
        'modparam("auth_db", "password_column", "digest_ha1")', ""
    ),
    "attr_column: no column attr in location": lambda t: t.replace('modparam("usrloc", "attr_column", "device_id")', ""),
    "no table registrant": lambda t: t.replace('modparam("uac_registrant", "table_name", "sip_registrant")', ""),
    "no column expiry in sip_registrant": lambda t: t.replace('modparam("uac_registrant", "expiry_column", "expires")', ""),
    "no table address": lambda t: t.replace('modparam("permissions", "address_table", "sip_address_allow")', ""),
    "no column caller_name in": lambda t: t.replace("caller_id_name", "caller_name"),
}


def opensips_files(stack: str) -> dict[str, str]:
    """The node's files, those of the bundle too."""
    return with_bundle(files_with(stack, "opensips"))


@pytest.mark.parametrize("stack", STACKS)
def test_every_column_asked_for_is_there(stack: str) -> None:
    files = opensips_files(stack)
    assert missing_columns(read_once(files), SCHEMA.read_text()) == []


@pytest.mark.parametrize("says", MISTAKES)
def test_a_column_that_nobody_has_is_named(says: str) -> None:
    files = {path: MISTAKES[says](text) for path, text in opensips_files(TRIAL).items()}
    assert files != opensips_files(TRIAL)
    found = missing_columns(read_config(files[CONFIGURATION], files), SCHEMA.read_text())
    assert any(says in line for line in found), found
