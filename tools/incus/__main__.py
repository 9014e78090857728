"""`python3 -m tools.incus status|start|clean`: the platform `local` by hand and in CI."""

import argparse
import sys

from tools.host.fetching import SetupError
from tools.incus import api
from tools.incus.clean import clean
from tools.incus.daemon import ensure_incus, is_answering
from tools.incus.images import ensure_base_image
from tools.incus.pool import ensure_pool


def main() -> int:
    """Run one command; return the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.incus", description=__doc__)
    parser.add_argument(
        "command",
        choices=["status", "start", "clean"],
        help="start: daemon, pool and base image; clean: removes all that is ours, machines and their data too",
    )
    command = parser.parse_args().command
    try:
        if command == "status":
            return show_status()
        if command == "start":
            ensure_incus(_print)
            ensure_pool(_print)
            print(ensure_base_image(_print))
        else:
            clean(_print)
    except (SetupError, api.IncusError) as problem:
        sys.exit(f"webitel: {problem}")
    return 0


def show_status() -> int:
    """Print what is there of ours; return 1 where Incus does not answer."""
    if not is_answering():
        print("Incus does not answer. Next: python3 -m tools.incus start")
        return 1
    pool = api.find(f"/storage-pools/{api.POOL}")
    print(f"Incus {api.call('GET', '')['environment']['server_version']} answers at {api.socket_path()}")
    print(f"pool {api.POOL}: {pool['driver'] + ', ' + pool['config'].get('size', 'no limit') if pool else 'none'}")
    for image in api.list_objects("/images"):
        for alias in image["aliases"]:
            if alias["name"].startswith("webitel"):
                print(f"image {alias['name']}  {image['size'] // 2**20} MiB  {image['uploaded_at'][:10]}")
    for instance in api.list_objects("/instances"):
        if "user.webitel.machine" in instance["config"]:
            print(f"container {instance['name']}  {instance['status']}")
    return 0


def _print(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
