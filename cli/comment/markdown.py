"""One comment for a pull request: what previews would change, as Markdown.

A comment is parts between lines of `PART`: the table by stack, warnings, then for every stack what is opened and closed
and the diagram, at last the folded lists and file diffs, which are left out where the comment would be too long.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from cli.comment.diagram import draw_plan
from cli.console import format_count
from cli.engine.changes import OPERATIONS, Changes, FileDiff, diff_files
from cli.show.plan import format_price
from components.model.naming import is_node_key
from components.model.plan import Plan
from components.model.planning.outline import INNER, outline

MARK = "<!-- webitel preview -->"
"""How the workflow finds its comment again."""
PART = "<!-- webitel preview: next part -->"
HEAD = (
    "| stack | replaced machines | create | update | replace | delete | a month before | after | difference |\n"
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)
LIMIT_CHARACTERS = 60_000
"""Characters of a comment; GitHub takes 65,536."""
DIFF_LINES = 300
"""Lines of one file's diff; the rest is counted."""
FAILURE_CHARACTERS = 10_000
"""Of what an engine said that failed, the end."""
NOTE_SPACE = 200
"""Characters kept for the line that says what was left out."""


@dataclass
class Comment:
    """The parts of a comment: `rows` of the table, `loud` warnings, `bodies` and the `folded` parts of all stacks."""

    rows: list[str] = field(default_factory=list)
    loud: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)

    def to_text(self, limit: int = LIMIT_CHARACTERS) -> str:
        """Return the Markdown, at most `limit` characters; what had to be left out is counted at the end."""
        between = len(PART) + 4
        kept = ["\n".join([MARK, HEAD, *self.rows]), "", ""]
        size, left_out = NOTE_SPACE + len(kept[0]) + 2 * between, 0
        for number, texts in ((1, self.loud), (2, self.bodies), (None, self.folded)):
            for text in texts:
                if size + len(text) + between > limit:
                    left_out += 1
                    continue
                size += len(text) + between
                if number is None:
                    kept.append(text)
                else:
                    kept[number] = "\n\n".join(filter(None, [kept[number], text]))
        if left_out:
            kept.append(
                f"*{format_count(left_out, 'part')} left out: a comment has at most {limit:,} characters. "
                "`./webitel preview STACK --diff` shows all of it.*"
            )
        return f"\n\n{PART}\n\n".join(kept) + "\n"


def join(texts: Iterable[str]) -> str:
    """Return one comment of several; "" where there is none."""
    whole = Comment()
    for text in texts:
        table, loud, bodies, *folded = [part.strip() for part in text.split(PART)]
        whole.rows += table.splitlines()[len([MARK, *HEAD.splitlines()]) :]
        whole.loud += filter(None, [loud])
        whole.bodies += filter(None, [bodies])
        whole.folded += folded
    return whole.to_text() if whole.rows else ""


def write_preview(plan: Plan, changes: Changes) -> str:
    """Return the comment on one stack; "" where nothing changes."""
    if not changes.resources:
        return ""
    machine = plan.facts.machine_resource
    replaced, deleted = ([*filter(is_node_key, changes.names(operation, machine))] for operation in ("replace", "delete"))
    counts = [str(changes.count(operation)) for operation in OPERATIONS]
    cells = [f"`{plan.stack}`", f"**{', '.join(replaced)}**" if replaced else "none", *counts, *price_cells(plan, changes)]
    loud = [
        f"> [!CAUTION]\n> **`{plan.stack}`: {format_count(len(names), 'machine')} {what}: {', '.join(names)}.**"
        for names, what in ((replaced, "REPLACED, what runs on it ends"), (deleted, "DELETED"))
        if names
    ]
    body = [f"#### {plan.stack}", *bill_table(plan, changes), *port_lines(plan, changes), f"```mermaid\n{draw_plan(plan)}\n```"]
    resources = "\n".join(map(str, changes.resources))
    folded = [
        *(fold_diff(plan.stack, diff) for diff in diff_files(changes)),
        fold(f"{plan.stack}: {format_count(len(changes.resources), 'resource')}", resources, "text"),
    ]
    return Comment([f"| {' | '.join(cells)} |"], loud, ["\n\n".join(body)], folded).to_text()


