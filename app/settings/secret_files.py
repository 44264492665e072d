"""Secrets that stand in files: DATABASE_URL_FILE names one with what DATABASE_URL would be."""

import os
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource


class SecretFileError(Exception):
    """A file of a secret cannot be read; the message is a line that says which."""


class SecretFiles(PydanticBaseSettingsSource):
    """A source of settings, for the secret ones of them."""

    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields
        found = {name: self.get_field_value(field, name)[0] for name, field in fields.items()}
        return {name: value for name, value in found.items() if value}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the content without white space around it, or None; raise `SecretFileError`."""
        variable = f"{field_name.upper()}_FILE"
        path = os.environ.get(variable)
        if not path or not _is_secret(field.annotation):
            return None, field_name, False
        try:
            return Path(path).read_text("utf-8", "replace").strip(), field_name, False
        except OSError as error:
            raise SecretFileError(f"{variable}: cannot read {path}: {error.strerror}") from None


def _is_secret(annotation: Any) -> bool:
    """Tell whether it is `SecretStr`, also within an optional or an annotated type."""
    return annotation is SecretStr or any(map(_is_secret, get_args(annotation)))
