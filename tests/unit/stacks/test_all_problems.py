"""Everything that is wrong with a setting is told at once, what pydantic finds and what the planner finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.model.problems import PlanError
from stacks import settings as stack_settings
from stacks.load import load_deployment

HEAD = "config:\n  webitel:cloud: aws\n  webitel:tier: basic\n"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("carriers: [1.2.3.4/33, foo, 10.0.0.1/8]", ["carriers = 1.2.3.4/33", "carriers = foo", "carriers = 10.0.0.1/8"]),
        ("operators: [0.0.0.0/0, nine, 10.20.0.0/24]", ["operators = nine", "operators = 0.0.0.0/0", "network = 10.20.0.0/16"]),
        ("phones: [a, b, 1.2.3.0/33]", ["phones = a", "phones = b", "phones = 1.2.3.0/33"]),
        ("counts: {app: x, data: 2, nobody: 1}", ["counts.app = x", "counts.data = 2", "counts.nobody = 1"]),
        (
            "disk_sizes: {data.database: 1, data.nothing: 2, data.recordings: 99999999, edge.boot: many}",
            [
                "disk_sizes.edge.boot = many",
                "disk_sizes.data.database = 1",
                "disk_sizes.data.nothing = 2",
                "disk_sizes.data.recordings",
            ],
        ),
        (
            "machine_types: {edge: t3.large, app: nosuch, data: m6g.xlarge}",
            ["machine_types.edge = t3.large", "machine_types.app = nosuch", "machine_types.data = m6g.xlarge"],
        ),
        ("operator_keys: [x, y]", ["operator_keys = x", "operator_keys = y"]),
        ("rotate: {nothing: 1, database_password: 0}", ["rotate.nothing = 1", "rotate.database_password = 0"]),
        (
            "repository_keys: {webitel: short, wrong: 0123456789ABCDEF0123456789ABCDEF01234567}",
            ["repository_keys.webitel = short", "repository_keys.wrong = 0123"],
        ),
        (
            "package_versions: {no-nginx: 1-1, webitel-engine: a b}",
            ["package_versions.no-nginx", "package_versions.webitel-engine"],
        ),
        ("leaving: [data-9, app-7]", ["leaving = data-9", "leaving = app-7"]),
        (
            "max_connections: 9\nweb_sockets_per_address: 1\ndrain_timeout: -1",
            ["max_conn", "web_sockets_per_address", "drain_timeout"],
        ),
    ],
)
def test_each_of_them_once(lines: str, told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_settings, "STACKS", tmp_path)
    text = HEAD + "".join(f"  webitel:{line}\n" for line in lines.splitlines())
    (tmp_path / "Pulumi.try.yaml").write_text(text)
    with pytest.raises(PlanError) as caught:
        load_deployment("try")
    found = [str(problem) for problem in caught.value.problems]
    for start in told:
        assert sum(one.startswith(f"webitel:{start}") for one in found) == 1, (start, found)
    assert len(found) == len(told), found
