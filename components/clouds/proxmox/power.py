"""Proxmox VE: `status` of a machine; started by its own interface (API viewer, nodes/NODE/qemu/VMID/status/start)."""
