"""Whether a restarted agent of Consul's may be followed by the next one."""

import pytest

from cloud_init.node.clusters import access_lists


@pytest.mark.parametrize(
    ("acls", "raft", "caught_up"),
    [
        ("1", {"applied_index": "9", "commit_index": "9"}, True),
        ("1", {"applied_index": "8", "commit_index": "9"}, False),
        ("1", {"applied_index": "0", "commit_index": "0"}, False),
        ("2", {"applied_index": "9", "commit_index": "9"}, False),
        ("1", None, True),
        (None, None, True),
    ],
    ids=["whole", "behind", "heard nothing", "old lists", "no server", "newer agent"],
)
def test_the_next_waits_for_it(
    acls: str | None, raft: dict[str, str] | None, caught_up: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"Member": {"Tags": {"acls": acls} if acls else {}}, "Stats": {"raft": raft} if raft else {}}
    monkeypatch.setattr(access_lists, "call", lambda method, path: told)
    assert access_lists.has_caught_up() is caught_up
