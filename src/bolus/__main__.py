"""`python -m bolus` is the command `bolus`."""

from bolus.cli import main

main()
