"""What has happened, in the words of whom it happened to."""

from collections.abc import Mapping
from typing import Any, Final

from app.web.languages import N_

_DONE: Final = {
    "log_in": N_("Signed in"),
    "sign_in": N_("Signed in"),
    "complete_login": N_("Signed in with a second factor"),
    "sign_in_with_code": N_("Signed in with a second factor"),
    "sign_in_with_passkey": N_("Signed in with a passkey"),
    "log_out": N_("Signed out"),
    "sign_out": N_("Signed out"),
    "sign_up": N_("Account created"),
    "create_user": N_("Account created by an administrator"),
    "invite_user": N_("Account created by an administrator"),
    "update_me": N_("Name or language changed"),
    "change_name": N_("Name changed"),
    "change_language": N_("Language changed"),
    "update_user": N_("Account changed by an administrator"),
    "activate_user": N_("Account activated by an administrator"),
    "deactivate_user": N_("Account deactivated by an administrator"),
    "promote_user": N_("Made an administrator"),
    "demote_user": N_("No longer an administrator"),
    "delete_me": N_("Account deleted"),
    "delete_account": N_("Account deleted"),
    "delete_user": N_("Account deleted by an administrator"),
    "change_password": N_("Password changed"),
    "reset_password": N_("Password set with the link of a mail"),
    "set_password": N_("Password set with the link of a mail"),
    "request_password_reset": N_("Link for a new password requested"),
    "mail_password_link": N_("Link for a new password sent by an administrator"),
    "confirm_email": N_("Address confirmed"),
    "request_email_verification": N_("Mail to confirm the address requested"),
    "request_email_change": N_("Another address requested"),
    "end_session": N_("A device signed out"),
    "end_other_sessions": N_("All other devices signed out"),
    "end_user_sessions": N_("Signed out everywhere by an administrator"),
    "start_totp": N_("Began to set up an app for codes"),
    "confirm_totp": N_("App for codes added"),
    "remove_totp": N_("App for codes removed"),
    "make_recovery_codes": N_("New recovery codes made"),
    "create_passkey": N_("Passkey added"),
    "add_passkey": N_("Passkey added"),
    "update_passkey": N_("Passkey renamed"),
    "remove_passkey": N_("Passkey removed"),
    "request_reset": N_("Reset of second factors requested by an administrator"),
    "confirm_reset": N_("All second factors removed"),
    "export_me": N_("All data exported"),
    "export_account": N_("All data exported"),
    "create_role": N_("Role created"),
    "update_role": N_("Role changed"),
    "delete_role": N_("Role deleted"),
    "assign_role": N_("Role given"),
    "withdraw_role": N_("Role taken away"),
    "retry_mail": N_("Mail tried again"),
}
_REFUSED: Final = {
    "invalid_credentials": N_("Wrong password"),
    "incorrect_password": N_("Wrong password"),
    "second_factor_required": N_("Password right, second factor asked"),
    "invalid_code": N_("Wrong code"),
    "incorrect_code": N_("Wrong code"),
    "passkey_refused": N_("Passkey refused"),
    "permission_required": N_("Tried what needs a permission"),
    "superuser_required": N_("Tried what only administrators may do"),
}


def describe_event(kind: str, outcome: str, details: Mapping[str, Any]) -> str:
    """Return what happened: as the API and the pages name it, where there is no better word.

    It is in English; the page translates it.
    """
    if outcome != "done":
        return _REFUSED.get(outcome, outcome.replace("_", " ").capitalize())
    if "is_active" in details:
        return _DONE["activate_user" if details["is_active"] else "deactivate_user"]
    if "is_superuser" in details:
        return _DONE["promote_user" if details["is_superuser"] else "demote_user"]
    return _DONE.get(kind.rpartition("-")[2], kind)
