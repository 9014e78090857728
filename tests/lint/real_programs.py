"""Which rendered files changed since they were run under the real program: our stand-ins never decide what is right.

`docs/real-programs.md` remembers, by layout and file as rendered with its placeholders, the digest that was run, with program,
version and date. `python -m tests.lint.real_programs` names what changed since (`./webitel test lint` does it too);
`python -m tests.lint.real_programs --ran "OpenSIPS 3.4.18" 2026-11-28 "one node" PATH...` writes down a run: only what you saw
yourself.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, fields
from pathlib import Path

from cloud_init.bundles import bundle_folder, list_files
from stacks.load import load_deployment
from tests.plans import compose_configuration, make_plan

RECORD = Path(__file__).resolve().parents[2] / "docs" / "real-programs.md"
LAYOUTS: dict[str, tuple[str, dict[str, int]]] = {"one node": ("local-single", {}), "two edges": ("local-basic", {"edge": 2})}
"""Name in the record -> stack and its counts. The one node has every file, two edges have some in another way; what other layouts
render comes from the same templates."""

CALLED = "opensips"
"""The service of the node that callers reach: of a file that several nodes have its own counts."""

BUNDLES = "/usr/share/webitel/bundles"
"""Where a node keeps what is the same on every node."""

NOT_BUNDLES = ("node", "sandbox")
"""Our own programs: nothing of another's reads them."""


@dataclass(frozen=True)
class Run:
    """A row of the record."""

    path: str
    layout: str
    program: str
    date: str
    digest: str

    def row(self) -> str:
        """Its line of the table."""
        return f"| `{self.path}` | {self.layout} | {self.program} | {self.date} | `{self.digest}` |"


def rendered(layout: str) -> dict[str, str]:
    """Path on the node -> digest, first 16 hexadecimal digits of SHA-256."""
    stack, counts = LAYOUTS[layout]
    settings = load_deployment(stack).settings
    settings = type(settings).model_validate({**settings.model_dump(exclude_unset=True), "counts": counts})
    plan = make_plan(settings, stack)
    texts: dict[str, bytes] = {}
    for node in sorted(plan.nodes, key=lambda one: CALLED not in one.services):
        configuration = compose_configuration(plan, node, settings)
        texts = {path: text.encode() for path, text in configuration.files.items()} | texts
        for name in configuration.bundles:
            if name not in NOT_BUNDLES:
                texts |= {
                    f"{BUNDLES}/{name}/{path.relative_to(bundle_folder(name))}": path.read_bytes()
                    for path in list_files(bundle_folder(name))
                }
    return {path: hashlib.sha256(content).hexdigest()[:16] for path, content in texts.items()}


def read_record() -> list[Run]:
    """The rows of the record; a ValueError names a line that is none."""
    runs = []
    for line in RECORD.read_text().splitlines():
        if line.startswith("| `"):
            cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
            if len(cells) != len(fields(Run)) or cells[1] not in LAYOUTS:
                raise ValueError(f"{RECORD.name}: not a row of path, layout, program, date, digest: {line}")
            runs.append(Run(*cells))
    return runs


def changed_since() -> list[Run]:
    """The runs whose file is another one today."""
    now = {layout: rendered(layout) for layout in LAYOUTS}
    return [run for run in read_record() if now[run.layout].get(run.path) != run.digest]


def write_down(program: str, date: str, layout: str, paths: list[str]) -> None:
    """Put runs of today's files into the record, in the place of earlier ones."""
    if layout not in LAYOUTS:
        raise SystemExit(f"no layout is named {layout}; there are {', '.join(LAYOUTS)}")
    now = rendered(layout)
    if unknown := [path for path in paths if path not in now]:
        raise SystemExit(f"{layout}: renders no {', '.join(unknown)}; there are {', '.join(sorted(now))}")
    new = [Run(path, layout, program, date, now[path]) for path in paths]
    runs = {(run.path, run.layout): run for run in [*read_record(), *new]}
    head = RECORD.read_text().partition("| `")[0]
    RECORD.write_text(head + "".join(f"{run.row()}\n" for _, run in sorted(runs.items())))


def main() -> None:
    """Name what changed, or write down a run."""
    if sys.argv[1:2] == ["--ran"]:
        write_down(sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:])
        return
    for run in changed_since():
        print(f"changed since {run.program} read it on {run.date}: {run.path}, {run.layout} (docs/real-programs.md says why)")


if __name__ == "__main__":
    main()
