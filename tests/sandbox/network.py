"""A network of its own for the process that runs these tests: every loopback address and port is free in it.

So several workers of one run, and several runs on one machine, use the same fixed addresses and never meet.
"""

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLONE_NEWNET = 0x40000000
"""From linux/sched.h; `os.unshare` comes with Python 3.12."""

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
"""From linux/sockios.h and linux/if.h."""


def network_of(task: str) -> str:
    """What tells the network of a task from another one."""
    return str(Path(f"/proc/{task}/ns/net").readlink())


@contextmanager
def own_network() -> Iterator[None]:
    """This thread, with the threads and processes it starts, in a network with nothing but a loopback; raises OSError where
    the kernel refuses, as it does for everybody but root."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "no network of its own")
        try:
            raise_loopback()
            yield
        finally:
            if libc.setns(before, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "no way back into the machine's network")
    finally:
        os.close(before)


def raise_loopback() -> None:
    """A new network's loopback is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sh", b"lo", 0)
        (flags,) = struct.unpack_from("16xh", fcntl.ioctl(any_socket, SIOCGIFFLAGS, asked + bytes(22)))
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))
