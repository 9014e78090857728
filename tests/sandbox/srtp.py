"""SRTP as a phone without mercy has it: AES_CM_128_HMAC_SHA1_80 of RFC 3711, the only suite of which no phone lacks."""

import hmac
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SUITE = "AES_CM_128_HMAC_SHA1_80"
KEY_BYTES, SALT_BYTES, TAG_BYTES, HEADER_BYTES = 16, 14, 10, 12


def run(key: bytes, start: int, text: bytes) -> bytes:
    """AES in counter mode, which is the same both ways."""
    return Cipher(algorithms.AES(key), modes.CTR(start.to_bytes(16, "big"))).encryptor().update(text)


class Keys:
    """What comes of a master key and its salt, 30 bytes."""

    def __init__(self, master: bytes) -> None:
        key, salt = master[:KEY_BYTES], int.from_bytes(master[KEY_BYTES:], "big")

        def derive(label: int, size: int) -> bytes:
            return run(key, (salt ^ label << 48) << 16, bytes(size))

        self.cipher, self.auth, self.salt = derive(0, KEY_BYTES), derive(1, 20), int.from_bytes(derive(2, SALT_BYTES), "big")

    def crypt(self, packet: bytes, index: int) -> bytes:
        """A packet with its audio made secret, or legible."""
        (ssrc,) = struct.unpack(">I", packet[8:HEADER_BYTES])
        start = self.salt << 16 ^ ssrc << 64 ^ index << 16
        return packet[:HEADER_BYTES] + run(self.cipher, start, packet[HEADER_BYTES:])

    def tag(self, packet: bytes, index: int) -> bytes:
        """The proof that a packet is the sender's, in that round of its numbers."""
        return hmac.digest(self.auth, packet + (index >> 16).to_bytes(4, "big"), "sha1")[:TAG_BYTES]

    def protect(self, packet: bytes, index: int) -> bytes:
        """A packet as it is sent."""
        secret = self.crypt(packet, index)
        return secret + self.tag(secret, index)

    def proves(self, packet: bytes, index: int) -> bool:
        """Whether a packet is believed."""
        return hmac.compare_digest(self.tag(packet[:-TAG_BYTES], index), packet[-TAG_BYTES:])
