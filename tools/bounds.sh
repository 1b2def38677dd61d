#!/bin/sh
# Tests without peers against the oldest or the newest packages that pyproject.toml allows.
#
#   tools/bounds.sh lowest    direct dependencies at their lower bounds
#   tools/bounds.sh newest    everything at its newest release
#
# Each has its own virtual environment (.venv-lowest, .venv-newest), made with the uv of .venv. The tools that only
# develop venclient (linters, test runner, peers in Python) stay as requirements/dev.txt pins them in `lowest`.
# More arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."

kind=${1:-}
case $kind in
lowest | newest) shift ;;
*)
    echo "usage: tools/bounds.sh lowest|newest [pytest arguments]" >&2
    exit 2
    ;;
esac

uv=.venv/bin/uv
env=.venv-$kind
pins=$env/requirements.txt
tools=$env/tools.txt
log() { printf 'bounds (%s): %s\n' "$kind" "$*"; }

[ -x "$env/bin/python" ] || $uv venv --quiet --python .venv/bin/python "$env"

log "resolving"
common="--quiet --no-header --no-annotate --python $env/bin/python --extra prepare --extra parquet --extra postgresql"
case $kind in
lowest)
    # First the product alone: a tool must not lift a bound. Then the tools around what that gave.
    $uv pip compile pyproject.toml $common --resolution lowest-direct -o "$pins"
    $uv pip compile --quiet --no-header --no-annotate --python "$env/bin/python" requirements/build.in --group dev -c "$pins" -o "$tools"
    ;;
newest)
    $uv pip compile pyproject.toml $common --upgrade -o "$pins"
    $uv pip compile pyproject.toml requirements/build.in $common --upgrade --group dev -o "$tools"
    ;;
esac

log "installing"
$uv pip sync --quiet --python "$env/bin/python" "$pins" "$tools"
$uv pip install --quiet --python "$env/bin/python" --no-deps --editable .
$uv pip list --quiet --python "$env/bin/python" | grep -iE '^(alembic|apsw|cryptography|httpx2|msgspec|paho-mqtt|pymodbus|pyyaml|rich|sqlalchemy|starlette|typer|uvicorn|websockets|zeroconf|tzdata|pandas|pyarrow|psycopg) ' || true

log "testing"
# The reference pages show help as the pinned versions print it; `make check` compares them.
"$env/bin/python" -m pytest -m "not peer and not interop" --ignore=tests/interop -n auto -q -p no:cacheprovider \
    --deselect tests/docs/test_pages.py::test_generated_pages_are_current "$@"
