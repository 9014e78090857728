"""XCP-ng: by name and tags, as a name may be that of several machines. An id is read as it is."""

from __future__ import annotations

from collections.abc import Mapping

from components.clouds.adoption import Values, Way
from components.clouds.xen.interface import list_machines


def find_machine(inputs: Values, answer: Values) -> list[str]:
    """Return the ids of machines of a name that wear the same tags."""
    tags = set(inputs.get("tags") or ())
    ours = {id: one for id, one in answer.items() if tags and tags <= set(one.get("tags") or ())}
    return [id for id, one in ours.items() if one["name_label"] == inputs["nameLabel"]]


WAYS: Mapping[str, Way] = {"xenorchestra:index/vm:Vm": Way(find_machine, ask=list_machines)}
"""By type, for all that the adapter makes."""
