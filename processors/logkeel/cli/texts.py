"""Texts of models and strangers, as a terminal may show them. Pure."""


def readable(text: str) -> str:
    """The text with its control characters written out, but for line ends and tabs.

    So no value moves the cursor and shows a person something else than what they approve.
    """
    return "".join(each if each in "\n\t" or each.isprintable() else ascii(each)[1:-1] for each in text)


def one_line(text: str) -> str:
    """The same without line ends and tabs."""
    return " ".join(readable(text).split())
