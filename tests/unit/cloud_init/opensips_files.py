"""OpenSIPS' configuration as a whole: the node's files, and the bundle that they include."""

from cloud_init.bundles import bundle_folder

BUNDLES = "/usr/share/webitel/bundles"
CONFIGURATION = "/etc/opensips/opensips.cfg"


def with_bundle(files: dict[str, str]) -> dict[str, str]:
    """A node's files and the routes that are the same on every node."""
    return {**files, f"{BUNDLES}/opensips/routes.cfg": (bundle_folder("opensips") / "routes.cfg").read_text()}
