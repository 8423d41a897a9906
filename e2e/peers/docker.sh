#!/bin/bash
# A Docker engine and the images that deploy/compose.yaml names, for e2e/containers.test.ts.
#   docker.sh start    an engine: the one that answers already, else one of our own (root and Debian needed)
#   docker.sh images   the images that are not there: pulled into an engine of yours, made from Debian packages in our own
#   docker.sh stop     ends the engine that start began
# All of it lies under ${MILLRACE_PEERS:-~/.cache/millrace-peers}/docker and is kept, the engine's images too. start and
# images print "export …" lines for the shell: eval "$(e2e/peers/docker.sh start)"; MILLRACE_ENGINE_STARTED says that it was
# start that began it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
home=${MILLRACE_PEERS:-$HOME/.cache/millrace-peers}/docker
socket=unix://$home/docker.sock
compose_version=v2.40.3
mkdir -p "$home"

answers() { DOCKER_HOST=${1-} timeout 10 docker info >/dev/null 2>&1; }

install_packages() {
  local packages=()
  command -v dockerd >/dev/null || packages+=(docker.io)
  command -v iptables >/dev/null || packages+=(iptables)
  command -v debootstrap >/dev/null || packages+=(debootstrap)
  [ ${#packages[@]} -eq 0 ] && return
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -q && apt-get install -q -y --no-install-recommends "${packages[@]}"; } >&2
}

start() {
  if answers "${DOCKER_HOST-}"; then return; fi
  if ! answers "$socket"; then
    [ "$(id -u)" = 0 ] || { echo 'no Docker engine answers, and only root can start one' >&2; return 1; }
    install_packages
    rm -f "$home/dockerd.pid"
    # Away from whoever started it, so that an interrupt of the tests does not end it before the containers.
    setsid dockerd --host "$socket" --data-root "$home/data" --exec-root "$home/exec" --pidfile "$home/dockerd.pid" \
      >"$home/dockerd.log" 2>&1 </dev/null 9>&- &
    echo 'export MILLRACE_ENGINE_STARTED=1'
    for _ in $(seq 60); do
      if answers "$socket"; then break; fi
      sleep 0.5
    done
    answers "$socket" || { echo "dockerd does not answer: $home/dockerd.log" >&2; tail -n 5 "$home/dockerd.log" >&2; return 1; }
  fi
  echo "export DOCKER_HOST=$socket"
}

stop() {
  [ -s "$home/dockerd.pid" ] || return 0
  local pid; pid=$(cat "$home/dockerd.pid")
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 60); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.5
  done
  echo "dockerd ($pid) does not end" >&2
  return 1
}

# The compose plugin, where the client has none: compiled from its Go module, since Debian has version 1 alone.
compose() {
  docker compose version >/dev/null 2>&1 && return
  local plugin=$home/config/cli-plugins/docker-compose
  if [ ! -x "$plugin" ] || [ "$(cat "$plugin.version" 2>/dev/null)" != "$compose_version" ]; then
    local work; work=$(mktemp -d)
    mkdir -p "$(dirname "$plugin")"
    (
      cd "$work"
      printf 'module compose\n\ngo 1.24\n' >go.mod
      go get "github.com/docker/compose/v2/cmd@$compose_version" >/dev/null 2>&1
      CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$plugin" github.com/docker/compose/v2/cmd
    ) >&2
    echo "$compose_version" >"$plugin.version"
    rm -rf "$work"
  fi
  echo "export DOCKER_CONFIG=$home/config"
}

has() { docker image inspect "$1" >/dev/null 2>&1; }

# The Node.js of the official image is the newest 24; ours is the one that npm ci has brought.
make_base() {
  local tree; tree=$(mktemp -d)
  debootstrap --variant=minbase bookworm "$tree" http://deb.debian.org/debian >/dev/null
  rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/*
  install "$(readlink -f "$root"/node_modules/node-linux-*/bin/node)" "$tree/usr/local/bin/node"
  mkdir -p "$tree/usr/local/lib/node_modules/npm" "$tree/packed"
  (cd "$tree/packed" && npm pack --silent npm@11 >/dev/null)
  tar xzf "$tree"/packed/npm-*.tgz -C "$tree/usr/local/lib/node_modules/npm" --strip-components 1
  rm -r "$tree/packed"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$tree/usr/local/bin/npm"
  # As in the official image.
  chroot "$tree" useradd -m -u 1000 node
  # A network whose proxy has an authority of its own is no other in a build.
  cp /etc/ssl/certs/ca-certificates.crt "$tree/usr/local/share/host-authorities.pem"
  tar -C "$tree" -c . | docker import --change 'ENV NODE_EXTRA_CA_CERTS=/usr/local/share/host-authorities.pem' \
    --change 'CMD ["node"]' - node:24-bookworm-slim >/dev/null
  rm -rf "$tree"
}

# make_image TAG DOCKERFILE FILE…: when there is none, or one of other files
make_image() {
  local tag=$1 dockerfile=$2 context hash; shift 2
  hash=$(cat "$here/docker/$dockerfile" "$@" | sha256sum | cut -c1-12)
  [ "$(docker image inspect -f '{{index .Config.Labels "millrace.made-from"}}' "$tag" 2>/dev/null)" != "$hash" ] || return 0
  context=$(mktemp -d)
  cp "$here/docker/$dockerfile" "$context/Dockerfile"
  for file; do cp "$file" "$context/"; done
  docker build -q --label "millrace.made-from=$hash" -t "$tag" "$context" >/dev/null
  rm -rf "$context"
}

images() {
  compose
  [ -z "${DOCKER_CONFIG-}" ] && [ -d "$home/config" ] && export DOCKER_CONFIG=$home/config
  # Their names in an engine of yours stand for the official images.
  if [ "${DOCKER_HOST-}" != "$socket" ]; then
    for image in $(grep -oP '^\s+image: \K(postgres|versity|otel)\S+' "$root/deploy/compose.yaml" | sort -u); do
      has "$image" || docker pull -q "$image" >&2
    done
    return
  fi
  {
    has node:24-bookworm-slim || make_base
    make_image postgres:17-bookworm postgres.Dockerfile "$here/docker/postgres-entrypoint.sh"
    make_image versity/versitygw:v1.8.0 s3.Dockerfile "$("$here/setup.sh" s3 | cut -d' ' -f2-)/versitygw"
    make_image otel/opentelemetry-collector:0.165.0 collector.Dockerfile "$here/docker/otlp-receiver.cjs"
  } >&2
}

case ${1-} in
  start | stop) "$1" ;;
  images) (flock 9; images) 9>"$home/images.lock" ;;
  *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 2 ;;
esac
