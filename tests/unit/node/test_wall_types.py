"""Nothing crosses from the composer to a node, or back, as `Any`: a wrong name or type is found before a node is."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

WALL = (
    "cloud_init/compose.py",
    "cloud_init/manifest.py",
    "cloud_init/merge.py",
    "cloud_init/versions.py",
    "cloud_init/node/manifest.py",
    "cloud_init/node/report.py",
    "cloud_init/node/state.py",
    "cloud_init/node/commands.py",
    "cloud_init/node/dump.py",
    "cloud_init/node/load.py",
    "cloud_init/node/apply/*.py",
    "cloud_init/node/storage/*.py",
    "cloud_init/node/ask/redis.py",
    "cloud_init/node/health/kept_calls.py",
    "cloud_init/node/health/database_figures.py",
    "cloud_init/node/health/figures.py",
    "cloud_init/node/health/machine.py",
    "cloud_init/node/health/opensips.py",
    "cloud_init/node/health/status.py",
    "cloud_init/node/health/topology.py",
    "cloud_init/node/health/waiting.py",
    "cloud_init/node/health/watch.py",
    "cloud_init/node/clusters/database_data.py",
    "cloud_init/node/clusters/keeper.py",
    "cloud_init/node/clusters/leaders.py",
    "cloud_init/node/clusters/locks.py",
    "provider/configuration.py",
    "provider/drift.py",
    "provider/health.py",
    "provider/node_inputs.py",
    "provider/upload.py",
    "components/model/report.py",
    "cloud_init/host/*.py",
    "cli/hosts/a*.py",
    "cli/hosts/judge*.py",
    "cli/hosts/wish.py",
    "cli/nodes/reports.py",
    "cli/drills/run.py",
)
"""What is left out asks Consul, RabbitMQ, PostgreSQL and their kin, whose answers are theirs."""

PARAMETERS = {
    "manifest": "Manifest",
    "configuration": "Configuration",
    "report": "Report",
    "probe": "ProbeEntry",
    "service": "ServiceEntry",
}
"""Parameter of a function of the node program -> its type, wherever it has that name."""


@pytest.mark.parametrize("pattern", WALL)
def test_the_wall_knows_no_any(pattern: str) -> None:
    paths = list(ROOT.glob(pattern))
    assert paths, f"{pattern} is no file"
    for path in paths:
        found = [
            node.lineno
            for node in ast.walk(ast.parse(path.read_text()))
            if (isinstance(node, ast.Name) and node.id == "Any") or (isinstance(node, ast.Attribute) and node.attr == "Any")
        ]
        assert not found, f"{path.relative_to(ROOT)}: Any in the lines {found}"


def test_the_node_program_names_the_types_of_what_it_was_given() -> None:
    seen = set[str]()
    for path in (ROOT / "cloud_init/node").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef):
                continue
            for parameter in (*node.args.args, *node.args.kwonlyargs):
                kind = ast.unparse(parameter.annotation or ast.Constant(""))
                if parameter.arg in PARAMETERS and kind != "str | None":
                    assert kind == PARAMETERS[parameter.arg], f"{path.relative_to(ROOT)}: {node.name}({parameter.arg}: {kind})"
                    seen.add(parameter.arg)
    assert seen == set(PARAMETERS)
