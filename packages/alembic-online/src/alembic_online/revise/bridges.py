"""How bridges are written into a revision."""

from collections.abc import Iterator

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext

from alembic_online.upgrade.bridges import (
    BridgeColumnsOp,
    BridgeTableOp,
    DropColumnBridgeOp,
    DropTableBridgeOp,
    RequireFilledOp,
)


@renderers.dispatch_for(RequireFilledOp)
def _render_require(_: AutogenContext, op: RequireFilledOp) -> str:
    names = map(repr, (op.table_name, op.column_name))
    return _call("require_filled", *names, repr(op.source), *_schema(op.schema))


@renderers.dispatch_for(BridgeColumnsOp)
def _render_columns(_: AutogenContext, op: BridgeColumnsOp) -> str:
    bridge = op.bridge
    options = {"using": bridge.using, "back": bridge.back, "default": bridge.default}
    given = [f"{name}={value!r}" for name, value in options.items() if value is not None]
    required = ["required=True"] if bridge.required else []
    names = map(repr, (op.table_name, bridge.old, bridge.new))
    return _call("bridge_columns", *names, *given, *required, *_schema(op.schema))


@renderers.dispatch_for(DropColumnBridgeOp)
def _render_drop_columns(_: AutogenContext, op: DropColumnBridgeOp) -> str:
    names = map(repr, (op.table_name, op.column_name))
    return _call("drop_column_bridge", *names, *_schema(op.schema))


@renderers.dispatch_for(BridgeTableOp)
def _render_table(_: AutogenContext, op: BridgeTableOp) -> str:
    return _call("bridge_table", repr(op.old), repr(op.table_name), *_schema(op.schema))


@renderers.dispatch_for(DropTableBridgeOp)
def _render_drop_table(_: AutogenContext, op: DropTableBridgeOp) -> str:
    return _call("drop_table_bridge", repr(op.table_name), *_schema(op.schema))


def _call(name: str, *arguments: str) -> str:
    return f"op.{name}({', '.join(arguments)})"


def _schema(schema: str | None) -> Iterator[str]:
    if schema:
        yield f"schema={schema!r}"
