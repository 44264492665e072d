"""The gate as this feature knows it."""

from typing import Annotated

from fastapi import Depends, Request

from app.second_factors.gate import SecondFactors


async def get_second_factors(request: Request) -> SecondFactors:
    gate: SecondFactors = request.app.state.gate
    return gate


SecondFactorsDep = Annotated[SecondFactors, Depends(get_second_factors)]
