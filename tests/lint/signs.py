"""What our texts point at: facts, files, links, modules, commands with options, settings. A finder tells what is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import typer.main

from cli.__main__ import app
from components.model.catalogue.tiers import TIERS
from components.model.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (
    "cli",
    "cloud_init",
    "components",
    "docs",
    "policy",
    "provider",
    "sandbox",
    "stacks",
    "tests",
    "tools",
    ".github",
    ".gitlab",
)
"""Where texts of ours stand, beside the files at the root."""
TEXTS = (".cfg", ".conf", ".j2", ".md", ".py", ".sh", ".sql", ".toml", ".tsv", ".xml", ".yaml", ".yml")
SKIPPED = ("tests/golden/", "tests/lint/")
"""Made by programs, or full of wrong signs on purpose."""

FACTS = "docs/facts"
SECTION = r"[A-Z]\d+|[A-Z](?![\w'])|\d+(?:\.\d+)*[a-z]?\b"
CITATION = re.compile(rf"(?<!docs/)(?<!tests/)facts/([\w./-]+\.md)`?,?((?:(?:,? and |, | to |-| )?(?:{SECTION})(?![\w:/]))*)")
"""`facts/NAME.md` with the sections that are named right behind it, in a comment or a docstring."""
CONTINUED = re.compile(r"\n[ \t]*(?:#|//|--)?[ \t]*")
KEY = re.compile(rf"^(?:#+ |[ ]*- \*\*)({SECTION}|lab)(?:\*\*| |$)", re.MULTILINE)
"""A section of a page of facts: a heading that begins with its key, or a list item with its key in bold."""

LINK = re.compile(r"\]\(([^)\s]+)\)")
SPAN = re.compile(r"`([^`\n]+)`")
NAMED_FILE = re.compile(rf"(?:{'|'.join(map(re.escape, FOLDERS))})/[\w.<>*/{{}},-]*[\w>*}}]/?(?::\d+)?$")
PROGRAM = re.compile(r"[\w./-]+\.(?:py|md|j2)$")
"""A source of ours, perhaps named by its last folders only."""
MODULE = re.compile(rf"-m ((?:{'|'.join(FOLDERS[:-2])})(?:\.[a-z_]+)+)")
COMMAND = re.compile(r"(?:\./webitel|`webitel) ([a-z][a-z-]*)((?: [^\s`\"'|,;)&]+)*)")
OPTION = re.compile(r" (--[a-z][a-z-]*)")
PASSED_ON = ("pulumi", "ssh")
"""Commands whose further words are another program's."""
SETTING = re.compile(r"webitel:([a-z_]+)\b(?!/)")
WITHIN = ("type",)
"""Names within a setting that pages show by themselves (`recordings_share`)."""
NOT_SETTINGS = ("index", "role", "stack")
"""The module in the tokens of our own resource types (`webitel:index:Secrets`), and the tags of resources."""
SETTINGS_IN = ("README.md", "cli/", "components/", "docs/", "policy/", "provider/", "stacks/")
"""Elsewhere `webitel:` is a Unix group, a broker's user, or wrong on purpose."""
ASSIGNED = re.compile(r"^([a-z]+(?:_[a-z]+)*): [\w\[{\"'].*$")
"""A span such as `carriers: [198.51.100.0/24]`: a line of a stack file, or a count by role."""


def texts() -> dict[str, str]:
    """Our texts by path from the root."""
    files = [path for path in ROOT.iterdir() if path.is_file()]
    files += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    found = {str(path.relative_to(ROOT)): path for path in files if path.suffix in TEXTS}
    return {name: path.read_text() for name, path in sorted(found.items()) if not name.startswith(SKIPPED)}


@cache
def programs() -> tuple[str, ...]:
    """Every file of ours by path from the root, those among `SKIPPED` as well."""
    return tuple(
        str(path.relative_to(ROOT))
        for folder in (".", *FOLDERS)
        for path in (ROOT / folder).glob("*" if folder == "." else "**/*")
        if path.is_file()
    )


@cache
def sections(page: str) -> frozenset[str]:
    """Keys of a page's sections; a heading `1.7` is one of `1` as well."""
    keys = set(KEY.findall((ROOT / FACTS / page).read_text()))
    return frozenset(keys | {key.rpartition(".")[0] for key in keys if "." in key})


