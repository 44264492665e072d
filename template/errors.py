"""What is said, in one line, when something cannot be done."""


class TemplateError(Exception):
    """It cannot be done; the message says why, and what to do."""
