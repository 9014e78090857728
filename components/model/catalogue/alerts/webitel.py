"""Alert rules of the vendor's services."""

from __future__ import annotations

from collections.abc import Mapping

from components.model.catalogue.alert import MINUTE, Alert, C, W, down, warning

ALERTS: Mapping[str, tuple[Alert, ...]] = {
    "webitel-app": (down("webitel-app", C, "Nobody logs in, and calls are not routed: accounts and licences come from it."),),
    "webitel-api": (down("webitel-api", C, "The web applications do not work."),),
    "storage": (
        down("storage", C, "Recordings are not kept, and prompts and files do not play."),
        warning(
            "RecordingsNotBackedUp",
            'webitel_machine_warning{check="recordings\' backup"} == 1',
            10 * MINUTE,
            "New recordings are not copied to the bucket: were their disk lost now, they would be too.",
        ),
    ),
    "engine": (down("engine", C, "Agents' desktops get no calls and no events."),),
    "flow_manager": (down("flow_manager", C, "Calls on this node follow no flow: they are hung up."),),
    "call_center": (down("call_center", C, "Callers wait in queues, and no agent gets them."),),
    "messages-srv": (down("messages-srv", W, "Chats stand still; calls go on."),),
    "messages-bot": (down("messages-bot", W, "No messages come in from messengers; calls go on."),),
    "cases": (down("cases", W, "Cases are away; calls go on."),),
    "logger": (down("logger", W, "Changes by administrators are not recorded; calls go on."),),
    "webitel-uac": (down("webitel-uac", C, "Trunks that need a registration take no calls."),),
}
