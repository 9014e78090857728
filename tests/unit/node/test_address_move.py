"""The program that has AWS move the address of SIP, against a stand-in for the metadata and EC2."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from cloud_init.node.clusters import address_move, ec2, sip_address
from cloud_init.node.clusters.address_move import Aws, Mover
from cloud_init.node.clusters.ec2 import MoveError
from cloud_init.node.system import Unhealthy
from components.clouds.aws.facts import FACTS
from tests.unit.node import aws_standin
from tests.unit.node.aws_standin import ADDRESS, ALLOCATION, INTERFACES, PUBLIC, Cloud, serve
from tests.unit.node.entries import manifest

MANIFEST = manifest(
    address="127.0.0.1",
    sip_address=ADDRESS,
    address_move={"by": "aws", "public": PUBLIC, "handle": ALLOCATION},
)
ASSIGN, ASSOCIATE = "AssignPrivateIpAddresses", "AssociateAddress"


class Pair:
    """Both machines' programs, and which of them has the address by the keeper's word."""

    def __init__(self, cloud: Cloud, movers: list[Mover], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cloud, self.movers, self.holder = cloud, movers, -1
        self.folder, self.monkeypatch = folder, monkeypatch

    def look(self, seconds: float = 1.0) -> None:
        """One look of each, that much later."""
        CLOCK[0] += seconds
        for number, mover in enumerate(self.movers):
            self.stand_on(number)
            mover.look()
        self.stand_on(self.holder)

    def stand_on(self, number: int) -> None:
        HERE[0] = number == self.holder
        HELD[0] = HERE[0]
        self.monkeypatch.setattr(address_move, "TOLD", self.folder / f"told-{number}")

    def told(self) -> str:
        """What the node with the address says."""
        return str(json.loads(address_move.TOLD.read_text())["wrong"])


CLOCK, HERE, HELD = [1000.0], [False], [False]


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Pair]:
    cloud, movers = Cloud(), []
    HERE[0] = HELD[0] = False
    monkeypatch.setattr(address_move, "TOLD", tmp_path / "told")
    monkeypatch.setattr(address_move, "is_here", lambda _: HERE[0])
    monkeypatch.setattr(address_move, "HELD", SimpleNamespace(exists=lambda: HELD[0]))
    monkeypatch.setattr(address_move, "time", SimpleNamespace(monotonic=lambda: CLOCK[0]))
    with ExitStack() as stack:
        for interface in INTERFACES:
            way = Aws(MANIFEST)
            way.metadata = ec2.Metadata("127.0.0.1", stack.enter_context(serve(cloud, interface)))
            way.ec2 = aws_standin.Ec2(way.metadata, "127.0.0.1")
            movers.append(Mover(way, ADDRESS))
        yield Pair(cloud, movers, tmp_path, monkeypatch)


def test_the_way_of_the_cloud_is_one_that_nodes_know() -> None:
    assert FACTS.address_moves.value in address_move.WAYS


def test_the_address_goes_where_the_keeper_has_it_and_its_public_one_is_associated_once(pair: Pair) -> None:
    pair.look()
    assert not pair.cloud.calls, "nobody has it"
    pair.holder = 0
    pair.look()
    assert ADDRESS in pair.cloud.addresses["eni-1"] and pair.cloud.calls == [f"{ASSIGN} eni-1"]
    assert "does not say yet" in pair.told()
    pair.look(address_move.ALONG_SECONDS + 1)
    pair.look()
    assert pair.cloud.associated == ("eni-1", ADDRESS) and pair.told() == ""
    pair.holder = 1
    pair.look()
    assert pair.cloud.associated == ("eni-2", ADDRESS) and ADDRESS not in pair.cloud.addresses["eni-1"]
    pair.holder = 0
    for _ in range(20):
        pair.look(address_move.SEE_SECONDS)
    assert pair.cloud.calls == [f"{ASSIGN} eni-1", f"{ASSOCIATE} eni-1", f"{ASSIGN} eni-2", f"{ASSIGN} eni-1"]


def test_what_comes_twice_harms_nothing(pair: Pair) -> None:
    pair.cloud.associated = ("eni-1", ADDRESS)
    pair.holder = 0
    pair.look()
    before = pair.cloud.addresses, pair.cloud.associated
    pair.movers[0].had = False  # the program was started anew
    pair.look()
    assert pair.cloud.calls == [f"{ASSIGN} eni-1"] * 2 and (pair.cloud.addresses, pair.cloud.associated) == before


def test_an_address_that_the_image_put_there_is_not_moved(pair: Pair) -> None:
    """What sets the interface up by the metadata puts it back on a node that has given it up, for a moment."""
    HERE[0] = True
    pair.movers[0].look()
    assert not pair.cloud.calls


def test_metadata_that_are_late_hide_no_move(pair: Pair) -> None:
    """This node had it a moment ago, and its metadata say that it still has."""
    pair.cloud.associated, pair.holder = ("eni-1", ADDRESS), 0
    pair.look()
    pair.cloud.late = {name: list(found) for name, found in pair.cloud.addresses.items()}
    pair.holder = 1
    pair.look()
    pair.holder = 0
    pair.look()
    assert pair.cloud.associated == ("eni-1", ADDRESS)


def test_what_somebody_else_moves_away_is_moved_back(pair: Pair) -> None:
    """A call of the other node that came to EC2 after its time."""
    pair.cloud.associated, pair.holder = ("eni-1", ADDRESS), 0
    pair.look()
    pair.cloud.assign("eni-2", ADDRESS, moves=True)
    pair.look(address_move.LATE_SECONDS + 1)
    pair.look(address_move.SEE_SECONDS)
    assert pair.cloud.associated == ("eni-1", ADDRESS)


@pytest.mark.parametrize("code", ["UnauthorizedOperation", "RequestLimitExceeded"])
def test_a_move_that_fails_is_told_and_tried_again(code: str, pair: Pair) -> None:
    pair.cloud.refuses[ASSIGN], pair.holder = code, 0
    pair.cloud.associated = ("eni-2", ADDRESS)
    for _ in range(3):
        pair.look()
        assert pair.told() == f"EC2: {ASSIGN}: {code}: what EC2 says"
    pair.cloud.refuses.clear()
    pair.look()
    pair.look()
    assert pair.told() == "" and pair.cloud.associated == ("eni-1", ADDRESS)


@pytest.mark.parametrize("what", [ASSIGN, "metadata", "trickles"])
def test_a_move_that_hangs_ends_in_time(what: str, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ec2, "CALL_SECONDS", 0.2)
    monkeypatch.setattr(ec2, "METADATA_SECONDS", 0.2)
    pair.cloud.hangs.add(what)
    pair.holder = 0
    pair.look()
    assert "metadata: " in pair.told() if what == "metadata" else f"EC2: {ASSIGN}: " in pair.told()
    pair.cloud.hangs.clear()
    monkeypatch.setattr(ec2, "CALL_SECONDS", 5.0)
    monkeypatch.setattr(ec2, "METADATA_SECONDS", 5.0)
    pair.look()
    assert ADDRESS in pair.cloud.addresses["eni-1"], "it is tried again"


RIGHTS = {(ASSIGN, "eni-1"), (ASSIGN, "eni-2"), (ASSOCIATE, "eni-1"), (ASSOCIATE, "eni-2"), (ASSOCIATE, ALLOCATION)}


def take(pair: Pair) -> str:
    """Both in turn, from nothing; what the second says in the end."""
    for pair.holder in (0, 1):
        pair.look()
        pair.cloud.associated = None
        pair.look(address_move.LATE_SECONDS + 1)
        pair.look()
    return pair.told()


def test_no_right_is_given_that_is_not_needed(pair: Pair) -> None:
    pair.cloud.rights = RIGHTS
    assert take(pair) == ""
    for right in sorted(RIGHTS - {(ASSIGN, "eni-1"), (ASSOCIATE, "eni-1")}):
        pair.cloud.rights = RIGHTS - {right}
        assert take(pair) == f"EC2: {right[0]}: UnauthorizedOperation: what EC2 says", right


def test_a_machine_without_a_role_says_so(pair: Pair) -> None:
    pair.cloud.has_role, pair.holder = False, 0
    pair.look()
    assert "the machine has no role; ./webitel up gives it one" in pair.told()


def test_status_names_what_is_wrong(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    class View:
        manifest = MANIFEST

    monkeypatch.setattr(sip_address, "probe", lambda *_: None)

    def ask() -> None:
        address_move.probe({"kind": "sip_address", "says": ""}, View())  # type: ignore[arg-type]

    with pytest.raises(Unhealthy, match="webitel-address does not run"):
        ask()
    pair.cloud.refuses[ASSIGN], pair.holder = "UnauthorizedOperation", 0
    pair.look()
    with pytest.raises(Unhealthy, match="UnauthorizedOperation"):
        ask()
    pair.movers[0].tell("")
    ask()
    CLOCK[0] += address_move.SILENT_SECONDS + 1
    with pytest.raises(Unhealthy, match="has hung for 61 s"):
        ask()


def test_wrong_keys_are_told(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_standin, "SECRET", "another")
    keys = ec2.Keys("id", "secret", aws_standin.TOKEN)
    monkeypatch.setattr(ec2.Metadata, "find_keys", lambda _: keys)
    with pytest.raises(MoveError, match="AuthFailure"):
        pair.movers[0].way.move()


HOST = "example.amazonaws.com"
STAMP = "20150830T123600Z"
FORM = "application/x-www-form-urlencoded"
KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


@pytest.mark.parametrize(
    ("service", "what", "more", "body", "signature"),
    [
        # AWS' Signature Version 4 test suite: get-vanilla, post-vanilla, post-x-www-form-urlencoded.
        ("service", ("GET", "/", ""), {}, "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("service", ("POST", "/", ""), {}, "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "service",
            ("POST", "/", ""),
            {"content-type": FORM},
            "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        # The example of AWS' documentation.
        (
            "iam",
            ("GET", "/", "Action=ListUsers&Version=2010-05-08"),
            {"host": "iam.amazonaws.com", "content-type": f"{FORM}; charset=utf-8"},
            "",
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        ),
    ],
)
def test_signatures_are_those_that_aws_publishes(
    service: str, what: tuple[str, str, str], more: dict[str, str], body: str, signature: str
) -> None:
    headers = {"host": HOST, "x-amz-date": STAMP, **more}
    made, names = ec2.make_signature(KEY, "us-east-1", service, STAMP, what, headers, body)
    assert made == signature and names == ";".join(sorted(headers))
