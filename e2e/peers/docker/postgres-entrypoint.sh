#!/bin/bash
set -euo pipefail
data=/var/lib/postgresql/data
if [ ! -s "$data/PG_VERSION" ]; then
  install -d -o postgres -g postgres -m 700 "$data"
  install -o postgres -m 400 "$POSTGRES_PASSWORD_FILE" /tmp/password
  setpriv --reuid postgres --regid postgres --clear-groups initdb -U "$POSTGRES_USER" -A scram-sha-256 --pwfile=/tmp/password -E UTF8 -D "$data" >/dev/null
  rm /tmp/password
  echo 'host all all all scram-sha-256' >>"$data/pg_hba.conf"
  echo "create database \"$POSTGRES_DB\"" |
    setpriv --reuid postgres --regid postgres --clear-groups postgres --single -j -D "$data" template1 >/dev/null
fi
mkdir -p /run/postgresql && chown postgres /run/postgresql
exec setpriv --reuid postgres --regid postgres --clear-groups postgres -D "$data" -c 'listen_addresses=*' "$@"
