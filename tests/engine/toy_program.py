"""The toy project's `__main__.py`: one resource for each entry of `wanted.json`, `after` those that it names."""

import json
from pathlib import Path
from typing import Any

import pulumi


class Toy(pulumi.CustomResource):
    password: pulumi.Output[str]
    token: pulumi.Output[str]
    length: pulumi.Output[int]

    def __init__(self, type: str, name: str, inputs: dict[str, Any], after: list[pulumi.Resource]) -> None:
        if "password" in inputs:
            inputs["password"] = pulumi.Output.secret(inputs["password"])
        super().__init__(
            f"toy:index:{type}",
            name,
            {"token": None, "length": None, "password": None, **inputs},
            pulumi.ResourceOptions(depends_on=after),
        )


made: dict[str, pulumi.Resource] = {}
for name, inputs in json.loads(Path("wanted.json").read_text()).items():
    after = [made[other] for other in inputs.pop("after", [])]
    made[name] = toy = Toy(inputs.pop("type", "Note"), name, inputs, after)
    pulumi.export(f"{name}-length", toy.length)
    pulumi.export(f"{name}-password", toy.password)
