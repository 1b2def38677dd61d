#!/bin/sh
# Pins every package with its hashes and no addresses, for all platforms, from pyproject.toml.
set -eu
cd "$(dirname "$0")/.."
common="--quiet --extra prepare --generate-hashes --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url"
.venv/bin/uv pip compile pyproject.toml requirements/build.in $common --upgrade -o requirements/demo.txt
.venv/bin/uv pip compile pyproject.toml requirements/build.in $common --upgrade --extra postgresql --group dev -c requirements/demo.txt -o requirements/dev.txt
