"""Arguments to configuration to workflow; errors to one line and an exit code."""

from bolus.cli.app import app, main

__all__ = ["app", "main"]
