"""Functions of rr and path: Record-Route written, Route followed."""

from __future__ import annotations

from .context import Context, function
from .message import Message
from .patterns import compiled
from .uri import parse_address, parse_uri


@function("record_route")
def record_route(context: Context, parameters: str | None) -> int:
    """Requests of the dialog come back through us; the lines are written when the way out is known."""
    message = context.message
    message.routing += "record" + ("" if context.core.config.number("rr", "enable_double_rr") else "single")
    tag = message.tag("from")
    if context.core.config.number("rr", "append_fromtag") and tag:
        message.edits.record_parameters = f";ftag={tag}" + message.edits.record_parameters
    message.edits.record_parameters += parameters or ""
    return 1


@function("add_rr_param")
def add_rr_param(context: Context, text: str) -> int:
    """A parameter of our Record-Route, before or after that is written."""
    context.message.edits.record_parameters += text
    return 1


@function("check_route_param")
def check_route_param(context: Context, pattern: str) -> int:
    """Looks through the parameters of our own Route."""
    return 1 if context.route_parameters and compiled(pattern).search(context.route_parameters) else -1


@function("is_direction")
def is_direction(context: Context, which: str) -> int:
    """`downstream`: from who began the dialog; needs the From tag in Record-Route."""
    tag = parse_uri(f"sip:x;{context.route_parameters}")
    began = tag.parameters.get("ftag") if tag else None
    if began is None:
        return -1
    is_down = began == context.message.tag("from")
    return 1 if is_down == (which.lower() == "downstream") else -1


def routes_of(message: Message) -> list[tuple[int, int, str]]:
    """Every Route that is left: header's place, place in the list, URI."""
    from .uri import split_list

    found = []
    for place in message.places("route"):
        if place not in message.edits.removed:
            for number, value in enumerate(split_list(message.current(place))):
                found.append((place, number, parse_address(value)[1]))
    return found


def drop_route(message: Message, place: int) -> None:
    """Takes the first Route of a header off."""
    from .uri import split_list

    values = split_list(message.current(place))[1:]
    if values:
        message.set_header(place, ", ".join(values))
    else:
        message.edits.removed.add(place)


@function("loose_route")
def loose_route(context: Context) -> int:
    """Takes our own Routes off and goes where the next one says, whoever's it is; -1 without any Route."""
    core, message = context.core, context.message
    routes = routes_of(message)
    preloaded = not message.tag("to")
    if not routes:
        return -1
    target = parse_uri(message.target)
    if target and not preloaded and core.is_own(target.host, target.port or 5060):
        return after_strict(context, routes)
    place, _, text = routes[0]
    uri = parse_uri(text)
    if uri is None:
        return -1
    mine = False
    if core.is_own(uri.host, uri.port or 5060):
        mine = True
        context.route_parameters = ";" + ";".join(f"{key}={said}" if said else key for key, said in uri.parameters.items())
        drop_route(message, place)
        routes = routes_of(message)
        doubled = core.config.number("rr", "enable_double_rr") and uri.parameters.get("r2") == "on"
        if routes and doubled:
            second = parse_uri(routes[0][2])
            if second:
                found = core.transport.find(second.transport, second.host, second.port or 5060)
                if found:
                    message.socket = found
                else:
                    core.say(f"WARNING:rr:after_loose: no socket found to match 2nd RR [{second.host}:{second.port}]")
            drop_route(message, routes[0][0])
            routes = routes_of(message)
            context_socket = False
        else:
            context_socket = True
        if context_socket and not preloaded:
            message.socket = message.here.listener
        if not routes:
            core.dialogs.in_dialog(context)
            return -1 if preloaded else 1
    _, _, following = routes[0]
    message.destination = following
    if mine or not preloaded:
        core.dialogs.in_dialog(context)
    return 1


def after_strict(context: Context, routes: list[tuple[int, int, str]]) -> int:
    """The request's URI is our own: without ours of two Routes the first left is the next hop, and the last the target."""
    core, message = context.core, context.message
    first, target = parse_uri(routes[0][2]), parse_uri(message.target)
    if (
        first
        and core.config.number("rr", "enable_double_rr")
        and first.parameters.get("r2") == "on"
        and core.is_own(first.host, first.port or 5060)
    ):
        message.socket = core.transport.find(first.transport, first.host, first.port or 5060) or message.socket
        drop_route(message, routes[0][0])
        routes = routes_of(message)
        first = parse_uri(routes[0][2]) if routes else None
    elif target:
        message.socket = core.transport.find(target.transport, target.host, target.port or 5060) or message.socket
    if first is None:
        return -1
    if "lr" not in first.parameters:
        message.new_uri = routes[0][2]
        drop_route(message, routes[0][0])
    else:
        message.destination, message.new_uri = routes[0][2], routes[-1][2]
        drop_last_route(message, routes[-1][0])
    last = parse_uri(message.new_uri)
    said = last.parameters if last else {}
    context.route_parameters = "".join(f";{key}={value}" if value else f";{key}" for key, value in said.items())
    core.dialogs.in_dialog(context)
    return 1


def drop_last_route(message: Message, place: int) -> None:
    """Takes the last Route of a header off."""
    from .uri import split_list

    values = split_list(message.current(place))[:-1]
    if values:
        message.set_header(place, ", ".join(values))
    else:
        message.edits.removed.add(place)
