"""What has happened, in the words of whom it happened to."""

from collections.abc import Mapping
from typing import Any, Final

_DONE: Final = {
    "log_in": "Signed in",
    "sign_in": "Signed in",
    "complete_login": "Signed in with a second factor",
    "sign_in_with_code": "Signed in with a second factor",
    "sign_in_with_passkey": "Signed in with a passkey",
    "log_out": "Signed out",
    "sign_out": "Signed out",
    "sign_up": "Account created",
    "create_user": "Account created by an administrator",
    "invite_user": "Account created by an administrator",
    "update_me": "Name changed",
    "change_name": "Name changed",
    "update_user": "Account changed by an administrator",
    "activate_user": "Account activated by an administrator",
    "deactivate_user": "Account deactivated by an administrator",
    "promote_user": "Made an administrator",
    "demote_user": "No longer an administrator",
    "delete_me": "Account deleted",
    "delete_account": "Account deleted",
    "delete_user": "Account deleted by an administrator",
    "change_password": "Password changed",
    "reset_password": "Password set with the link of a mail",
    "set_password": "Password set with the link of a mail",
    "request_password_reset": "Link for a new password requested",
    "mail_password_link": "Link for a new password sent by an administrator",
    "confirm_email": "Address confirmed",
    "request_email_verification": "Mail to confirm the address requested",
    "request_email_change": "Another address requested",
    "end_session": "A device signed out",
    "end_other_sessions": "All other devices signed out",
    "end_user_sessions": "Signed out everywhere by an administrator",
    "start_totp": "Began to set up an app for codes",
    "confirm_totp": "App for codes added",
    "remove_totp": "App for codes removed",
    "make_recovery_codes": "New recovery codes made",
    "create_passkey": "Passkey added",
    "add_passkey": "Passkey added",
    "update_passkey": "Passkey renamed",
    "remove_passkey": "Passkey removed",
    "request_reset": "Reset of second factors requested by an administrator",
    "confirm_reset": "All second factors removed",
    "export_me": "All data exported",
    "export_account": "All data exported",
    "create_role": "Role created",
    "update_role": "Role changed",
    "delete_role": "Role deleted",
    "assign_role": "Role given",
    "withdraw_role": "Role taken away",
    "retry_mail": "Mail tried again",
}
_REFUSED: Final = {
    "invalid_credentials": "Wrong password",
    "incorrect_password": "Wrong password",
    "second_factor_required": "Password right, second factor asked",
    "invalid_code": "Wrong code",
    "incorrect_code": "Wrong code",
    "passkey_refused": "Passkey refused",
    "permission_required": "Tried what needs a permission",
    "superuser_required": "Tried what only administrators may do",
}


def describe_event(kind: str, outcome: str, details: Mapping[str, Any]) -> str:
    """Return what happened: as the API and the pages name it, where there is no better word."""
    if outcome != "done":
        return _REFUSED.get(outcome, outcome.replace("_", " ").capitalize())
    if "is_active" in details:
        return _DONE["activate_user" if details["is_active"] else "deactivate_user"]
    if "is_superuser" in details:
        return _DONE["promote_user" if details["is_superuser"] else "demote_user"]
    return _DONE.get(kind.rpartition("-")[2], kind)
