#!/bin/sh
# Makes the virtual environment .venv with exactly the packages of a requirements file, and venclient itself.
#
#   tools/bootstrap.sh demo     what `make demo` needs
#   tools/bootstrap.sh dev      that and the tools of `make check test bench`
#
# Needs Python 3.11 or later. Where Debian keeps venv in a separate package (python3-venv), it is installed
# when we may (root, or sudo without a password); otherwise the command to type is printed.
# Nothing is done when .venv already matches the requirements file.
set -eu

kind=$1
here=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
cd "$here"
requirements=requirements/$kind.txt
stamp=.venv/.installed-$kind

say() { printf '%s\n' "bootstrap: $*"; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

find_python() {
    for name in ${PYTHON:-} python3.11 python3 python3.12 python3.13; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

# A venv records the path it was made at: after a move it must be made again.
wanted=$(cat "$requirements" pyproject.toml | cksum)
if [ -x .venv/bin/python ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] &&
    [ "$(cat .venv/.made-at 2>/dev/null)" = "$here" ] && .venv/bin/python -c '' 2>/dev/null; then
    exit 0
fi

python=$(find_python) || {
    say "no Python 3.11 or later found; on Debian 12: apt-get install python3" >&2
    exit 1
}

if [ ! -x .venv/bin/pip ] || [ "$(cat .venv/.made-at 2>/dev/null)" != "$here" ]; then
    say "making .venv with $python"
    rm -rf .venv
    if ! "$python" -m venv .venv >.venv-error 2>&1; then
        rm -rf .venv
        say "this Python cannot make virtual environments yet: installing Debian's python3-venv"
        if ! { as_root apt-get update -qq && as_root apt-get install -y -qq --no-install-recommends python3-venv; } \
            >>.venv-error 2>&1 || ! "$python" -m venv .venv >>.venv-error 2>&1; then
            cat .venv-error >&2
            say "could not; install it yourself: apt-get install python3-venv" >&2
            rm -rf .venv .venv-error
            exit 1
        fi
    fi
    rm -f .venv-error
    printf '%s' "$here" >.venv/.made-at
fi

say "installing the packages of $requirements (pinned, checked by hash)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$requirements"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
printf '%s' "$wanted" >"$stamp"
say "ready"
