"""All that a simulated cloud refuses, read from its code: each refusal with the source that the nearest docstring names.

PYTHONPATH=. .venv/bin/python -P -m tests.simulator.rules    # writes the table in README.md
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.simulator.deletions import DELETIONS

FOLDER = Path(__file__).parent
BEGIN, END = "<!-- rules: written by tests/simulator/rules.py -->", "<!-- /rules -->"

REFUSALS = ("Refused", "ProviderError", "Failure")
SOURCE = re.compile(r"`(facts/[\w./-]+)`((?:,? (?:and |to )?(?:[A-Z]?\d+(?:\.\d+)*(?:-\d+(?:\.\d+)*)?))*)")
FOUND = {
    "facts/edge-aws.md": "who read AWS' pages, its reference of rights and the provider's code",
    "facts/backups.md": "who read the vendors' pages, 2026-11-30",
    "facts/edge-hetzner.md": "who read the API's interface and the provider's code",
    "facts/edge-google.md": "who read Google's pages, its discovery document and the provider's code",
    "facts/real-clouds.md": "who ran real plugins, 2026-11-28",
    "facts/clouds.md": "who read the vendors' pages",
    "facts/schemas/README.md": "who read the SDKs and providers",
    "facts/engine.md": "who ran the engine",
    "facts/onprem.md": "who read the SDKs, providers and their code",
}
"""Who found what stands on a page, by page."""
OWN = ("conditions", "faults", "lookups", "simulators", "webitel", "project", "program")
"""Files that refuse what no cloud does: a simulator's own errors, failures on request, our own provider."""


@dataclass(frozen=True)
class Rule:
    """What one function refuses: `says` are the texts, "" = handed on from another rule."""

    file: str
    name: str
    says: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def found(self) -> str:
        """Who found it, by its sources."""
        return ", ".join(dict.fromkeys(FOUND[source.partition(" ")[0]] for source in self.sources))


def list_rules() -> list[Rule]:
    """Every function that refuses something, by file."""
    files = [*FOLDER.glob("*.py"), *FOLDER.glob("*/*.py")]
    return [
        rule
        for file in sorted(files)
        if not file.stem.startswith(("test_", "conftest")) and file.stem not in OWN
        for rule in read_rules(file)
    ]


def read_rules(file: Path) -> Iterator[Rule]:
    """The rules of a file."""
    module = ast.parse(file.read_text())
    name = str(file.relative_to(FOLDER))
    yield from walk(module, name, "", read_sources(module))


def walk(place: ast.AST, file: str, path: str, sources: tuple[str, ...]) -> Iterator[Rule]:
    """The rules inside a module, class or function; a docstring without a source leaves that of what is around it."""
    for child in ast.iter_child_nodes(place):
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
            own, name = read_sources(child) or sources, f"{path}.{child.name}".removeprefix(".")
            if isinstance(child, ast.FunctionDef) and (says := tuple(list_texts(child))):
                yield Rule(file, name, says, own)
            yield from walk(child, file, name, own)


def list_texts(function: ast.FunctionDef) -> Iterator[str]:
    """What a function says when it refuses; functions inside it are asked themselves."""
    inner = {
        id(one)
        for child in ast.walk(function)
        if isinstance(child, ast.FunctionDef) and child is not function
        for one in ast.walk(child)
    }
    for node in ast.walk(function):
        if id(node) in inner or not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id in REFUSALS and node.args:
            yield read_text(node.args[-1])


def read_text(value: ast.expr) -> str:
    """A text as the source has it, with a dot for what is filled in."""
    if isinstance(value, ast.Constant):
        return str(value.value)
    if isinstance(value, ast.JoinedStr):
        return "".join(read_text(part) for part in value.values)
    return "·"


def read_sources(place: ast.Module | ast.ClassDef | ast.FunctionDef) -> tuple[str, ...]:
    """The pages that a docstring names, each with its sections."""
    found = SOURCE.findall(ast.get_docstring(place) or "")
    return tuple(f"{page} {sections.strip(' ,')}".strip() for page, sections in found)


def write_table() -> str:
    """The README's table."""
    lines = [BEGIN, "", "| file: function | refuses | source | found by |", "| --- | --- | --- | --- |"]
    for rule in list_rules():
        says = "; ".join(dict.fromkeys(text.replace("|", "&#124;") for text in rule.says))
        pages = ", ".join(f"`{source.partition(' ')[0]}` {source.partition(' ')[2]}".strip() for source in rule.sources)
        lines.append(f"| `{rule.file}`: {rule.name} | {says} | {pages} | {rule.found} |")
    lines += ["", "How things end, `deletion` of the data:", "", "| word | what |", "| --- | --- |"]
    lines += [f"| {word} | {text} |" for word, text in DELETIONS.items()]
    return "\n".join([*lines, "", END])


def read_table() -> str:
    """What the README has now."""
    text = (FOLDER / "README.md").read_text()
    return text[text.index(BEGIN) : text.index(END) + len(END)]


def main() -> None:
    """Write the table into the README."""
    readme = FOLDER / "README.md"
    readme.write_text(readme.read_text().replace(read_table(), write_table()))


if __name__ == "__main__":
    main()
