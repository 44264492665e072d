"""A look at revisions that nobody asked about: what they lose, block or break without saying so.

Autogenerate marks what it was allowed to do: `# DESTRUCTIVE: user.full_name ...`. Whoever writes a
revision by hand does likewise, or is told where, by `python -m alembic_online.lint`.
"""

from alembic_online.lint.looking import Finding, look

__all__ = ["Finding", "look"]
