"""One value of a stack file changed, everything else as it was."""

from __future__ import annotations

from typing import Any

import pytest

from stacks.edit import EditError, edit_text

FILE = """# ours
config:
  webitel:cloud: local # here
  webitel:counts:
    media: 3   # two were too few
    # of the web
    web: 2

  # who may come in
  webitel:operators:
    - 203.0.113.0/24

# the end
"""


def change(text: str, *keys: str, value: Any) -> tuple[list[str], list[str]]:
    """The lines that went and the lines that came."""
    before, after = text.splitlines(), edit_text(text, (keys, value)).splitlines()
    return [line for line in before if line not in after], [line for line in after if line not in before]


@pytest.mark.parametrize(
    ("keys", "value", "gone", "new"),
    [
        (("webitel:counts", "media"), 4, "    media: 3   # two were too few", "    media: 4   # two were too few"),
        (("webitel:counts", "db"), 3, None, "    db: 3"),
        (("webitel:leaving",), ["media-3"], None, "  webitel:leaving: [media-3]"),
        (("webitel:counts", "web"), None, "    web: 2", None),
        (("webitel:leaving",), None, None, None),
        (("webitel:counts", "db"), None, None, None),
    ],
)
def test_one_line_changes(keys: tuple[str, ...], value: Any, gone: str | None, new: str | None) -> None:
    assert change(FILE, *keys, value=value) == ([gone] if gone else [], [new] if new else [])


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("config:\n  webitel:cloud: local\n", "config:\n  webitel:cloud: local\n  webitel:counts: {app: 2}\n"),
        ("config:\n  webitel:counts: {data: 3} # c\n", "config:\n  webitel:counts: {data: 3, app: 2} # c\n"),
        ("config:\n  webitel:counts: {}\n", "config:\n  webitel:counts: {app: 2}\n"),
        ("config:\n  webitel:counts:\n", "config:\n  webitel:counts: {app: 2}\n"),
        ("config:\n  webitel:counts: {app: 3, data: 3}\n", "config:\n  webitel:counts: {app: 2, data: 3}\n"),
        ("config: {'webitel:cloud': local}\n", "config: {'webitel:cloud': local, webitel:counts: {app: 2}}\n"),
    ],
)
def test_every_layout(text: str, result: str) -> None:
    assert edit_text(text, (("webitel:counts", "app"), 2)) == result


def test_a_map_of_several_is_written_in_lines_and_texts_stay_texts() -> None:
    text = "config:\n  webitel:cloud: local\n"
    many = edit_text(text, (("webitel:package_versions",), {"grafana": "11.6.1", "webitel-engine": "25.10"}))
    assert many == f"{text}  webitel:package_versions:\n    grafana: 11.6.1\n    webitel-engine: '25.10'\n"
    more = edit_text(many, (("webitel:package_versions", "webitel-core"), "25.11"))
    assert more == f"{many}    webitel-core: '25.11'\n"


def test_a_list_in_block_style_is_replaced_and_removed() -> None:
    text = "config:\n  webitel:leaving:\n    - app-2\n    - app-3\n  # next\n  webitel:cloud: local\n"
    rest = "  # next\n  webitel:cloud: local\n"
    assert edit_text(text, (("webitel:leaving",), ["app-3"])) == f"config:\n  webitel:leaving: [app-3]\n{rest}"
    assert edit_text(text, (("webitel:leaving",), None)) == f"config:\n{rest}"


@pytest.mark.parametrize("text", ["", "a: 1\n", "config:\n  webitel:counts: &c {app: 1}\n  webitel:other: *c\n"])
def test_what_is_not_understood_is_left_alone(text: str) -> None:
    with pytest.raises(EditError, match=r"in an editor set webitel:counts > app 2"):
        edit_text(text, (("webitel:counts", "app"), 2))
