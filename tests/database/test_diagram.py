from app.database.diagram import draw_schema
from app.database.tables import load_models
from tests.servers import ROOT


def test_architecture_shows_the_current_tables() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert f"```mermaid\n{draw_schema(load_models())}\n```\n" in page, (
        "put what `app schema` prints into the diagram of docs/architecture.md, from erDiagram on"
    )
