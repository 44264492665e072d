"""What clients send and receive about second factors."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import Field, Secret

from app.auth.schemas import MailToken
from app.web.schemas import Input, Output

_NOT_SHOWN = {"format": "password", "writeOnly": True}

Code = Annotated[
    Secret[Annotated[str, Field(max_length=64)]],
    Field(json_schema_extra=_NOT_SHOWN, description="Blanks and hyphens do not count"),
]
Challenge = Annotated[
    Secret[Annotated[str, Field(max_length=64)]], Field(json_schema_extra=_NOT_SHOWN)
]


class SecondFactorAnswer(Input):
    challenge: Challenge
    code: Code
    """Six digits from the app, or a recovery code."""


class TotpConfirmation(Input):
    code: Code


class TotpEnrolment(Output):
    secret: str
    """What is typed into an app that cannot scan the picture."""
    uri: str
    qr_code: str
    """The URI as a picture, in SVG."""
    expires_at: datetime
    """Until when a code must show that the app has the secret."""


class SecondFactorReset(Input):
    token: MailToken


class RecoveryCodes(Output):
    recovery_codes: Sequence[str]
    """Shown this once. Each stands in for a second factor, and works once."""


class SecondFactorsPublic(Output):
    methods: Sequence[str]
    """What a login can be completed with; empty where the password is enough."""
    recovery_codes_left: int
    is_required: bool
    """Whether the service lets this account do nothing else without one."""
