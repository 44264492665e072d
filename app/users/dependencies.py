"""What requests are told about accounts."""

from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request


async def get_deletion_grace(request: Request) -> timedelta:
    """Return for how long an account that its owner deletes can be taken back."""
    grace: timedelta = request.app.state.deletion_grace
    return grace


DeletionGraceDep = Annotated[timedelta, Depends(get_deletion_grace)]
