"""Proxmox VE: by the names that the plan gives everything. A machine is read by its host and number, files by where they are.

Sources: the import sections of pulumi_proxmoxve 8.6.0.
"""

from __future__ import annotations

from collections.abc import Mapping

from components.clouds.adoption import REPEATED, Way, made_of

WAYS: Mapping[str, Way] = {
    "proxmoxve:download/file:File": REPEATED,
    "proxmoxve:index/fileLegacy:FileLegacy": REPEATED,
    "proxmoxve:index/vmLegacy:VmLegacy": made_of("{nodeName}/{vmId}", imported=True),
}
"""By type, for all that the adapter makes; files are written over (`overwrite`, `overwriteUnmanaged`)."""
