"""Runs the simulated clouds until interrupted: `python -m tests.simulator FOLDER [CLOUD ...]`.

Prints the line to set in the shell that runs `pulumi`.
"""

import sys
import threading
from pathlib import Path

from tests.simulator.simulators import PACKAGES, Simulators


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    simulators = Simulators(Path(sys.argv[1]), sys.argv[2:] or tuple(PACKAGES))
    print(f"export PULUMI_DEBUG_PROVIDERS={simulators.attached}", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        simulators.stop()


if __name__ == "__main__":
    main()
