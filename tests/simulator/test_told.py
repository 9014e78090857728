"""What simulated clouds tell has the vendors' fields, and no others: those of the SDK's results and of the recorded shapes."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pulumi import _types

from provider.server import Properties
from tests.simulator.account import tell
from tests.simulator.call import Account
from tests.simulator.faults import Faults
from tests.simulator.rest import find_strange, load_documents
from tests.simulator.simulators import PACKAGES
from tests.simulator.world import World

pytestmark = [pytest.mark.clouds, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

ASKED: Mapping[str, Mapping[str, Properties]] = {
    "hetzner": {
        "getImage": {"name": "debian-12", "withArchitecture": "x86"},
        "getServerTypes": {},
        "getServers": {},
        "getNetworks": {},
    },
    "digitalocean": {"getAccount": {}, "getImage": {"slug": "debian-12-x64"}, "getSizes": {}, "getDroplets": {}},
    "aws": {
        "ec2/getEips": {},
        "ec2/getVpcs": {},
        "getCallerIdentity": {},
        "ec2/getAmi": {"owners": ["136693071363"], "mostRecent": True, "region": "us-east-1"},
        "servicequotas/getServiceQuota": {"serviceCode": "vpc", "quotaCode": "L-F678F1CE"},
        "ec2/getInstanceTypeOfferings": {
            "locationType": "availability-zone",
            "filters": [{"name": "instance-type", "values": ["c7a.xlarge"]}],
        },
    },
    "gcp": {
        "organizations/getProject": {},
        "organizations/getClientConfig": {},
        "compute/getZones": {"region": "europe-west3"},
        "compute/getMachineTypes": {"zone": "europe-west3-a"},
        "cloudquota/getSQuotaInfo": {
            "quotaId": "CPUS-PER-VM-FAMILY-per-project-region",
            "service": "compute.googleapis.com",
            "parent": "projects/simulated",
        },
    },
}
"""What `account.py` of each cloud asks by functions of the SDK, with arguments that get an answer."""


@pytest.mark.parametrize("cloud", sorted(ASKED))
def test_functions_answer_what_the_sdk_knows(cloud: str, tmp_path: Any) -> None:
    world = World(tmp_path / "world.jsonl")
    tell(world, PACKAGES[cloud], families={"C3D": 8})
    functions = importlib.import_module(f"tests.simulator.{cloud}.functions").FUNCTIONS
    account = Account(PACKAGES[cloud], world, Faults(None))
    strange = []
    for name, arguments in ASKED[cloud].items():
        module, _, function = name.rpartition("/")
        (token,) = [token for token in functions if token.endswith(f":{function}") and (f":{module}/" in token or not module)]
        package = importlib.import_module(f"pulumi_{PACKAGES[cloud]}" + (f".{module}" if module else ""))
        result = getattr(package, f"Get{function.removeprefix('get')}Result")
        strange += list(find_unknown(functions[token](account, dict(arguments)), result, f"{cloud} {function}"))
    assert strange == []


def find_unknown(value: Any, kind: Any, place: str) -> Iterator[str]:
    """Name what an answer has and the SDK's class has not."""
    if isinstance(value, list):
        for item in value:
            yield from find_unknown(item, next(iter(typing.get_args(kind)), None), f"{place}[]")
    elif isinstance(value, dict) and inspect.isclass(kind) and (fields := _types.output_type_types(kind)):
        for name, inner in value.items():
            if name in fields:
                yield from find_unknown(inner, fields[name], f"{place}.{name}")
            else:
                yield f"{place}.{name}: unknown to the SDK"


def test_a_field_that_no_vendor_has_is_an_error() -> None:
    shape = {"value": [{"name": "string", "limit": "number", "tags": {}}]}
    good = {"value": [{"name": "cores", "limit": 4, "tags": {"a": "b"}}]}
    assert not [*find_strange(good, shape, "x")]
    wrong: tuple[Any, ...] = ({"value": [{"nam": "cores"}]}, {"value": [{"limit": "4"}]}, {"value": {}}, {"values": []}, [])
    assert all([*find_strange(document, shape, "x")] for document in wrong)
    assert len(load_documents()) >= 14