def write_failure(stack: str, text: str) -> str:
    """Return the comment on a stack whose preview failed."""
    said = text if len(text) <= FAILURE_CHARACTERS else f"...{text[-FAILURE_CHARACTERS:]}"
    loud = f"> [!CAUTION]\n> **`{stack}`: the preview failed.**\n\n{fence(said, 'text')}"
    return Comment([f"| `{stack}` | the preview failed |{' |' * 7}"], [loud]).to_text()


def price_cells(plan: Plan, changes: Changes) -> list[str]:
    """Return the price of a month before and after, and the difference; `unknown` rather than a guess."""
    after = plan.monthly_price
    if not plan.facts.priced:
        return ["none"] * 3
    told = changes.before["price"] if changes.before else {}
    before: float | None = 0.0 if changes.is_new else told.get("amount")
    if changes.before and "bill" not in changes.before:
        before = None  # of a version that counted no traffic
    currency = told.get("currency", after.currency)
    difference = "unknown"
    if before is not None and after.amount is not None and currency == after.currency:
        difference = f"{after.amount - before:+,.0f}"
    return [f"{currency} {format_price(before)}", f"{after.currency} {format_price(after.amount)}", difference]


def bill_table(plan: Plan, changes: Changes) -> list[str]:
    """Return the bill of a month before and after, line by line; nothing where nothing is paid or nothing changes."""
    before: dict[str, float | None] = (changes.before or {}).get("bill") or {}
    after = {line.what: line for line in plan.bill}
    if not after or before == {what: line.amount for what, line in after.items()}:
        return []
    rows = []
    for what in dict.fromkeys((*before, *after)):
        line = after.get(what)
        was = "none" if changes.is_new or (before and what not in before) else format_price(before.get(what))
        cells = (
            what,
            was,
            format_price(line.amount) if line else "none",
            line.detail if line else "",
            line.as_of if line else "",
        )
        rows.append(f"| {' | '.join(cells)} |")
    head = f"| {plan.monthly_price.currency} a month | before | after | for | prices of |\n| --- | ---: | ---: | --- | --- |"
    return ["\n".join([head, *rows])]


def port_lines(plan: Plan, changes: Changes) -> list[str]:
    """Return what is opened and closed, as lists."""
    after = outline(plan)["openings"]
    if changes.before is None and not changes.is_new:
        return ["Opened and closed ports are unknown: the deployment was made by a version that kept no record."]
    before = changes.before["openings"] if changes.before else []
    parts = []
    for title, lines in (
        ("Opened", [line for line in after if line not in before]),
        ("Closed", [line for line in before if line not in after]),
    ):
        inner = [line for line in lines if line.endswith(INNER)]
        if outer := [line for line in lines if line not in inner]:
            parts.append("\n".join([f"**{title}:**", "", *(f"- {line}" for line in outer)]))
        if inner:
            parts.append(fold(f"{title} between nodes: {len(inner)}", "\n".join(inner), "text"))
    return parts or ["No port is opened or closed."]


def fold_diff(stack: str, diff: FileDiff) -> str:
    """Return one file's diff, folded."""
    lines = list(diff.lines)
    if len(lines) > DIFF_LINES:
        lines = [*lines[:DIFF_LINES], f"... {len(lines) - DIFF_LINES} more lines"]
    return fold(f"{stack}: <code>{diff.path}</code> on {', '.join(diff.nodes)}", "\n".join(lines), "diff")


def fold(title: str, text: str, language: str) -> str:
    """Return a text behind its title."""
    return f"<details><summary>{title}</summary>\n\n{fence(text, language)}\n\n</details>"


def fence(text: str, language: str) -> str:
    """Return a text as it is; the fence is longer than any row of backticks in it."""
    marks = "`" * max(3, *(len(run) + 1 for run in re.findall("`+|$", text)))
    return f"{marks}{language}\n{text}\n{marks}"
