"""The command line: `snnet COMMAND`."""

from snnet.cli.app import main

__all__ = ["main"]
