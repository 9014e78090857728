"""The event socket: log-in, and the commands that operators, health and drain use."""

import asyncio
import hmac
from collections.abc import Callable

from .calls import Phone
from .outgoing import originate, renegotiate
from .words import VERSION


class Console:
    """Commands and what they answer."""

    def __init__(self, phone: Phone, stop: Callable[[], None]) -> None:
        self.phone, self.stop = phone, stop

    async def run(self, command: str) -> str:
        """The text of `api COMMAND`; a failing one is a text too."""
        words = command.split()
        match words:
            case ["originate", *_]:
                return await originate(self.phone, command.partition(" ")[2])
            case ["uuid_media_reneg", call_id]:
                return await renegotiate(self.phone, call_id)
            case ["sofia", "global", "siptrace", "on" | "off" as wanted]:
                self.phone.traces = wanted == "on"
                return f"+OK Global siptrace {wanted}\n"
            case ["status"]:
                return self.status()
            case ["version"]:
                return f"FreeSWITCH Version {VERSION} (stand-in of the sandbox)\n"
            case ["global_getvar", name]:
                return self.phone.profile.variables.get(name, "")
            case ["show", "calls" | "channels", "count"]:
                return f"\n{len(self.phone.calls)} total.\n"
            case ["show", "calls" | "channels"]:
                return self.show()
            case ["sofia", "status"]:
                return f"sip\tprofile\tsip:mod_sofia@{self.phone.here}\tRUNNING ({len(self.phone.calls)})\n"
            case ["fsctl", "pause" | "resume" as verb]:
                self.pause(verb, {"inbound", "outbound"})
                return "+OK\n"
            case ["fsctl", "pause" | "resume" as verb, "inbound" | "outbound" as direction]:
                self.pause(verb, {direction})
                return "+OK\n"
            case ["fsctl", "pause_check", "inbound" | "outbound" as direction]:
                return "true" if direction in self.phone.paused else "false"
            case ["fsctl", "pause_check"]:
                return "false" if self.is_ready else "true"
            case ["fsctl", "ready_check"]:
                return "true" if self.is_ready else "false"
            case ["fsctl", "sps"]:
                return f"+OK sessions per second: {self.phone.profile.per_second}\n"
            case ["fsctl", "shutdown"]:
                self.stop()
                return "+OK\n"
            case ["hupall", *_]:
                count = len(self.phone.calls)
                for call in list(self.phone.calls.values()):
                    self.phone.hang_up(call)
                return f"+OK hangup all channels {count}\n"
            case ["reloadxml"]:
                return "+OK [Success]\n"
            case _:
                return f"-ERR {words[0] if words else ''} Command not found!\n"

    @property
    def is_ready(self) -> bool:
        """False only where both directions are paused: what the real `status` and `ready_check` look at."""
        return self.phone.paused != {"inbound", "outbound"}

    def pause(self, verb: str, directions: set[str]) -> None:
        """`fsctl pause` or `resume`."""
        self.phone.paused = self.phone.paused | directions if verb == "pause" else self.phone.paused - directions

    def show(self) -> str:
        """One line for each call, its uuid first, as CSV."""
        calls = self.phone.calls.values()
        rows = [f"{call.uuid},{call.direction},{call.number}\n" for call in calls]
        return "".join(["uuid,direction,dest\n", *rows] if rows else []) + f"\n{len(rows)} total.\n"

    def status(self) -> str:
        """`is ready` although every call gets 503 for lack of sessions or a pause of one direction."""
        phone = self.phone
        return (
            f"FreeSWITCH (Version {VERSION}, stand-in of the sandbox) is {'' if self.is_ready else 'not '}ready\n"
            f"{phone.total} session(s) since startup\n"
            f"{len(phone.calls)} session(s) - peak {phone.peak}, last 5min {phone.peak} \n"
            f"0 session(s) per Sec out of max {phone.profile.per_second}, peak 0, last 5min 0 \n"
            f"{phone.profile.max_sessions} session(s) max\n"
        )


async def serve(console: Console, password: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection."""

    def say(head: str, body: str = "") -> None:
        length = f"Content-Length: {len(body.encode())}\n" if body else ""
        writer.write(f"{head}\n{length}\n{body}".encode())

    say("Content-Type: auth/request")
    trusted = False
    try:
        while True:
            lines = []
            while (line := (await reader.readline())) not in (b"\n", b"\r\n"):
                if not line:
                    return
                lines.append(line.decode("utf-8", "replace").strip())
            verb, _, rest = (lines[0] if lines else "").partition(" ")
            if verb == "auth":
                trusted = hmac.compare_digest(rest, password)
                say("Content-Type: command/reply\nReply-Text: " + ("+OK accepted" if trusted else "-ERR invalid"))
                if not trusted:
                    say("Content-Type: text/disconnect-notice", "Disconnected, goodbye.\n")
                    return
            elif not trusted:
                say("Content-Type: command/reply\nReply-Text: -ERR command not found")
            elif verb in ("api", "bgapi"):
                say("Content-Type: api/response", await console.run(rest))
            elif verb in ("exit", "quit"):
                say("Content-Type: command/reply\nReply-Text: +OK bye")
                return
            else:
                say("Content-Type: command/reply\nReply-Text: +OK")
            await writer.drain()
    except ConnectionError:
        return
    finally:
        writer.close()
