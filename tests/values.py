"""Valid values for what a schema requires, so that a new field has one without being told."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel

_TEXTS = {
    "uuid": str(UUID(int=0)),
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "new@example.com",
    "uri": "https://example.com",
}
Schema = dict[str, Any]


def fill_in(model: type[BaseModel], **given: Any) -> dict[str, Any]:
    """Return what the model requires, and what is given, as JSON would have it."""
    schema = model.model_json_schema()
    return make_object(schema, schema.get("$defs", {}), required_only=True) | given


def make_object(
    schema: Schema, definitions: dict[str, Schema], *, required_only: bool = False
) -> dict[str, Any]:
    """Return the required properties, or else the first, as a change needs one to be any."""
    properties: dict[str, Schema] = schema.get("properties", {})
    names = schema.get("required") or ([] if required_only else [*properties][:1])
    return {name: make_value(properties[name], definitions) for name in names}


def make_value(schema: Schema, definitions: dict[str, Schema]) -> Any:
    """Return a value of the type, as short and small as may be."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return make_value(schema[choice][0], definitions)
    if "const" in schema or "enum" in schema:
        return schema.get("const") or schema["enum"][0]
    return _of_type(schema, definitions)


def _of_type(schema: Schema, definitions: dict[str, Schema]) -> Any:
    match schema.get("type"):
        case "string":
            text = _TEXTS.get(schema.get("format", ""), "New")
            return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]
        case "integer" | "number":
            return max(schema.get("minimum", 1), schema.get("exclusiveMinimum", 0) + 1)
        case "boolean":
            return True
        case "array":
            return [make_value(schema["items"], definitions)] * max(1, schema.get("minItems", 1))
        case _:
            return make_object(schema, definitions)
