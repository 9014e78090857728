"""Emergency numbers that nobody here could call: worth a warning, and not a fault of a service."""

from ..ask.view import View, query
from ..report import MachineRow
from ..system import Unhealthy


def emergency_calls(numbers: list[str], view: View) -> MachineRow:
    """Find numbers to which no route leads, the way Flow Manager searches (`SearchToDestination` of its store).

    Only domains with phone accounts are checked. Where the database does not answer, that is all there is to say.
    """
    listed = ", ".join(f"('{number}')" for number in numbers)
    try:
        missing = query(
            view,
            (
                "select string_agg(missing, '; ') from ("
                "select n.number || ' in ' || string_agg(d.name, ', ' order by d.name) as missing "
                f"from directory.wbt_domain d cross join (values {listed}) n (number) "
                "where exists (select from sip_subscriber s where s.dc = d.dc) and not exists ("
                "select from flow.acr_routing_outbound_call r "
                "where r.domain_id = d.dc and not r.disabled and n.number ~ r.pattern) "
                "group by n.number order by n.number) m"
            ),
        )
    except Unhealthy as error:
        return {"name": "emergency calls", "healthy": True, "warning": True, "why": f"not known: {error}"}
    if missing:
        return {"name": "emergency calls", "healthy": True, "warning": True, "why": f"no outbound route for {missing}"}
    return {"name": "emergency calls", "healthy": True, "why": "a route for each"}
