"""Holds calls through a node's own rtpengine and says what they hear; it runs on the node, with the standard library only.

Arguments: the node's address and how many calls. Each has two ends that send 50 packets a second. Every fifth of a second
STATE says {"calls": how many, "silent": those of which an end hears nothing now, "gap": the longest silence since the last
SIGUSR1, in seconds}. They are hung up at SIGTERM.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import time
from pathlib import Path

STATE = Path("/run/webitel-held-audio.json")
CONTROL = ("127.0.0.1", 60000)
PACE_SECONDS, STATE_SECONDS, SILENT_SECONDS = 0.02, 0.2, 0.5


def write(value: object) -> bytes:
    """rtpengine's own notation."""
    if isinstance(value, dict):
        return b"d" + b"".join(write(key) + write(value[key]) for key in sorted(value)) + b"e"
    if isinstance(value, list):
        return b"l" + b"".join(map(write, value)) + b"e"
    text = str(value).encode()
    return b"%d:%s" % (len(text), text)


def ask(**message: object) -> str:
    """One command to rtpengine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        control.settimeout(5)
        control.sendto(
            os.urandom(8).hex().encode() + b" " + write({name.replace("_", "-"): value for name, value in message.items()}),
            CONTROL,
        )
        return control.recv(65535).decode()


class End:
    """One end of a call."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.socket.setblocking(False)
        self.address, self.target, self.heard = address, (address, 0), 0.0

    def describe(self) -> str:
        """Its session description."""
        port = self.socket.getsockname()[1]
        return f"v=0\r\no=- 1 1 IN IP4 {self.address}\r\ns=-\r\nc=IN IP4 {self.address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"

    def send_to(self, said: str) -> None:
        """Send where rtpengine says."""
        found = re.search(r"c=IN IP4 (\S+)", said), re.search(r"m=audio (\d+)", said)
        assert found[0] and found[1], said
        self.target = found[0][1], int(found[1][1])

    def hear(self, now: float) -> float:
        """Take what has come; the silence that it ended, 0.0 = nothing came."""
        came = False
        try:
            while self.socket.recv(2000):
                came = True
        except BlockingIOError:
            pass
        except ConnectionRefusedError:
            return 0.0
        if not came:
            return 0.0
        gap, self.heard = now - self.heard if self.heard else 0.0, now
        return gap


def begin(name: str, address: str) -> tuple[End, End]:
    """A call that stands."""
    one, other = End(address), End(address)
    other.send_to(ask(command="offer", call_id=name, from_tag="a", direction=["ext", "int"], sdp=one.describe()))
    one.send_to(ask(command="answer", call_id=name, from_tag="a", to_tag="b", sdp=other.describe()))
    return one, other


def main() -> int:
    """Until the signal comes."""
    address, count = sys.argv[1], int(sys.argv[2])
    names = [f"held-{os.getpid()}-{number}" for number in range(count)]
    ends = [end for name in names for end in begin(name, address)]
    gap, ending = [0.0], [False]
    signal.signal(signal.SIGUSR1, lambda *_: gap.__setitem__(0, 0.0))
    signal.signal(signal.SIGTERM, lambda *_: ending.__setitem__(0, True))
    number, due, told = 0, time.monotonic(), 0.0
    while not ending[0]:
        number, due = number + 1, due + PACE_SECONDS
        packet = b"\x80\x08" + (number % 65536).to_bytes(2, "big") + (160 * number).to_bytes(4, "big") + bytes(164)
        for end in ends:
            try:
                end.socket.sendto(packet, end.target)
            except ConnectionRefusedError:
                continue
        time.sleep(max(0.0, due - time.monotonic()))
        now = time.monotonic()
        gap[0] = max(gap[0], *(end.hear(now) for end in ends))
        if now - told > STATE_SECONDS:
            told = now
            deaf = [now - end.heard > SILENT_SECONDS for end in ends]
            silent = sum(map(max, deaf[::2], deaf[1::2]))
            fresh = STATE.with_suffix(".new")
            fresh.write_text(json.dumps({"calls": count, "silent": silent, "gap": round(gap[0], 3)}))
            fresh.replace(STATE)
    said = [ask(command="delete", call_id=name, from_tag="a") for name in names]
    STATE.unlink()
    return 0 if all("6:result2:ok" in one for one in said) else 1


if __name__ == "__main__":
    sys.exit(main())
