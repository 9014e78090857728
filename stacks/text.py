"""The text of a stack file, and what is wrong with one that is no YAML: the line, the setting, what is right.

Values are never shown: the line may hold a secret.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from components.model.settings import Settings
from stacks.problems import NAMESPACE, give_example

MARKS = {b"\xff\xfe\x00\x00": "UTF-32", b"\x00\x00\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
"""What a text in another encoding may begin with; the longer ones first."""
KEY = re.compile(r"[\s'\"-]*([A-Za-z][\w-]*:[\w-]+)['\"]?\s*:(?:\s|$)")
"""The name of a setting at the beginning of a line."""
CROWDED = re.compile(rf"\s*({NAMESPACE}:({'|'.join(Settings.model_fields)})):[^\s:]")
"""A name with its value right behind it."""
CONFLICT = re.compile(r"(<{7}|={7}|>{7})(\s|$)")
INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")
"""What neither reader of YAML takes, or one of them only; tabs and ends of lines are not among them."""
TAB = "found character '\\t'"
OWN = re.compile(r"found character '(.)' that cannot start")
BRACKETS = {"while parsing a flow sequence": "[", "while parsing a flow mapping": "{"}


class UnreadableError(Exception):
    """A text that is none; the message says why, and in which line."""


def decode(content: bytes) -> str:
    """Return the text of a file in UTF-8. Raises UnreadableError."""
    if other := find_encoding(content):
        raise UnreadableError(f'is text in {other}; save it as UTF-8, "Encoding: UTF-8" in most editors')
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        raise UnreadableError(
            f"{name_place(before + ' ', before.count(chr(10)))}: the byte 0x{content[error.start]:02X} is no UTF-8; "
            "save the file as UTF-8, in an editor or with iconv -f WINDOWS-1252 -t UTF-8"
        ) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if found := INVISIBLE.search(text):
        place = name_place(text, text.count("\n", 0, found.start()))
        raise UnreadableError(f"{place}: has the invisible character U+{ord(found[0]):04X}; remove it")
    return text


def find_encoding(content: bytes) -> str:
    """Return the encoding of a text whose characters have two or four bytes; "" for any other."""
    for mark, name in MARKS.items():
        if content.startswith(mark):
            return name
    # What every stack file begins with is ASCII: without a mark every other byte, or three of four, are zero.
    begin = content[:8]
    for name, size in (("UTF-32", 4), ("UTF-16", 2)):
        zeros = {place % size for place, byte in enumerate(begin) if not byte}
        if len(begin) == 8 and begin.count(0) == 8 // size * (size - 1) and len(zeros) == size - 1:
            return name
    return ""


def explain(text: str, line: int, problem: str, context: str, begun: int) -> str:
    """Say what is wrong with a text that is no YAML. `line` is the one that the reader found it in, from 0, and `begun` the one
    where what it was reading began.
    """
    lines = text.split("\n")
    for number, one in enumerate(lines[: line + 1]):
        if CONFLICT.match(one):
            return (
                f"line {number + 1}: a conflict that git left; keep one of the two texts and remove the lines "
                "<<<<<<<, ======= and >>>>>>>"
            )
        if crowded := find_crowded(one):
            return f"line {number + 1}, {crowded}"
    here = lines[line] if line < len(lines) else ""
    if problem.startswith(TAB):
        indented = "\t" in here[: len(here) - len(here.lstrip())]
        return say(lines, line, "is indented by a tab; write spaces" if indented else "has a tab; write a space", ", ")
    if own := OWN.match(problem):
        return say(lines, line, f"begins with {own[1]}, which is YAML's own; put the value in quotes")
    if "quoted scalar" in context:
        return say(lines, begun, "a quote that nothing closes")
    if bracket := BRACKETS.get(context):
        return say(lines, begun, f"a {bracket} that nothing closes")
    if problem.startswith("mapping values are not allowed"):
        above = next((number for number in range(line - 1, -1, -1) if lines[number].strip()), line)
        mine, theirs = (len(lines[number]) - len(lines[number].lstrip()) for number in (line, above))
        if mine > theirs and KEY.match(here):
            return say(lines, line, f"begins in column {mine + 1} and the line before it in column {theirs + 1}")
        return say(lines, line, "has a colon and a space in its value; put the value in quotes")
    return f"{name_place(text, line)}: {problem}"


def find_crowded(line: str) -> str:
    """Say that a line lacks the space between name and value; "" where it does not."""
    found = CROWDED.match(line)
    return f"{found[1]}: lacks the space behind its name{example(found[1])}" if found else ""


def say(lines: Sequence[str], line: int, what: str, between: str = "; ") -> str:
    """Say it of a line, with a correct example of its setting."""
    key = find_key(lines, line)
    return f"line {line + 1}{f', {key}' if key else ''}: {what}{example(key, between)}"


def name_place(text: str, line: int) -> str:
    """Name a line, counted from 0, and the setting that it belongs to."""
    key = find_key(text.split("\n"), line)
    return f"line {line + 1}{f', {key}' if key else ''}"


def find_key(lines: Sequence[str], line: int) -> str:
    """Return the setting that a line belongs to, "" for none."""
    for number in range(min(line, len(lines) - 1), -1, -1):
        if found := KEY.match(lines[number]):
            return found[1]
        # What is not indented, nor an item, belongs to nothing above it.
        if lines[number][:1].strip() not in ("", "-"):
            return ""
    return ""


def example(key: str, between: str = "; ") -> str:
    """Return a correct line for a setting of ours behind a separator, "" for other keys."""
    namespace, _, name = key.partition(":")
    return f"{between}for example {given}" if namespace == NAMESPACE and (given := give_example(name)) else ""