def wrong_citations(text: str) -> Iterator[str]:
    """Citations of facts whose file or section there is not."""
    for page, cited in CITATION.findall(CONTINUED.sub(" ", text)):
        if not (ROOT / FACTS / page).is_file():
            yield f"facts/{page}: no such file in {FACTS}"
            continue
        for section in re.findall(SECTION, cited):
            if section not in sections(page):
                yield f"facts/{page} {section}: no such section"


def anchors(text: str) -> set[str]:
    """Names that links within a page may use."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def wrong_links(name: str, text: str) -> Iterator[str]:
    """Relative links of a Markdown page that lead nowhere."""
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        if not file.exists():
            yield f"{target}: no such file"
        elif anchor and anchor not in anchors(file.read_text()):
            yield f"{target}: no such heading"


def wrong_files(text: str) -> Iterator[str]:
    """Files of the repository that a code span names and that are not there; `<cloud>` and `{a,b}` stand for any of them."""
    for name in SPAN.findall(text):
        if not NAMED_FILE.match(name):
            if PROGRAM.match(name) and not any(f"/{path}".endswith(f"/{name}") for path in programs()):
                yield f"{name}: no such file"
            continue
        for one in alternatives(name.partition(":")[0]):
            if not any(ROOT.glob(re.sub(r"<[^>]+>|NAME|CLOUD", "*", one.rstrip("/")))):
                yield f"{one}: no such file"


def wrong_modules(text: str) -> Iterator[str]:
    """Modules of ours that a text says to run and that are not there."""
    for name in MODULE.findall(text):
        file = ROOT / name.replace(".", "/")
        if not (file.with_suffix(".py").is_file() or (file / "__main__.py").is_file()):
            yield f"python -m {name}: no such module"


def alternatives(name: str) -> list[str]:
    """`a/{b,c}.py` as `a/b.py` and `a/c.py`."""
    found = re.search(r"\{([^{}]*)\}", name)
    if not found:
        return [name]
    return [one for part in found[1].split(",") for one in alternatives(name[: found.start()] + part + name[found.end() :])]


@cache
def commands() -> Mapping[str, frozenset[str]]:
    """The command line's commands with their options, those of groups by both words."""

    def walk(command: Any, name: str) -> Iterator[tuple[str, frozenset[str]]]:
        for word, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, f"{name} {word}".strip())
        if name:
            options = {one for parameter in command.params for one in (*parameter.opts, *parameter.secondary_opts)}
            yield name, frozenset(options | {"--help"})

    return dict(walk(typer.main.get_command(app), ""))


def wrong_commands(text: str) -> Iterator[str]:
    """`./webitel X --option` where there is no command X or X has no such option; `ssh` with another program's and no `--`."""
    for word, rest in COMMAND.findall(text):
        name = f"{word} {rest.split()[0]}" if rest and f"{word} {rest.split()[0]}" in commands() else word
        if name not in commands():
            yield f"./webitel {word}: no such command"
        elif word not in PASSED_ON:
            before = rest.partition(" -- ")[0]
            yield from (
                f"./webitel {name} {option}: no such option"
                for option in OPTION.findall(before)
                if option not in commands()[name]
            )
        elif word == "ssh":
            before = rest.partition(" -- ")[0].split()
            yield from (
                f"./webitel ssh {option}: what another program gets stands behind --"
                for option in before
                if option.startswith("-") and option != "--" and option not in commands()["ssh"]
            )


def wrong_settings(text: str, page: bool) -> Iterator[str]:
    """Settings that are none: `webitel:NAME` everywhere, spans like lines of a stack file on a page for users."""
    known = {*Settings.model_fields, *NOT_SETTINGS}
    yield from (f"webitel:{name}: no such setting" for name in SETTING.findall(text) if name not in known)
    roles = {role.name for tier in TIERS.values() for role in tier.roles}
    for span in SPAN.findall(text) if page else ():
        found = ASSIGNED.match(span)
        if found and found[1] not in {*known, *roles, *WITHIN}:
            yield f"{span}: no such setting"
