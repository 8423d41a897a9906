#!/bin/bash
# The first step of compose.yaml: certificates, passwords, keys and the bucket, into volumes. What is there stays, but for
# the certificates, which are made anew.
set -euo pipefail
umask 077
credentials=/run/millrace
random() { openssl rand -hex 20; }
[ -s "$credentials/postgres-password" ] || random >"$credentials/postgres-password"
[ -s "$credentials/catalog-token" ] || random >"$credentials/catalog-token"
if [ ! -s "$credentials/s3-root" ]; then
  key=$(random)
  printf 'export ROOT_ACCESS_KEY=millrace ROOT_SECRET_KEY=%s\n' "$key" >"$credentials/s3-root"
  printf '[default]\naws_access_key_id = millrace\naws_secret_access_key = %s\n' "$key" >"$credentials/aws-credentials"
fi
for service in metadata-discovery iceberg-rest-catalog catalog-publisher maintenance-scheduler; do
  printf 'postgres://millrace:%s@postgres:5432/millrace?schema=%s\n' "$(cat "$credentials/postgres-password")" "${service//-/_}" \
    >"$credentials/database-url-$service"
done

# The authority's own key stays in a volume that no service has.
sh /deploy/certificates.sh /authority
for file in /authority/*.pem /authority/*.key; do
  [ "$file" = /authority/authority.key ] || install -o 1000 -g 1000 -m 400 "$file" "$credentials/"
done

# The services run as user 1000 of the image; PostgreSQL reads its password before it gives up being root.
chmod 755 "$credentials"
chown 1000:1000 "$credentials"/{database-url-*,aws-credentials,catalog-token}
mkdir -p /objects/metadata /objects/buckets/lake
chmod 777 /traces
