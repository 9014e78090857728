"""A program of ours as user data has room for it: what it does, without what it says of itself."""

from __future__ import annotations

import io
import tokenize

BEGINS = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
"""What stands before a statement."""


def strip_program(text: str) -> str:
    """Return the program without docstrings, comment lines and empty lines; all other lines are as they were."""
    # Not by `ast`: with Python 3.11, Debian 12's, `ast.parse` fails now and then in a program with threads ("AST constructor
    # recursion depth mismatch", python/cpython 106905).
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    left_out = set[int]()
    for token in tokens:
        alone = token.line.strip() == token.string.strip()
        if (token.type == tokenize.NL and alone) or (token.type == tokenize.COMMENT and alone and token.start[0] > 1):
            left_out.add(token.start[0])
    told = [token for token in tokens if token.type not in (tokenize.NL, tokenize.COMMENT)]
    befores = [tokenize.NEWLINE, *(token.type for token in told)]
    for before, token, after, beyond in zip(befores, told, told[1:], told[2:], strict=False):
        # A class or function needs something to consist of.
        whole = before == tokenize.INDENT and beyond.type == tokenize.DEDENT
        if token.type == tokenize.STRING and before in BEGINS and after.type == tokenize.NEWLINE and not whole:
            left_out |= set(range(token.start[0], token.end[0] + 1))
    return "\n".join(line for number, line in enumerate(text.splitlines(), 1) if number not in left_out)
