"""Stack files whose text an editor, another system or a hurried hand has changed: refused with line, key and what is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.stacks.test_inputs import HEAD, folder, refusals, write

__all__ = ["folder"]
FILE = "stacks/Pulumi.try.yaml: "
DOMAIN = "for example webitel:domain: voice.your-company.com"


def refuse(folder: Path, content: str | bytes) -> str:
    """What is told first of a file with that content."""
    (folder / "Pulumi.try.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    told = refusals()
    assert all("\n" not in text for text in told)
    return told[0]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (HEAD.encode("utf-16"), "is text in UTF-16; save it as UTF-8"),
        (HEAD.encode("utf-16-le"), "is text in UTF-16; save it as UTF-8"),
        (HEAD.encode("utf-16-be"), "is text in UTF-16; save it as UTF-8"),
        (HEAD.encode("utf-32"), "is text in UTF-32; save it as UTF-8"),
        (HEAD.encode("utf-32-be"), "is text in UTF-32; save it as UTF-8"),
        (
            f"{HEAD}  webitel:domain: büro.acme.io\n".encode("latin-1"),
            "line 4, webitel:domain: the byte 0xFC is no UTF-8; save the file as UTF-8, in an editor or with iconv",
        ),
        (
            f"{HEAD}  webitel:operators:\n  # Büro\n  - 1.2.3.0/24\n".encode("latin-1"),
            "line 5, webitel:operators: the byte 0xFC is no UTF-8",
        ),
        (f"# Büro\n{HEAD}".encode("latin-1"), "line 1: the byte 0xFC is no UTF-8"),
        (f"{HEAD}  webitel:domain: “acme.io”\n".encode("cp1252"), "line 4, webitel:domain: the byte 0x93 is no UTF-8"),
        (b"\xef\xbb\xbf\xef\xbb\xbf" + HEAD.encode(), "line 1: has the invisible character U+FEFF; remove it"),
        (f"# mine\n\ufeff{HEAD}", "line 2: has the invisible character U+FEFF; remove it"),
        (f"{HEAD}  webitel:domain: a\x00b\n", "line 4, webitel:domain: has the invisible character U+0000; remove it"),
        (f"{HEAD}  webitel:domain: a\x1b[0mb\n", "line 4, webitel:domain: has the invisible character U+001B; remove it"),
        (f"{HEAD}\x1a", "line 4: has the invisible character U+001A; remove it"),
    ],
)
def test_another_encoding(folder: Path, content: str | bytes, told: str) -> None:
    assert refuse(folder, content).startswith(FILE + told)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("\twebitel:domain: acme.io\n", f"line 4, webitel:domain: is indented by a tab; write spaces, {DOMAIN}"),
        (" \twebitel:domain: acme.io\n", f"line 4, webitel:domain: is indented by a tab; write spaces, {DOMAIN}"),
        (
            "  webitel:counts:\n\t  app: 1\n",
            "line 5, webitel:counts: is indented by a tab; write spaces, for example webitel:counts: {app: 2}",
        ),
        ("  webitel:domain:\tacme.io\n", f"line 4, webitel:domain: has a tab; write a space, {DOMAIN}"),
        ("  webitel:domain: acme.io\t# ours\n", f"line 4, webitel:domain: has a tab; write a space, {DOMAIN}"),
        (
            "  webitel:operators:\n  -\t203.0.113.0/24\n",
            "line 5, webitel:operators: has a tab; write a space, for example webitel:operators: [203.0.113.0/24]",
        ),
        ("  webitel:domain:acme.io\n", f"line 4, webitel:domain: lacks the space behind its name; {DOMAIN}"),
        (
            "   webitel:domain: acme.io\n",
            f"line 4, webitel:domain: begins in column 4 and the line before it in column 3; {DOMAIN}",
        ),
        (
            "  webitel:domain: a: b\n",
            f"line 4, webitel:domain: has a colon and a space in its value; put the value in quotes; {DOMAIN}",
        ),
        (
            "  webitel:domain: @acme\n",
            f"line 4, webitel:domain: begins with @, which is YAML's own; put the value in quotes; {DOMAIN}",
        ),
        ("  webitel:domain: 'acme.io\n", "line 4, webitel:domain: a quote that nothing closes"),
        (
            "  webitel:operators: [1.2.3.0/24\n  webitel:domain: a.io\n",
            "line 4, webitel:operators: a [ that nothing closes; for example webitel:operators: [203.0.113.0/24]",
        ),
        (
            "<<<<<<< HEAD\n  webitel:domain: a.io\n=======\n  webitel:domain: b.io\n>>>>>>> b\n",
            "line 4: a conflict that git left; keep one of the two texts and remove the lines <<<<<<<, ======= and >>>>>>>",
        ),
        (
            "  webitel:trunk_limits: &a {calls: 5}\n  webitel:account_limits: &a {calls: 6}\n",
            "line 5, webitel:account_limits: second occurrence",
        ),
    ],
)
def test_a_slip_of_the_hand(folder: Path, lines: str, told: str) -> None:
    assert refuse(folder, HEAD + lines).startswith(f"{FILE}is not YAML: {told}")


def test_no_space_behind_every_name(folder: Path) -> None:
    told = refuse(folder, "config:\n  webitel:cloud:aws\n")
    assert told.startswith(
        f"{FILE}is not YAML: line 2, webitel:cloud: lacks the space behind its name; for example webitel:cloud: "
    )


def test_a_secret_in_a_broken_line_is_not_shown(folder: Path) -> None:
    for line in ("webitel:repository_password:hush", "webitel:repository_password: @hush", "webitel:repository_password: 'hush"):
        assert "hush" not in refuse(folder, f"{HEAD}  {line}\n")
    assert "hush" not in refuse(folder, f"{HEAD}\twebitel:repository_password: hush\n")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            """webitel:counts: '{"app": 1, "app": 2}'""",
            "webitel:counts.app: stands more than once in its JSON text; keep one, for example webitel:counts: {app: 2}",
        ),
        (
            """webitel:operator_accounts: '{"anna": [], "anna": []}'""",
            "webitel:operator_accounts.anna: stands more than once in its JSON text; keep one, for example ",
        ),
        (
            "webitel:tags: {1: a, 01: b}",
            'webitel:tags.01: the name is a different number to the engine: write 1, or in quotes "01" (line 4)',
        ),
        (
            "webitel:tags: {2026-11-29: a}",
            'webitel:tags.2026-11-29: the name is a point in time to YAML: write it in quotes, "2026-11-29" (line 4)',
        ),
        ("webitel:domain: a.io\nwebitel:config:domain: b.io", "webitel:config:domain: remove it: webitel:domain is there too"),
    ],
)
def test_one_key_in_two_ways(folder: Path, lines: str, told: str) -> None:
    write(folder, lines)
    assert any(text.startswith(told) for text in refusals()), refusals()


def test_settings_below_a_name_like_config(folder: Path) -> None:
    told = refuse(folder, f"{HEAD}Config:\n  webitel:domain: a.io\n")
    assert told == "Config: nothing reads what stands below it; write it below `config:` (line 4)"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("webitel:domain: acme.io\u200b", "webitel:domain = acme.io<U+200B>: not a host name"),
        ("webitel:dom\u200bain: acme.io", "webitel:dom<U+200B>ain = acme.io: no such setting; did you mean webitel:domain?"),
        ("webitel:domain\u00a0: acme.io", "webitel:domain<U+00A0> = acme.io: no such setting; did you mean webitel:domain?"),
        ('webitel:domain: "a\\nb"', "webitel:domain = a<U+000A>b: not a host name"),
    ],
)
def test_what_nobody_sees_is_shown(folder: Path, lines: str, told: str) -> None:
    write(folder, lines)
    assert any(text.startswith(told) for text in refusals()), refusals()


def test_an_indentation_of_no_break_spaces(folder: Path) -> None:
    told = refuse(folder, f"{HEAD}\u00a0\u00a0webitel:domain: acme.io\n")
    assert told == "<U+00A0><U+00A0>webitel:domain: stands beside `config:`; indent it below (line 4)"
