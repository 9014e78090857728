"""How things end: every type names its way in `<cloud>/schema.json`, `deletion`, and one that names none cannot be deleted."""

from __future__ import annotations

from collections.abc import Mapping

DELETIONS: Mapping[str, str] = {
    "gone": "gone at once; refused while another thing uses it (`facts/clouds.md`)",
    "guarded": "likewise, and refused while its own protection is on, which no deletion lifts (`facts/real-clouds.md` P1)",
    "off first": "likewise; shut down before, and it stays off when its deletion then fails (`facts/real-clouds.md` P2)",
    "with all in it": "whatever lies in it goes too, asked for or not (`facts/clouds.md` 3)",
    "by its ends": "undoes what ties its two ends, whichever resource tied them (`facts/real-clouds.md` P2)",
    "where it is": "gone at once; through the provider of another host, where it is not, nothing happens "
    "(dmacvicar/terraform-provider-libvirt v0.8.3: a provider has one connection, that of its `uri`)",
    "plug pulled": "a running guest is ended at once, nothing in it is stopped before; refused when it is gone already "
    "(dmacvicar/terraform-provider-libvirt v0.8.3, `resourceLibvirtDomainDelete`)",
    "once": "likewise, and refused when it is gone already (vmware/terraform-provider-vsphere@b45b5b4, "
    "`resourceVSphereVirtualDiskDelete`)",
    "off first, once": "shut down before, by force after a while, and it stays off when its deletion then fails; refused when it "
    "is gone already (vmware/terraform-provider-vsphere@b45b5b4, `resourceVSphereVirtualMachineDelete`)",
    "let go": "gone; the association that the state knows is ended before, another one forbids it (`facts/edge-aws.md` 3)",
    "blocked": "a running guest is ended at once; refused while its `blockedOperations` name `destroy`, which only an update "
    "takes away, and when it is gone already (`facts/onprem.md` 5.6)",
    "empty first": "gone at once; refused while something lies in it that its provider may not delete (`facts/backups.md` 5.1)",
    "keys first": "gone at once; refused while it has a policy, or a key that its provider may not delete "
    "(`facts/backups.md` 5.1)",
    "lasting": "a network that became its region's default is never deleted (`facts/real-clouds.md` B8)",
}
"""What each word of the data means, and how it is known."""
