"""Regular expressions as the C library reads them."""

import re
from functools import lru_cache

CLASSES = {
    "alnum": "A-Za-z0-9",
    "alpha": "A-Za-z",
    "digit": "0-9",
    "space": r"\s",
    "xdigit": "0-9A-Fa-f",
    "upper": "A-Z",
    "lower": "a-z",
    "cntrl": r"\x00-\x1f\x7f",
    "print": r"\x20-\x7e",
    "graph": r"\x21-\x7e",
    "punct": r"!-/:-@\[-`{-~",
}


@lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    """A regular expression in the C library's spelling: case is ignored, a backslash inside brackets is one."""
    found, place = "", 0
    while place < len(pattern):
        sign = pattern[place]
        if sign == "\\":
            found += pattern[place : place + 2]
            place += 2
            continue
        if sign != "[":
            found += r"\Z" if sign == "$" else sign
            place += 1
            continue
        end = place + 1 + (pattern[place + 1 : place + 2] == "^")
        end += pattern[end : end + 1] == "]"
        while end < len(pattern) and pattern[end] != "]":
            end = pattern.find(":]", end) + 2 if pattern.startswith("[:", end) else end + 1
        inside = pattern[place + 1 : end].replace("\\", "\\\\").replace("[:", "\0").replace("[", "\\[").replace("\0", "[:")
        found += "[" + re.sub(r"\[:(\w+):\]", lambda name: CLASSES[name[1]], inside) + "]"
        place = end + 1
    return re.compile(found, re.IGNORECASE | re.DOTALL)
