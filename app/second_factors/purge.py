"""What of second factors is deleted when it has served its time."""

from datetime import timedelta
from typing import Final

from sqlalchemy import func
from sqlmodel import col

from app.auth.purge import Expired
from app.second_factors.models import FailedCodes, LoginChallenge, Totp

FAILURES_KEPT = timedelta(days=30)
EXPIRED: Final = (
    Expired(LoginChallenge, col(LoginChallenge.expires_at) < func.now()),
    Expired(Totp, col(Totp.expires_at) < func.now()),
    Expired(FailedCodes, col(FailedCodes.failed_at) < func.now() - FAILURES_KEPT),
)
