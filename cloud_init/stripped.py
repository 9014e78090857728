"""A program of ours as user data has room for it: what it does, without what it says of itself."""

from __future__ import annotations

import ast
import io
import tokenize


def strip_program(text: str) -> str:
    """Return the program without docstrings, comment lines and empty lines; all other lines are as they were."""
    left_out = set[int]()
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", None)
        # A class or function needs something to consist of.
        if not isinstance(body, list) or (len(body) == 1 and not isinstance(node, ast.Module)):
            continue
        for entry in body:
            if isinstance(entry, ast.Expr) and isinstance(entry.value, ast.Constant) and isinstance(entry.value.value, str):
                left_out |= set(range(entry.lineno, (entry.end_lineno or entry.lineno) + 1))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        alone = token.line.strip() == token.string.strip()
        if (token.type == tokenize.NL and alone) or (token.type == tokenize.COMMENT and alone and token.start[0] > 1):
            left_out.add(token.start[0])
    return "\n".join(line for number, line in enumerate(text.splitlines(), 1) if number not in left_out)
