FROM node:24-bookworm-slim
COPY otlp-receiver.cjs /otlp-receiver.cjs
ENTRYPOINT ["node", "/otlp-receiver.cjs"]
