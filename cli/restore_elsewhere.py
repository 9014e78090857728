"""Another deployment's backups into a deployment that is there: what is refused, what is asked, and the order of work."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from cli.console import DEFAULT_STACK, Failure, is_terminal, out, progress
from cli.deploy import bring_up
from cli.other_bucket import Wanted, is_of_data, open_other, read_other_secrets, read_other_url, refuse_own
from components.model.backup import RECORDINGS
from components.model.catalogue.services import CATALOGUE
from stacks.load import load_deployment

if TYPE_CHECKING:
    from cli.nodes.access import Access
    from cloud_init.elsewhere import OtherBucket
    from stacks.load import Deployment

FILES_LEFT_BYTES = 1 << 30
"""Of the recordings' disk, for those that come."""


def restore_from(stack: str, wanted: Wanted) -> None:
    """Restore another deployment's backups into this one, which comes up quiet. Given again it goes on."""
    deployment = load_deployment(stack)
    bucket = read_other_url(wanted.url)
    recovery = read_other_secrets(wanted)
    refuse_own(deployment, bucket, recovery.stack, wanted.url)
    other = open_other(wanted, bucket, recovery, deployment)
    Restore(deployment, wanted, other, {name: recovery.secrets[name] for name in recovery.secrets if is_of_data(name)}).run()


class Restore:
    """One restore, as far as it has come."""

    def __init__(self, deployment: Deployment, wanted: Wanted, other: OtherBucket, secrets: Mapping[str, str]) -> None:
        from cli.nodes.restoring import show_moment
        from cloud_init.node.clusters.database_data import END

        self.stack, self.plan, self.wanted, self.other = deployment.plan.stack, deployment.plan, wanted, other
        self.secrets, self.deployment = secrets, deployment
        self.at = show_moment(wanted.moment) if wanted.moment else END
        self.given = "" if self.stack == DEFAULT_STACK else f" {self.stack}"

    def run(self) -> None:
        """Do what is left to do."""
        from cli.nodes import elsewhere
        from cli.nodes.restoring import carry_out, find_silent, refuse_silent
        from cloud_init.elsewhere import compose_other_bucket
        from cloud_init.node import quiet

        begun = time.monotonic()
        access, databases = self.open()
        refuse_silent(find_silent(access), self.given)
        stores = self.list_stores()
        keys = list(dict.fromkeys([*databases, *stores]))
        found = elsewhere.look(access, keys, compose_other_bucket(self.other))
        leader, stage = self.find_leader({key: found[key] for key in databases}, keys, access)
        made = found[leader]["quiet"] or {"source": "", "at": "", "stage": ""}
        ours = (made["source"], made["at"]) == (self.other.name, self.at)
        if not (ours and made["stage"] == quiet.PLACED):
            if not stage:
                try:
                    self.check(found, leader)
                    self.ask(found, leader)
                except (Failure, typer.Abort):
                    elsewhere.forget(access, keys)
                    raise
                progress(f"Secrets that belong to the data are taken over: {', '.join(self.secrets)}")
                bring_up(self.stack, True, again=self.describe_again(), recovered=self.secrets)
                access, _ = self.open()
            carry_out(access, list(access.nodes), leader, databases, self.at, stage, self.other.name)
        problems = elsewhere.bring_recordings(access, stores)
        if problems:
            raise Failure("\n".join([*problems, f"the database is in its place. Next: {self.describe_again()}"]))
        elsewhere.run(access, list(access.nodes), "settle")
        out.print(f"{self.stack} has the data of {self.other.name}: {time.monotonic() - begun:.0f} s. It is quiet.")
        out.print(f"Next: ./webitel status{self.given}   When nothing else is at work with this data: {self.describe_live()}")

    def open(self) -> tuple[Access, list[str]]:
        """Return the way to the nodes, whose answers are shown without the other deployment's secrets, and the keys of those that
        have the database."""
        from cli.nodes.backups import open_database

        access, databases = open_database(self.stack)
        access.hide.add([self.other.key, self.other.secret, self.other.cipher, dict(self.secrets)])
        return access, databases

    def list_stores(self) -> list[str]:
        """List the nodes that bring recordings: all that have them, of those with a share one."""
        from components.model.share import read_share

        services = [one.name for one in CATALOGUE.values() if any(data.disk == RECORDINGS for data in one.data)]
        nodes = [node.key for name in services for node in self.plan.nodes_with(name)]
        return nodes[:1] if read_share(self.deployment.settings) else nodes

    def describe_again(self) -> str:
        """Return the command that goes on."""
        asked = f" --at '{self.at}'" if self.wanted.moment else ""
        return f"./webitel restore{self.given} --from {self.wanted.url}{asked} --recovery {self.wanted.recovery}"

    def describe_live(self) -> str:
        """Return the command that ends the quiet."""
        return f"./webitel restore{self.given} --go-live"

    def find_leader(self, found: Mapping[str, Any], keys: list[str], access: Access) -> tuple[str, str]:
        """Return the node that leads the database, or that did when this restore was cut off, and its stage then."""
        from cli.nodes import elsewhere
        from cloud_init.node.backups.marks import BEYOND, STOPPED

        for key, one in found.items():
            if one["leads"]:
                return key, ""
        for key, one in found.items():
            mark = one["begun"]
            if mark["stage"] not in (STOPPED, *BEYOND):
                continue
            if (mark["source"], mark["at"]) != (self.other.name, self.at):
                elsewhere.forget(access, keys)
                what = f"from {mark['source']} " if mark["source"] else ""
                raise Failure(f"another restore {what}to {mark['at']} was begun and has not ended: give its command again first")
            return key, mark["stage"]
        elsewhere.forget(access, keys)
        raise Failure(f"no node leads the database. Next: ./webitel status{self.given}")

    def check(self, found: Mapping[str, Any], leader: str) -> None:
        """Refuse what cannot be, before anything changes."""
        from cli.nodes.backups import show_time
        from cli.nodes.restoring import measure_room

        one = found[leader]
        if one["version"] != one["own_version"]:
            raise Failure(
                f"{self.other.name} has PostgreSQL {one['version']}, and {self.stack} {one['own_version']}: a backup is restored "
                "into the same version only. Use the commit of this project that made the other one"
            )
        if self.wanted.moment:
            seconds = self.wanted.moment.timestamp()
            if not one["earliest"] <= seconds <= one["latest"]:
                raise Failure(
                    f"--at {show_time(seconds)}: {self.other.name} has nothing of that time; it can be from "
                    f"{show_time(one['earliest'])} to {show_time(one['latest'])}; without --at it is all that there is"
                )
        wanted = measure_room(one["size"])
        if one["free"] < wanted:
            raise Failure(
                f"the database takes {wanted / 2**30:.1f} GiB beside the one that is here, and {leader} has "
                f"{one['free'] / 2**30:.1f} GiB free: raise webitel:disk_sizes and run ./webitel up{self.given}"
            )
        for key, that in found.items():
            if that["files"] and that["files_free"] < that["files_size"] + FILES_LEFT_BYTES:
                raise Failure(
                    f"recordings take {that['files_size'] / 2**30:.1f} GiB, and {key} has {that['files_free'] / 2**30:.1f} GiB "
                    f"free, of which new ones need 1: raise webitel:disk_sizes and run ./webitel up{self.given}"
                )

    def ask(self, found: Mapping[str, Any], leader: str) -> None:
        """Say what comes and what goes, and ask twice; once more where there is data to lose."""
        from cli.nodes.backups import show_time

        one = found[leader]
        files = max((that["files"] for that in found.values()), default=0)
        size = max((that["files_size"] for that in found.values()), default=0)
        own_files = sum(that["own_files"] for that in found.values())
        age = (time.time() - one["latest"]) / 3600
        until = self.at if self.wanted.moment else f"its end, about {show_time(one['latest'])}"
        out.print(f"From {self.other.name}: the database to {until}, {one['size'] / 2**20:.0f} MiB;")
        out.print(f"  {files} recordings and other files, {size / 2**30:.1f} GiB; the newest of it is {age:.1f} hours old.")
        out.print(
            f"What {self.stack} has is replaced: its database of {one['own_size'] / 2**20:.0f} MiB with {one['own_calls']} calls,"
            f" log-ins and settings. Its {own_files} files stay beside those that come."
        )
        out.print(
            "It comes up quiet: no trunk, dialler, bot, mailbox or store of other companies is spoken to, and nobody can call,"
        )
        out.print(f"  until {self.describe_live()}")
        holds = bool(one["own_calls"] or own_files)
        if self.wanted.yes:
            if holds and not self.wanted.discard:
                raise Failure(f"{self.stack} holds data, nothing was changed: confirm with --yes --discard")
            return
        if not is_terminal():
            raise Failure("this would replace the database; confirm with --yes" + " --discard" * holds)
        typer.confirm(f"Replace the data of {self.stack}?", abort=True)
        if typer.prompt("Type the deployment's name") != self.stack:
            raise Failure("That is another name: nothing was changed.")
        if holds and typer.prompt(f"{self.stack} holds data of its own. Type: discard") != "discard":
            raise Failure("Nothing was changed.")


