#!/bin/bash
# Makes the peers ready once: setup.sh [python] [kafka] [delta-kernel] [registry] [iceberg-rest] [s3] [gcs] [azure] [postgres] [spark] [promtool] [helm]
# (default: all). What it downloads and builds lies under ${MILLRACE_PEERS:-~/.cache/millrace-peers}, by the hash of what it was made from, so a
# change makes it anew.
# Prints one line a peer: "<peer> <folder>".
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${MILLRACE_PEERS:-$HOME/.cache/millrace-peers}
mkdir -p "$cache"

# folder_of NAME FILE…: where the peer made from these files lies
folder_of() { local name=$1; shift; echo "$cache/$name-$(cat "$@" | sha256sum | cut -c1-12)"; }

# make_python FOLDER REQUIREMENTS
make_python() {
  python3 -m venv "$1"
  "$1/bin/pip" install --quiet --disable-pip-version-check -r "$2"
}

# make_java FOLDER POM SOURCE…
make_java() {
  local folder=$1 pom=$2; shift 2
  mkdir -p "$folder/classes"
  mvn -q -B -f "$pom" dependency:copy-dependencies -DoutputDirectory="$folder/lib"
  [ $# -eq 0 ] || javac -nowarn -cp "$folder/lib/*" -d "$folder/classes" "$@"
}

# make_registry FOLDER POM: the unpacked server
make_registry() {
  # Without a place of their own the marks of what is unpacked would lie beside the POM, and outlive the folder.
  mvn -q -B -f "$2" dependency:unpack-dependencies -DoutputDirectory="$1" -DmarkersDirectory="$1/markers"
  test -e "$1/quarkus-run.jar"
}

[ $# -gt 0 ] || set -- python kafka delta-kernel registry iceberg-rest s3 gcs azure postgres spark promtool helm
for peer; do
  case $peer in
    python | helm) files=("$here/$peer/requirements.txt") ;;
    kafka | delta-kernel | spark) files=("$here/$peer/pom.xml" "$here/$peer"/*.java "$here"/java/*.java) ;;
    registry | iceberg-rest) files=("$here/$peer/pom.xml") ;;
    promtool) files=("$here/promtool/version") ;;
    s3 | gcs | azure) files=("$here/$peer/version") ;;
    postgres)
      # Debian keeps its programs out of PATH.
      initdb=$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -1) || true
      [ -n "$initdb" ] || { echo 'PostgreSQL is not installed (Debian: apt-get install postgresql)' >&2; exit 1; }
      echo "postgres $(dirname "$(readlink -f "$initdb")")"
      continue ;;
    *) echo "no such peer: $peer (python, kafka, delta-kernel, registry, iceberg-rest, s3, gcs, azure, postgres, spark, promtool, helm)" >&2; exit 2 ;;
  esac
  folder=$(folder_of "$peer" "${files[@]}")
  (
    flock 9
    if [ ! -e "$folder/.done" ]; then
      rm -rf "$folder"
      case $peer in
        helm) make_python "$folder" "${files[@]}" ;;
        python | registry) "make_$peer" "$folder" "${files[@]}" ;;
        gcs) GOBIN=$folder go install "github.com/fsouza/fake-gcs-server@$(cat "${files[0]}")" ;;
        azure) npm install --prefix "$folder" --no-audit --no-fund --no-save --ignore-scripts "azurite@$(cat "${files[0]}")" ;;
        # Rules are checked without service discovery, which is most of what there would be to build.
        promtool) GOBIN=$folder go install -tags remove_all_sd "github.com/prometheus/prometheus/cmd/promtool@$(cat "${files[0]}")" ;;
        s3) GOBIN=$folder go install "github.com/versity/versitygw/cmd/versitygw@$(cat "${files[0]}")" ;;
        *) make_java "$folder" "${files[@]}" ;;
      esac >&2
      touch "$folder/.done"
    fi
  ) 9>"$folder.lock"
  echo "$peer $folder"
done
