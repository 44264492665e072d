"""What of passkeys is deleted when it has served its time."""

from typing import Final

from sqlalchemy import func
from sqlmodel import col

from app.auth.purge import Expired
from app.passkeys.models import PasskeyChallenge

EXPIRED: Final = (Expired(PasskeyChallenge, col(PasskeyChallenge.expires_at) < func.now()),)
