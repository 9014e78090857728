"""Property values: the engine's wire format (protobuf Struct) to plain Python and back."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal

from google.protobuf import struct_pb2

Properties = dict[str, Any]
Path = tuple[str | int, ...]

# pulumi/sdk/go/common/resource: the key that makes an object more than a map, and its values.
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
_RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e"
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
# One text for each type a value may have (sdk/go/common/resource/plugin/rpc.go).
_UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWN_TEXTS = {
    _UNKNOWN_TEXT,
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "030794c1-ac77-496b-92df-f27374a8bd58",
    "e48ece36-62e2-4504-bad9-02848725956a",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
}
_EXACT_INTEGERS = 2**53  # numbers travel as IEEE doubles
_SHORTEST_TEXT = 6  # characters; a shorter secret equals too many ordinary texts to be recognised by its value


class Unknown(Enum):
    """Type of `UNKNOWN`: a value that only the update will know (previews)."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final[Literal[Unknown.UNKNOWN]] = Unknown.UNKNOWN


@dataclass(frozen=True)
class Secret:
    """An output value that the engine has to encrypt in the state and to show as `[secret]`."""

    value: Any = field(repr=False)


def secret(value: Any) -> Secret:
    """Mark an output value, or a value anywhere inside one, as secret."""
    return value if isinstance(value, Secret) else Secret(value)


@dataclass
class Marks:
    """What is known to be secret in one call: the paths, and the values found there."""

    paths: set[Path] = field(default_factory=set)
    values: list[Any] = field(default_factory=list)

    def texts(self) -> set[str]:
        """Return the secret texts that are long enough to be recognised where they turn up again."""
        return {value for value in self.values if isinstance(value, str) and len(value) >= _SHORTEST_TEXT}


def decode(properties: struct_pb2.Struct, marks: Marks) -> Properties:
    """Return the properties as plain values: secrets unwrapped (and noted in `marks`), whole numbers as int,
    unknown values as `UNKNOWN`, references to resources as their id."""
    return {key: _decode(value, (key,), marks) for key, value in properties.fields.items()}


def _decode(value: struct_pb2.Value, path: Path, marks: Marks) -> Any:
    match value.WhichOneof("kind"):
        case "bool_value":
            return value.bool_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return UNKNOWN if value.string_value in _UNKNOWN_TEXTS else value.string_value
        case "list_value":
            return [_decode(item, (*path, i), marks) for i, item in enumerate(value.list_value.values)]
        case "struct_value":
            return _decode_object(value.struct_value.fields, path, marks)
    return None


def _decode_object(fields: Mapping[str, struct_pb2.Value], path: Path, marks: Marks) -> Any:
    signature = fields[_SIGNATURE].string_value if _SIGNATURE in fields else None
    if signature in (_SECRET, _OUTPUT):
        plain = _decode(fields["value"], path, marks) if "value" in fields else UNKNOWN
        if signature == _SECRET or ("secret" in fields and fields["secret"].bool_value):
            marks.paths.add(path)
            marks.values.append(plain)
        return plain
    if signature == _RESOURCE:
        # A component has no id; a custom resource that is not created yet has an empty or unknown one.
        if "id" not in fields:
            return fields["urn"].string_value
        return _decode(fields["id"], path, marks) or UNKNOWN
    return {key: _decode(value, (*path, key), marks) for key, value in fields.items()}


def encode(properties: Mapping[str, Any], marks: Marks) -> struct_pb2.Struct:
    """Return the wire form. Secret is what is wrapped in `Secret`, stands at a marked path or equals a marked text.

    Raises TypeError for what cannot travel, naming the path.
    """
    texts = marks.texts()
    return struct_pb2.Struct(fields={key: _encode(value, (key,), marks.paths, texts) for key, value in properties.items()})


def _encode(value: Any, path: Path, paths: Collection[Path], texts: Collection[str]) -> struct_pb2.Value:
    if isinstance(value, Secret) or path in paths or (isinstance(value, str) and value in texts):
        plain = _encode(reveal(value), path, (), ())
        signature = struct_pb2.Value(string_value=_SECRET)
        return struct_pb2.Value(struct_value=struct_pb2.Struct(fields={_SIGNATURE: signature, "value": plain}))
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if value is UNKNOWN:
        return struct_pb2.Value(string_value=_UNKNOWN_TEXT)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, (int, float)):
        if isinstance(value, int) and abs(value) > _EXACT_INTEGERS:
            raise TypeError(f"{_show(path)}: {value} is too large for the engine's numbers; make it a string")
        return struct_pb2.Value(number_value=value)
    if isinstance(value, (list, tuple)):
        items = [_encode(item, (*path, i), paths, texts) for i, item in enumerate(value)]
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=items))
    if isinstance(value, Mapping):
        fields = {key: _encode(item, (*path, key), paths, texts) for key, item in value.items()}
        return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=fields))
    raise TypeError(f"{_show(path)}: a {type(value).__name__} is not a property value")


def reveal(value: Any) -> Any:
    """Return the value without any `Secret` around it or inside it."""
    if isinstance(value, Secret):
        return reveal(value.value)
    if isinstance(value, Mapping):
        return {key: reveal(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [reveal(item) for item in value]
    return value


def find_secrets(value: Any) -> list[Any]:
    """Return the plain values of everything wrapped in `Secret` inside `value`."""
    if isinstance(value, Secret):
        return [reveal(value)]
    if isinstance(value, Mapping):
        return [found for item in value.values() for found in find_secrets(item)]
    if isinstance(value, (list, tuple)):
        return [found for item in value for found in find_secrets(item)]
    return []


def _show(path: Path) -> str:
    return ".".join(map(str, path))
