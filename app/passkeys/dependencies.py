"""Who we are to browsers."""

from typing import Annotated

from fastapi import Depends

from app.passkeys.ceremonies import RelyingParty
from app.passkeys.factor import Passkeys
from app.second_factors.dependencies import SecondFactorsDep


async def get_relying_party(gate: SecondFactorsDep) -> RelyingParty:
    return next(each.relying_party for each in gate.factors if isinstance(each, Passkeys))


RelyingPartyDep = Annotated[RelyingParty, Depends(get_relying_party)]
