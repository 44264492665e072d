from sqlalchemy import URL, create_engine, text


def test_running_server_is_postgresql_18(empty_database: URL) -> None:
    engine = create_engine(empty_database)
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW server_version_num")) >= "180000"
    engine.dispose()
