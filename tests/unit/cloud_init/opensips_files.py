"""OpenSIPS' configuration as a whole: the node's files, and the bundle that they include."""

from functools import cache

from cloud_init.bundles import bundle_folder
from sandbox.standin.opensips.checks import read_config
from sandbox.standin.opensips.reader import Config

BUNDLES = "/usr/share/webitel/bundles"
CONFIGURATION = "/etc/opensips/opensips.cfg"


def with_bundle(files: dict[str, str]) -> dict[str, str]:
    """A node's files and the routes that are the same on every node."""
    return {**files, f"{BUNDLES}/opensips/routes.cfg": (bundle_folder("opensips") / "routes.cfg").read_text()}


def read_once(files: dict[str, str]) -> Config:
    """Read OpenSIPS' configuration among a node's files, once where another one's is the same."""
    return _read(tuple((path, text) for path, text in sorted(files.items()) if "/opensips/" in path))


@cache
def _read(files: tuple[tuple[str, str], ...]) -> Config:
    texts = dict(files)
    return read_config(texts[CONFIGURATION], texts)
