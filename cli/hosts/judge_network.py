"""Whether a host's network is as the plan wishes."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from cli.hosts.finding import Verdict
from cli.hosts.wish import Wish
from cloud_init.host.facts import Facts, Listener, Network, Nic, Peer, SharedAddress
from components.model.host_limits import DROPPED_SHARE, LEAST_MEGABITS, ROUND_TRIP, WANTED_CONNECTIONS, State

POOR_DRIVERS = ("e1000", "8139cp", "8139too", "ne2k-pci", "pcnet32")
MOST_QUEUES = 4
SELF_EVIDENT = ("sshd", "chronyd")
"""Programs that listen on every host, and go on."""


def judge(wish: Wish, facts: Facts) -> Iterator[Verdict]:
    """Judge the network. What listens on a node that is ours already is ours."""
    if not (network := facts.network):
        return
    yield judge_nic(wish, network.nic, facts.cpu.cores if facts.cpu else 1)
    if network.connections is not None:
        few = network.connections < WANTED_CONNECTIONS
        yield Verdict("connections", "warn" if few else "pass", f"{network.connections}")
    if not (facts.system and facts.system.ours_stack == wish.stack):
        yield from judge_listeners(wish, network)
    for peer in network.peers:
        yield from judge_peer(peer)
    if network.shared:
        yield judge_shared(network.shared, is_ours=bool(facts.system and facts.system.ours_stack == wish.stack))


def judge_nic(wish: Wish, nic: Nic | None, cores: int) -> Verdict:
    """Judge the interface with the private address."""
    if nic is None:
        return Verdict(
            "interface",
            "fail",
            f"no interface has {wish.host.private}",
            remedy="give an interface that address, or write the right webitel:hosts private_address",
        )
    speed = f"{nic.speed} Mbit/s" if nic.speed else "speed unknown"
    told = f"{nic.name} ({nic.driver or 'virtual'}), {speed}, MTU {nic.mtu}, {nic.queues} queues"
    if (nic.speed and nic.speed < LEAST_MEGABITS) or nic.duplex == "half":
        return Verdict("interface", "fail", f"{told}{', half duplex' if nic.duplex == 'half' else ''}")
    if nic.received and nic.dropped / nic.received > DROPPED_SHARE:
        return Verdict("interface", "warn", f"{told}; dropped {nic.dropped} of {nic.received} packets")
    few = wish.carries_calls and not nic.virtual and nic.queues < min(cores, MOST_QUEUES)
    return Verdict("interface", "warn" if nic.driver in POOR_DRIVERS or few else "pass", told)


def judge_listeners(wish: Wish, network: Network) -> Iterator[Verdict]:
    """Find who listens where a service of the plan is to."""
    taken = []
    for port in wish.ports:
        for one in network.listeners:
            if one.protocol == port.protocol and port.first <= one.port <= port.last and is_in_the_way(one, wish):
                taken.append(f"{one.port}/{one.protocol} {one.process or 'unknown program'} (for {port.service})")
    found = list(dict.fromkeys(taken))
    yield Verdict("ports", "fail" if found else "pass", "; ".join(found) or "free")


def is_in_the_way(listener: Listener, wish: Wish) -> bool:
    """Tell whether a socket takes the address that ours are bound to: its own, or every one."""
    address = ip_address(listener.address)
    mapped = getattr(address, "ipv4_mapped", None) or address
    return listener.process not in SELF_EVIDENT and (mapped.is_unspecified or str(mapped) == wish.host.private)


def judge_peer(peer: Peer) -> Iterator[Verdict]:
    """Judge the way to another host."""
    lost = peer.sent - peer.answered
    state: State = "fail" if lost else "pass"
    yield Verdict("loss", state, f"{lost} of {peer.sent} packets to {peer.address} lost" if lost else f"none to {peer.address}")
    if peer.middle is None:
        return
    yield Verdict("round trip", ROUND_TRIP.judge(peer.middle), f"{peer.middle:.2f} ms to {peer.address}")
    whole = "arrives at" if peer.whole_packets else "vanishes on the way to"
    yield Verdict("packet size", "pass" if peer.whole_packets else "fail", f"the largest packet {whole} {peer.address}")


def judge_shared(shared: SharedAddress, *, is_ours: bool) -> Verdict:
    """Judge the address that two nodes have in turn: nobody but them may have it."""
    told = ""
    if ip_address(shared.address) not in ip_network(shared.network):
        told = f"{shared.address} is not in {shared.network}, the network of the private address"
    elif shared.is_here and not is_ours:
        told = f"{shared.address} is fixed on this host"
    elif shared.owner and not shared.node:
        told = f"{shared.owner} answers for {shared.address}"
    if told:
        return Verdict("SIP address", "fail", told)
    has = "has it" if shared.is_here else f"{shared.node} has it" if shared.node else "free"
    return Verdict("SIP address", "pass", f"{shared.address}: {has}")
