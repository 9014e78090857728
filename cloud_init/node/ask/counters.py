"""What the driver of a network interface counts, as `ethtool -S` prints it, without that program."""

import array
import errno
import fcntl
import socket
import struct

SIOCETHTOOL = 0x8946
GET_STRINGS, GET_STATISTICS, GET_SET_SIZE = 0x1B, 0x1D, 0x37
STATISTICS = 1
"""The set of strings that names them."""
NAME_BYTES = 32


def read_counters(interface: str) -> dict[str, int]:
    """Return an interface's counters by name; none where its driver counts nothing. Raises OSError where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        try:
            size = ask(control, interface, struct.pack("=IIQI", GET_SET_SIZE, 0, 1 << STATISTICS, 0))
            _, _, known, number = struct.unpack("=IIQI", size)
            if not known or not number:
                return {}
            names = ask(control, interface, struct.pack("=III", GET_STRINGS, STATISTICS, number) + bytes(number * NAME_BYTES))
            values = ask(control, interface, struct.pack("=II", GET_STATISTICS, number) + bytes(number * 8))
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                return {}
            raise
    texts = [names[12 + n * NAME_BYTES :][:NAME_BYTES].split(b"\0")[0].decode(errors="replace") for n in range(number)]
    return dict(zip(texts, struct.unpack_from(f"={number}Q", values, 8), strict=True))


def ask(control: socket.socket, interface: str, question: bytes) -> bytes:
    """Put a question of ethtool's to the kernel, which writes the answer in its place."""
    place = array.array("B", question)
    request = struct.pack("16sP", interface.encode(), place.buffer_info()[0])
    fcntl.ioctl(control.fileno(), SIOCETHTOOL, request)
    return place.tobytes()
