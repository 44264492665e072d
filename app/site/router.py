"""All pages of this folder, in the order in which their routes are tried."""

from typing import Final

from app.site.account import router as account
from app.site.admin_events import router as admin_events
from app.site.devices import router as devices
from app.site.events import router as events
from app.site.languages import router as languages
from app.site.operation import router as operation
from app.site.passkeys import router as passkeys
from app.site.public import router as public
from app.site.rights import router as rights
from app.site.roles import router as roles
from app.site.second_factors import router as second_factors
from app.site.user_changes import router as user_changes
from app.site.user_roles import router as user_roles
from app.site.users import router as users

ROUTERS: Final = (
    *(public, languages, account, second_factors, devices),
    passkeys,
    events,
    *(rights, users, user_changes, operation),
    *(roles, user_roles),
    admin_events,
)
