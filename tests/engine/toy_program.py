"""The toy project's `__main__.py`: one resource for each entry of `wanted.json`."""

import json
from pathlib import Path
from typing import Any

import pulumi


class Toy(pulumi.CustomResource):
    password: pulumi.Output[str]
    token: pulumi.Output[str]
    length: pulumi.Output[int]

    def __init__(self, type: str, name: str, inputs: dict[str, Any]) -> None:
        if "password" in inputs:
            inputs["password"] = pulumi.Output.secret(inputs["password"])
        super().__init__(f"toy:index:{type}", name, {"token": None, "length": None, "password": None, **inputs})


for name, inputs in json.loads(Path("wanted.json").read_text()).items():
    toy = Toy(inputs.pop("type", "Note"), name, inputs)
    pulumi.export(f"{name}-length", toy.length)
    pulumi.export(f"{name}-password", toy.password)
