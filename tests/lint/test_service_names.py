"""Code asks a service's traits, never its name: with a name in it, it would have to be found when a service is added."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from components.model.catalogue.services import CATALOGUE

ROOT = Path(__file__).resolve().parents[2]
LOOKED_AT = ("cli", "cloud_init", "components", "policy", "provider", "stacks")
OWN = ("components/model/catalogue/", "cloud_init/files/")
"""Where names are at home."""

EXCEPTIONS: Mapping[str, str] = {
    "cloud_init/node/": "the program on a node takes services from its manifest and has a part of its own for each cluster",
    "cloud_init/manifest.py": "settings that the program on a node asks OpenSIPS and FreeSWITCH about",
    "cloud_init/packages.py": "names of Debian's packages and their units",
    "cloud_init/dashboard.py": "Grafana's word for a kind of data source",
    "cloud_init/context.py": "functions that the templates of single services call",
    "cli/drills/": "a drill breaks one certain program",
    "cli/develop/": "names of Debian's packages and of the parts of the tests",
    "cloud_init/host/": "programs of Debian's on a host that is nobody's node yet",
    "cli/hosts/foreign.py": "names of Debian's packages",
    "cli/commands/doctor.py": "the program ssh of this machine",
    "cli/nodes/": "the program ssh of this machine",
    "cli/smoke/inside.py": "kinds of probes",
    "cli/show/end.py": "where the first administrator is made, and the address that phones are told",
    "cli/commands/init.py": "the longest name of a role",
    "components/model/mesh.py": "the setting and a kind of address that are called so",
    "components/model/settings.py": "a schema of the database",
    "provider/configuration.py": "a step of a node's configuration and its seconds",
    "components/clouds/aws/adapter.py": "the tag of a key pair",
}
"""By file or folder, what a name of a service is there."""


def is_name(value: str) -> bool:
    """Whether a constant is a service's name, or one with the name of one of its listeners behind a dot."""
    name, _, listener = value.partition(".")
    return name in CATALOGUE and (not listener or listener in {one.name for one in CATALOGUE[name].listeners})


def find_names() -> Iterator[tuple[str, str]]:
    """The file, relative to the project, and the name of a service that stands in it."""
    for top in LOOKED_AT:
        for path in sorted((ROOT / top).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and is_name(node.value):
                    yield path.relative_to(ROOT).as_posix(), node.value


@cache
def list_names() -> list[tuple[str, str]]:
    """Those names, looked for once."""
    return list(find_names())


def test_no_name_of_a_service_stands_in_code() -> None:
    found = [(path, name) for path, name in list_names() if not path.startswith((*OWN, *EXCEPTIONS))]
    assert not found, "ask a trait of the service (components/model/catalogue/service.py)"


def test_every_exception_is_still_needed() -> None:
    found = {path for path, _ in list_names()}
    assert [prefix for prefix in EXCEPTIONS if not any(path.startswith(prefix) for path in found)] == []
