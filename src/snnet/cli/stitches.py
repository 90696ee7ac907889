# Tested in tests/cli/test_measuring.py.
"""The option that says which stitches a command is about."""

from typing import Annotated

from cyclopts import Parameter

Stitches = Annotated[
    str,
    Parameter(
        help="all; anchors; frontier (the best by measured top-1 and MACs); or numbers and ids, separated by spaces "
        "or ';', such as '0 17 0:0-5,1:5-12'."
    ),
]
