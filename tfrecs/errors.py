"""The one exception for input a user can correct; command lines turn it into exit code 2."""


class InputError(ValueError):
    """Bad input: the message names the file, line, field or flag and echoes the value.

    Example:
        >>> raise InputError("--epochs: expected an integer of at least 1, got 0")
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: --epochs: expected an integer of at least 1, got 0
    """


def nearest(word, choices):
    """A hint naming the valid choice nearest to ``word``, or all of them when none is near.

    Args:
        word: the unknown name, as the user gave it.
        choices: iterable of valid names.

    Returns:
        A sentence fragment for the end of an error message.

    Example:
        >>> nearest("atrec", ["atrank", "attrec"])
        "did you mean 'attrec'?"
    """
    import difflib

    choices = [str(choice) for choice in choices]
    close = difflib.get_close_matches(str(word), choices, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return "choose from " + ", ".join(sorted(choices))
