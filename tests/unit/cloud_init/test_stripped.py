"""The program in user data does what the one in the repository does, and says less."""

import ast
from pathlib import Path

import pytest

from cloud_init.stripped import strip_program

NODE = Path("cloud_init/node")


@pytest.mark.parametrize("path", sorted(NODE.rglob("*.py")), ids=str)
def test_nothing_but_words_is_left_out(path: Path) -> None:
    text = path.read_text()
    tree, stripped = ast.parse(text), ast.parse(strip_program(text))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module) or (
            isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and len(node.body) > 1
        ):
            node.body = [line for line in node.body if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))]
    assert ast.unparse(stripped) == ast.unparse(tree)


def test_a_text_with_hashes_and_empty_lines_stays_as_it_is() -> None:
    text = 'A = """one\n\n# two\n"""\n# A word.\nB = 1  # Another.\n\n\ndef f() -> None:\n    """Nothing."""\n'
    assert strip_program(text) == 'A = """one\n\n# two\n"""\nB = 1  # Another.\ndef f() -> None:\n    """Nothing."""'
