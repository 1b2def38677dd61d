#!/bin/sh
# Installs what the tests talk to and PyPI does not have: Debian's mosquitto, PostgreSQL, InfluxDB and
# VictoriaMetrics. Done when we may (root, or sudo without a password); otherwise says so, and the tests
# that need them are skipped with their reason.
set -eu

PATH=$PATH:/usr/sbin:/usr/local/sbin
missing=""
command -v mosquitto >/dev/null 2>&1 || missing="$missing mosquitto"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
command -v influxd >/dev/null 2>&1 || missing="$missing influxdb"
command -v victoria-metrics >/dev/null 2>&1 || missing="$missing victoria-metrics"
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "peers: not a Debian system; tests that need$missing are skipped"
    exit 0
fi
if [ "$(id -u)" -eq 0 ]; then
    run=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    run="sudo -n"
else
    echo "peers: may not install$missing; tests that need it are skipped (to have them: apt-get install$missing)"
    exit 0
fi

echo "peers: installing$missing from Debian"
export DEBIAN_FRONTEND=noninteractive
# Tests start brokers and servers of their own: Debian's must not start as services.
case "$missing" in *postgresql*)
    $run mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo "create_main_cluster = false" | $run tee /etc/postgresql-common/createcluster.conf >/dev/null
esac
log=$(mktemp)
if ! { $run apt-get update -qq && $run env RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $missing; } \
    >"$log" 2>&1; then
    cat "$log"
    echo "peers: could not install$missing; tests that need it are skipped"
fi
rm -f "$log"
