# The commands of this project. `make demo` and `make test` need nothing but Debian, Python 3.11 and make.

VENV := .venv/bin

.PHONY: help demo test unit interop conformance proof check fix bench docs lock wheel clean

help:  ## Say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo:  ## From sample sites to accepted reports, on this machine alone, checked (about a minute)
	@tools/bootstrap.sh demo
	@$(VENV)/ven demo

test:  ## All tests: those without peers on all cores, then those with real peers on loopback
	@tools/bootstrap.sh dev
	@tools/peers.sh
	@VEN_RECORD=.conformance/unit.json $(VENV)/python -m pytest -m "not peer and not interop" -n auto -q
	@VEN_RECORD=.conformance/peer.json $(VENV)/python -m pytest -m "peer and not interop"

unit:  ## The tests of code alone, without peers, databases and commands (under 30 s)
	@tools/bootstrap.sh dev
	@$(VENV)/python -m pytest -m "not peer and not disk and not interop" -n auto -q

interop:  ## Against two VTNs of others (OpenLEADR, the crate openadr) and InfluxDB 2, built the first time (a quarter of an hour)
	@tools/bootstrap.sh dev
	@tools/peers.sh
	@$(VENV)/python -m tools.openleadr
	@$(VENV)/python -m tools.openadr_crate
	@$(VENV)/python -m tools.influxdb
	@VEN_RECORD=.conformance/{vtn}.json $(VENV)/python -m pytest tests/interop -m interop -n 4 -q

proof:  ## The full counts (hours; can be interrupted and run again), written to docs/proofs.md
	@tools/bootstrap.sh dev
	@tools/peers.sh
	@$(VENV)/python tools/proof.py

conformance:  ## Write docs/conformance.md from what `make test` and `make interop` came to
	@tools/bootstrap.sh dev
	@$(VENV)/python -m tools.conformance

check:  ## Lint, format, types, walls, generated pages
	@tools/bootstrap.sh dev
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/lint-imports
	$(VENV)/python tools/reference.py --check
	$(VENV)/python tools/messages_lint.py
	$(VENV)/python tools/language_lint.py
	$(VENV)/python tools/clock_lint.py
	$(VENV)/python tools/foreign_lint.py

fix:  ## Format, mend what the linter can, and write the generated pages again
	@tools/bootstrap.sh dev
	$(VENV)/ruff check --fix .
	$(VENV)/ruff format .
	$(VENV)/python tools/reference.py
	$(VENV)/python tools/messages_lint.py --write
	$(VENV)/python tools/language_lint.py --write

bench:  ## Ratios against named peers and limits, measured in one run
	@tools/bootstrap.sh dev
	@status=0; for script in benchmarks/[a-z]*.py; do \
	    echo "== $$script"; $(VENV)/python $$script || status=1; done; exit $$status

lock:  ## Pin the requirements anew
	@tools/bootstrap.sh dev
	@tools/lock.sh

wheel:  ## Build the wheel into dist/
	@tools/bootstrap.sh dev
	@$(VENV)/python -m build --wheel --no-isolation

clean:  ## Remove what the commands above made
	rm -rf .venv .proof dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
