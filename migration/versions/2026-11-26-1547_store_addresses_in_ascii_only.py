"""Store addresses in ASCII only

Revision ID: 1eef6ac131f2
Revises: 1ddaa8554cad
Create Date: 2026-11-26 15:47:01.834303+00:00

International domains were stored in Unicode, and looked for in ASCII: their owners could not sign
in. Rows are mended first, then a CHECK keeps them so. A row that the running release adds between
the two, or that has no ASCII form, ends the upgrade; run it again once that is mended.
"""

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError
from email_validator import EmailNotValidError, validate_email
from sqlalchemy.exc import IntegrityError

revision = "1eef6ac131f2"
down_revision = "1ddaa8554cad"
branch_labels = None
depends_on = None

_IS_ASCII = "ltrim(lower(email), 'abcdefghijklmnopqrstuvwxyz0123456789@.!#$%&''*+-/=?^_`{|}~') = ''"
_KEYS = {"user": "id", "email_token": "token_hash"}


def upgrade() -> None:
    if not op.get_context().as_sql:  # SQL alone cannot mend a row: there, the CHECK finds it
        with op.get_context().autocommit_block():  # each row is locked for an instant only
            for table, key in _KEYS.items():
                _mend(sa.table(table, sa.column(key), sa.column("email")), key)
    for table in _KEYS:
        with op.batch_alter_table(table) as batch:
            batch.create_check_constraint(op.f(f"ck_{table}_email_is_ascii"), _IS_ASCII)


def downgrade() -> None:
    # DESTRUCTIVE: user.email stays in ASCII, which the earlier release can sign in with.
    # DESTRUCTIVE: email_token.email likewise.
    for table in reversed(_KEYS):
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(op.f(f"ck_{table}_email_is_ascii"), type_="check")


def _mend(table: sa.TableClause, key: str) -> None:
    rows = sa.select(table).where(sa.text(f"NOT ({_IS_ASCII})"))
    wrong = [
        f"{table.name}.{key} {name}: {reason}"
        for name, email in op.get_bind().execute(rows).all()
        if (reason := _mend_row(table, table.c[key] == name, email))
    ]
    if wrong:
        reasons = "\n".join(wrong)
        raise CommandError(f"{reasons}\nCorrect or delete these rows, and run the command again.")


def _mend_row(table: sa.TableClause, is_row: sa.ColumnElement[bool], email: str) -> str | None:
    """Put the ASCII form in place of the address, or return why that cannot be done."""
    ascii_email = _find_ascii(email)
    if ascii_email is None:
        return "the address has no ASCII form"
    mended = sa.update(table).where(is_row, table.c.email == email)
    try:
        op.get_bind().execute(mended.values(email=ascii_email))
    except IntegrityError:
        return "another row has the same address, in ASCII"
    return None


def _find_ascii(email: str) -> str | None:
    try:
        address = validate_email(
            email, check_deliverability=False, allow_smtputf8=False, globally_deliverable=False
        )
    except EmailNotValidError:
        return None
    return f"{address.local_part}@{address.ascii_domain}".lower()
