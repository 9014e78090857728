"""Every fact, file, link, command, option and setting that a text of ours names is there."""

from __future__ import annotations

from functools import cache

import pytest

from tests.lint import signs


@cache
def read_texts() -> dict[str, str]:
    """All texts by name, read once, and by the worker that has these tests."""
    return signs.texts()


def pages() -> dict[str, str]:
    """Those that are documentation."""
    return {name: text for name, text in read_texts().items() if name.endswith(".md")}


def is_for_users(name: str) -> bool:
    """Whether a text is one that users read."""
    return name == "README.md" or name.startswith("docs/operate/")


def all_of(finder: object) -> list[str]:
    """What a finder of wrong signs says of every text."""
    assert callable(finder)
    return [f"{name}: {wrong}" for name, text in read_texts().items() for wrong in finder(text)]


def test_there_are_texts() -> None:
    some = {"README.md", "docs/facts/webitel.md", "cli/commands/plan.py", "cloud_init/files/opensips/opensips.cfg"}
    assert some <= read_texts().keys()


def test_cited_facts_exist() -> None:
    assert all_of(signs.wrong_citations) == []


def test_every_page_of_facts_is_listed() -> None:
    facts = {name.removeprefix("docs/facts/") for name in pages() if name.startswith("docs/facts/")} - {"README.md"}
    assert {link for link in signs.LINK.findall(pages()["docs/facts/README.md"]) if "../" not in link} == facts


def test_links_lead_somewhere() -> None:
    assert [f"{name}: {wrong}" for name, text in pages().items() for wrong in signs.wrong_links(name, text)] == []


def test_named_files_exist() -> None:
    assert all_of(signs.wrong_files) == []


def test_named_modules_exist() -> None:
    assert all_of(signs.wrong_modules) == []


def test_named_commands_exist() -> None:
    assert all_of(signs.wrong_commands) == []


def test_named_settings_exist() -> None:
    assert [
        f"{name}: {wrong}"
        for name, text in read_texts().items()
        if name.startswith(signs.SETTINGS_IN)
        for wrong in signs.wrong_settings(text, is_for_users(name))
    ] == []


@pytest.mark.parametrize(
    "text",
    [
        "see `facts/nothing.md` 1",
        "facts/webitel.md 9",
        "`facts/webitel.md` 1.7 to 1.99",
        "# facts/clouds.md 1.8,\n    # 7.8",
        "`facts/telephony-real.md` A 7, 99",
        "`facts/telephony-real.md` A and Q",
    ],
)
def test_a_wrong_citation_is_found(text: str) -> None:
    assert [*signs.wrong_citations(text)]


@pytest.mark.parametrize(
    "text",
    [
        "`facts/webitel.md` 1.7 to 1.13, `facts/observed.md` 1 to 5",
        "(`facts/real-clouds.md` B1)",
        "facts/clouds.md 1.\n\n2 things",
        "`facts/schemas/README.md` 20-23. Google",
        "`facts/telephony-real.md` A 7, 14, 21, 22, B and E",
    ],
)
def test_a_right_citation_is_none(text: str) -> None:
    assert [*signs.wrong_citations(text)] == []


@pytest.mark.parametrize(
    ("finder", "wrong", "right"),
    [
        (signs.wrong_files, "`cli/nothing.py`", "`cli/console.py` `cli/`"),
        (signs.wrong_files, "`stacks/Pulumi.<cloud>-nothing.yaml`", "`stacks/Pulumi.<cloud>-basic.yaml`"),
        (signs.wrong_modules, "python -m tools.nothing", "python -m stacks.schema and -m tools.incus"),
        (signs.wrong_commands, "./webitel explode", "./webitel plan aws-basic   ./webitel state backup"),
        (signs.wrong_commands, "`./webitel up --quickly`", "`./webitel up --yes` `./webitel pulumi up --refresh`"),
        (signs.wrong_settings, "webitel:nothing", "webitel:domain webitel:index:Secrets"),
    ],
)
def test_a_wrong_sign_is_found(finder: object, wrong: str, right: str) -> None:
    assert callable(finder)
    more = (False,) if finder is signs.wrong_settings else ()
    assert [*finder(wrong, *more)]
    assert [*finder(right, *more)] == []


def test_a_wrong_link_is_found() -> None:
    assert [*signs.wrong_links("docs/facts/README.md", "[a](nothing.md) [b](webitel.md#nothing)")] == [
        "nothing.md: no such file",
        "webitel.md#nothing: no such heading",
    ]
    assert [*signs.wrong_links("docs/facts/README.md", "[a](webitel.md#1-services) [b](https://example.org)")] == []


def test_a_line_of_a_stack_file_needs_its_setting() -> None:
    assert [*signs.wrong_settings("`recordings_shares: {source: x}`", True)]
    assert [*signs.wrong_settings("`carriers: [198.51.100.0/24]`", True)] == []
