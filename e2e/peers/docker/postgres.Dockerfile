# What compose.yaml asks of the official image, from Debian's package: POSTGRES_USER, POSTGRES_DB, POSTGRES_PASSWORD_FILE.
FROM node:24-bookworm-slim
RUN apt-get update -q && apt-get install -q -y --no-install-recommends postgresql openssl >/dev/null && rm -rf /var/lib/apt/lists/* \
  && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/ 2>/dev/null; command -v initdb
COPY postgres-entrypoint.sh /usr/local/bin/
ENTRYPOINT ["postgres-entrypoint.sh"]
STOPSIGNAL SIGINT
