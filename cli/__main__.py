"""`python -m octavo.cli`."""

from . import main

main(prog_name="octavo")
