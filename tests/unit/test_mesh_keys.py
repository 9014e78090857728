"""Keys of the mesh: each node's own, the same again from the deployment's secret, and of the shape that WireGuard wants."""

import base64

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from components.host_keys import throw_away_key
from components.mesh_keys import private_key, public_key

SEED = "what the deployment keeps"


def decode(key: str) -> bytes:
    return base64.b64decode(key, validate=True)


def test_two_nodes_agree_on_a_secret_by_what_each_knows() -> None:
    mine, yours = (X25519PrivateKey.from_private_bytes(decode(private_key(SEED, key))) for key in ("app-1", "data-1"))
    theirs = {key: X25519PublicKey.from_public_bytes(decode(public_key(SEED, key))) for key in ("app-1", "data-1")}
    assert mine.exchange(theirs["data-1"]) == yours.exchange(theirs["app-1"])


def test_keys_are_a_nodes_own_and_of_one_deployment() -> None:
    made = {private_key(seed, node) for seed in (SEED, "another") for node in ("app-1", "app-2", "data-1")}
    assert len(made) == 6
    assert private_key(SEED, "app-1") == private_key(SEED, "app-1")
    for key in map(decode, made):
        assert len(key) == 32 and key[0] & 7 == 0 and key[31] >> 6 == 1


def test_a_host_key_tells_nothing_of_it() -> None:
    assert private_key(SEED, "app-1") not in throw_away_key(SEED, "app-1").private
