"""A machine with scripts in place of apt and dpkg that behave as those of Debian do."""

from __future__ import annotations

from pathlib import Path

DPKG_QUERY = """#!/bin/sh
for package; do :; done
[ -e "$WORLD/installed/$package" ] && printf installed
"""
APT_CACHE = """#!/bin/sh
word='Installationskandidat: '
[ "$LC_ALL" = C.UTF-8 ] && word='Candidate: '
if [ -e "$WORLD/known/$2" ]; then echo "  $word 1.0"; else echo "  $word(none)"; fi
"""
APT_GET = """#!/bin/sh
for verb; do case $verb in update|install|indextargets) break ;; esac; done
if [ "$verb" = indextargets ]; then cat "$WORLD/targets"; exit 0; fi
echo "$@" | sed 's/.*Timeout=[0-9]* //; s/^-q //' >>"$WORLD/calls"
if [ -s "$WORLD/$verb.fails" ]; then
    said=$(head -n 1 "$WORLD/$verb.fails")
    sed -i 1d "$WORLD/$verb.fails"
    echo "$said" >&2
    case $said in W:*) exit 0 ;; esac
    exit 100
fi
if [ "$verb" = update ]; then
    cp "$WORLD/mirror/"* "$WORLD/known/" 2>/dev/null
    cat "$WORLD/targets.read" >>"$WORLD/targets" 2>/dev/null
    added='http://mirror.example/debian/|bookworm-backports|main|Debian Backports'
    grep -qs backports "$WORLD/sources/"* && echo "$added" >>"$WORLD/targets"
    exit 0
fi
for package; do
    touch "$WORLD/installed/$package"
    [ -e "$WORLD/brings/$package" ] && . "$WORLD/brings/$package"
done
exit 0
"""
BUSY = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 812 (apt-get)"
CUT = "W: Failed to fetch http://mirror.example/debian/dists/bookworm/InRelease  Could not connect to mirror.example:80"
GONE = "E: Failed to fetch http://mirror.example/debian/pool/g/go.deb  404  Not Found [IP: 192.0.2.1 80]"


class World:
    """What a machine and its mirror have; every call of apt-get that changes something is noted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("installed", "known", "mirror", "sources", "brings", "bin"):
            (folder / name).mkdir(parents=True)
        (folder / "targets").write_text("")
        for name, text in (("dpkg-query", DPKG_QUERY), ("apt-cache", APT_CACHE), ("apt-get", APT_GET)):
            program = folder / "bin" / name
            program.write_text(text)
            program.chmod(0o755)

    def has(self, place: str, *names: str) -> None:
        """Put packages into `installed`, `known` (the lists of this machine) or `mirror`."""
        for name in names:
            (self.folder / place / name).touch()

    def fail(self, verb: str, *said: str) -> None:
        """The next calls of that verb fail with these words."""
        (self.folder / f"{verb}.fails").write_text("".join(f"{line}\n" for line in said))

    def brings(self, package: str, path: str, text: str) -> None:
        """The installation of the package makes that program."""
        (self.folder / "content").write_text(text)
        (self.folder / "brings" / package).write_text(f'install -m 755 "$WORLD/content" "$WORLD/{path}"\n')

    @property
    def calls(self) -> list[str]:
        """What apt-get was told, from its verb on."""
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []
