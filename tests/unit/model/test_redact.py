import json
from urllib.parse import quote, quote_plus

import pytest

from components.model.redact import SecretFilter

KEY = """\
-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASC
BKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj
MzE=
-----END PRIVATE KEY-----
"""


@pytest.fixture
def redact() -> SecretFilter:
    return SecretFilter()


@pytest.mark.parametrize("value", ["hunter22", 'a"quote\\and\ttab', "sp ace/and?sign&co", "ümlaut-secret"])
def test_no_form_of_a_secret_passes(redact: SecretFilter, value: str) -> None:
    redact.add(value)
    for form in (
        value,
        json.dumps(value),
        json.dumps(value, ensure_ascii=False),
        quote(value, safe=""),
        quote_plus(value),
    ):
        assert redact(f"postgres://webitel:{form}@127.0.0.1") in (
            "postgres://webitel:[secret]@127.0.0.1",
            'postgres://webitel:"[secret]"@127.0.0.1',
        )


def test_learns_texts_and_numbers_anywhere_inside(redact: SecretFilter) -> None:
    redact.add({"a": ["first-secret", {"b": 12345678}], "c": (True, None, 5)})
    assert redact("first-secret 12345678 True None 5") == "[secret] [secret] True None 5"


def test_a_secret_that_begins_with_another_leaves_no_tail(redact: SecretFilter) -> None:
    redact.add("hunter")
    redact.add("hunter-and-more")
    assert redact("hunter-and-more hunter") == "[secret] [secret]"


def test_short_values_stay(redact: SecretFilter) -> None:
    redact.add(["", "yes", "12345", "  ab  "])
    assert redact("yes 12345 ab") == "yes 12345 ab"


def test_key_file_is_hidden_as_a_whole_and_by_line(redact: SecretFilter) -> None:
    redact.add(KEY)
    assert redact(f"read {KEY}") == "read [secret]\n"
    by_line = redact("\n".join(f"node: {line}" for line in KEY.splitlines()))
    assert "MIIEvQ" not in by_line
    assert "BKcwgg" not in by_line
    assert "-----BEGIN PRIVATE KEY-----" in by_line


def test_value_read_with_a_line_break_is_known_without_it(redact: SecretFilter) -> None:
    redact.add("hunter22\n")
    assert redact("got hunter22.") == "got [secret]."
