"""The templates of this folder, compiled once a checkout."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypedDict
from zlib import crc32

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined, Template
from jinja2.bccache import Bucket

from cloud_init.context import FILES, address_placeholder

HERE = Path(__file__).parent


class Options(TypedDict):
    """Jinja2's options."""

    undefined: type[StrictUndefined]
    keep_trailing_newline: bool
    trim_blocks: bool
    lstrip_blocks: bool
    autoescape: bool
    auto_reload: bool
    optimized: bool


OPTIONS: Options = {
    # A missing value fails the composer and names the variable.
    "undefined": StrictUndefined,
    "keep_trailing_newline": True,
    "trim_blocks": True,
    "lstrip_blocks": True,
    "autoescape": False,
    "auto_reload": False,
    # Else what our filter makes of a constant would be compiled in, and stay when the filter changes.
    "optimized": False,
}


class Compiled(FileSystemBytecodeCache):
    """Templates as Jinja2 has compiled them, where Python keeps modules: to compile them all takes half a second in each run."""

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep one, as Python would: not at all where that is switched off, or the checkout cannot be written."""
        if not sys.dont_write_bytecode:
            with suppress(OSError):
                Path(self.directory).mkdir(exist_ok=True)
                super().dump_bytecode(bucket)


@cache
def template_environment(compiled: Path = HERE / "__pycache__") -> Environment:
    """Make Jinja2 with our options and filter."""
    # Compiled code has the options in it, and its key only the template.
    cached = Compiled(str(compiled), f"template-{crc32(repr(OPTIONS).encode())}-%s.cache")
    environment = Environment(loader=FileSystemLoader([FILES, HERE]), bytecode_cache=cached, **OPTIONS)
    environment.filters["placeholder"] = address_placeholder
    return environment


@cache
def load_template(name: str) -> Template:
    """Load a template of this folder, once."""
    return template_environment().get_template(name)


@cache
def has_template(name: str) -> bool:
    """Return whether this folder has a template."""
    return (HERE / name).exists()
