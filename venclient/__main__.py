"""`python -m venclient` is `ven`."""

from venclient.cli import main

main()
