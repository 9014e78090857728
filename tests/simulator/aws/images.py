"""AWS: machine images and the functions that find them (`facts/clouds.md` 1.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase

from provider.server import Properties, ProviderError
from tests.simulator.call import Account
from tests.simulator.world import Refused, Thing, World

DEBIAN = "136693071363"
_IMAGE = "aws:simulated:Image"
_NAMES = ("debian-12-amd64-20250316-2053", "debian-12-amd64-20260714-2173", "debian-13-amd64-20260801-2190")


def publish_image(world: World, name: str) -> None:
    """Adds an image of Debian, such as the next `debian-12-amd64-...`."""
    with world.change():
        world.put(Thing(_IMAGE, name, "", {"name": name}))


def image_id(name: str, region: str) -> str:
    """The id of an image in a region."""
    return f"ami-{hashlib.sha256(f'{region} {name}'.encode()).hexdigest()[:17]}"


def list_images(account: Account) -> Iterator[str]:
    """The names of all images there are, oldest first."""
    yield from sorted((*_NAMES, *(thing.id for thing in account.world.all(_IMAGE))), key=lambda name: name.split("-")[3:])


def find_image(account: Account, id: str, region: str) -> str:
    """The name of an image; refused where the region has none of that id."""
    for name in list_images(account):
        if id == image_id(name, region):
            return name
    raise Refused(f"InvalidAMIID.NotFound: The image id '[{id}]' does not exist in {region}")


def get_ami(account: Account, arguments: Properties) -> Properties:
    """The image that owners and filters leave; more than one needs `mostRecent`."""
    region = _region(account, arguments)
    owners = arguments.get("owners") or []
    names = [name for name in list_images(account) if not owners or DEBIAN in owners]
    for wish in arguments.get("filters") or []:
        if wish["name"] == "name":
            names = [name for name in names if any(fnmatchcase(name, glob) for glob in wish["values"])]
        elif wish["name"] == "image-id":
            names = [name for name in names if image_id(name, region) in wish["values"]]
        elif wish["name"] not in ("architecture", "virtualization-type", "root-device-type", "state"):
            raise ProviderError(f"InvalidParameterValue: The filter '{wish['name']}' is invalid")
    if not names:
        raise ProviderError("Your query returned no results. Please change your search criteria and try again.")
    if len(names) > 1 and not arguments.get("mostRecent"):
        raise ProviderError("Your query returned more than one result. Please try a more specific search criteria.")
    id = image_id(names[-1], region)
    return {
        **arguments,
        "id": id,
        "imageId": id,
        "name": names[-1],
        "ownerId": DEBIAN,
        "architecture": "x86_64",
        "rootDeviceName": "/dev/xvda",
        "region": region,
        "state": "available",
    }


def get_parameter(account: Account, arguments: Properties) -> Properties:
    """Debian's public parameter of its newest image."""
    parts = arguments["name"].split("/")
    if parts[:5] != ["", "aws", "service", "debian", "release"] or parts[6:] != ["latest", "amd64"]:
        raise ProviderError(f"ParameterNotFound: {arguments['name']}")
    glob = f"debian-{parts[5]}-amd64-*"
    names = [name for name in list_images(account) if fnmatchcase(name, glob)]
    region = _region(account, arguments)
    return {
        **arguments,
        "id": arguments["name"],
        "type": "String",
        "value": image_id(names[-1], region),
        "version": 1,
        "arn": f"arn:aws:ssm:{region}::parameter{arguments['name']}",
        "insecureValue": image_id(names[-1], region),
    }


def _region(account: Account, arguments: Properties) -> str:
    region = arguments.get("region") or account.settings.get("region")
    if not region:
        raise ProviderError("Missing region configuration: set aws:region")
    return str(region)


FUNCTIONS: Mapping[str, Callable[[Account, Properties], Properties]] = {
    "aws:ec2/getAmi:getAmi": get_ami,
    "aws:ssm/getParameter:getParameter": get_parameter,
}
