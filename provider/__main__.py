"""The provider as the engine starts it: `python -m provider [OPTIONS] ENGINE_ADDRESS`, by `pulumi-resource-webitel`."""

import sys

from provider.handlers import HANDLERS
from provider.server import Provider

VERSION = "0.1.0"


def main() -> None:
    # The engine puts logging flags before its address.
    Provider("webitel", VERSION, HANDLERS).serve(sys.argv[-1] if len(sys.argv) > 1 else None)


if __name__ == "__main__":
    main()
