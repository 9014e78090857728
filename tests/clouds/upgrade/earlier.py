"""Bring a committed stack up on its simulated cloud, with the code of the checkout that this runs in:
`python earlier.py ENGINE STACK FOLDER`. It leaves the cloud's `world`, the state and the stack file there.
"""

import importlib
import sys
from pathlib import Path

from tests.simulator.simulators import Simulators

# Before November 28th 2026 tests were not in folders by part.
FOLDER = "tests.clouds.conformance" if Path("tests/clouds/conformance").is_dir() else "tests.conformance"
Deployment = importlib.import_module(f"{FOLDER}.engine").Deployment


def main(engine: str, stack: str, place: str) -> int:
    """Bring it up, and see that the same code finds nothing to change."""
    folder = Path(place)
    simulators = Simulators(folder / "world", [stack.partition("-")[0]])
    try:
        deployment = Deployment(Path(engine), folder / "project", stack, simulators.attached)
        deployment.up()
        assert deployment.preview() == []
        (folder / "state.json").write_text(deployment.state_file.read_text())
        (folder / "stack.yaml").write_text(deployment.file.read_text())
    finally:
        simulators.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
