"""The `app` command."""


def main() -> None: ...
