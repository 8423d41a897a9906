FROM node:24-bookworm-slim
RUN apt-get update -q && apt-get install -q -y --no-install-recommends wget >/dev/null && rm -rf /var/lib/apt/lists/*
COPY versitygw /app/versitygw
ENTRYPOINT ["/app/versitygw"]