def go_live(stack: str, *, yes: bool) -> None:
    """End the quiet: start what speaks to the outside. Safe to give again."""
    from cli.nodes import elsewhere
    from cli.nodes.backups import open_database
    from cli.nodes.restoring import find_silent, refuse_silent
    from cloud_init.node import quiet

    access, _ = open_database(stack)
    given = "" if stack == DEFAULT_STACK else f" {stack}"
    refuse_silent(find_silent(access), given)
    found = {key: one for key, one in elsewhere.ask_quiet(access).items() if one}
    if not found:
        out.print(f"{stack} is not quiet: nothing to do. Next: ./webitel status{given}")
        return
    made = next(iter(found.values()))
    if any(one["stage"] == quiet.BEGUN for one in found.values()):
        raise Failure(f"the restore from {made['source']} has not ended: give its command again, or ./webitel status{given}")
    if any(one["stage"] == quiet.PLACED for one in found.values()):
        out.print(f"Not all recordings have come from {made['source']}: the restore's command, given again, brings them.")
    out.print(f"{stack} has the trunks, queues, bots and mailboxes of {made['source']}.")
    out.print("From now on it calls people and answers them. Make sure that the other one does not run, or is not to.")
    if not yes:
        if not is_terminal():
            raise Failure("this would call and answer people; confirm with --yes")
        typer.confirm(f"Have {stack} go live?", abort=True)
    for key, said in elsewhere.run(access, list(access.nodes), "go-live").items():
        for line in said.splitlines():
            progress(f"{key}: {line}")
    out.print(f"{stack} is live. Next: ./webitel status{given}")
