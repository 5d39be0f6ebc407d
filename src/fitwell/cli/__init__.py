"""The command line: arguments in, exit code out."""

from fitwell.cli.app import main

__all__ = ["main"]
