#!/bin/sh
# Makes a private authority and, signed by it, a certificate and key for each service and for the command line.
#
#   deploy/certificates.sh FOLDER [NAME[,NAME...]...]
#
# Each argument is one certificate: its first name is also that of its files, and it is good for all of its names and for
# this machine (localhost, 127.0.0.1, ::1). Without arguments: the seven services by the names that they have in
# deploy/compose.yaml, and "command-line". On Kubernetes say the services' names there too, for instance
#   deploy/certificates.sh certificates segment-reader,millrace-segment-reader.lake.svc
#
# FOLDER then holds authority.pem (tlsAuthorityFile), NAME.pem (tlsCertificateFile) and NAME.key (tlsKeyFile). Keep
# authority.key away from the services: who has it can make a certificate that all of them believe. Run again, it keeps
# the authority and makes new certificates, which services that run take up by themselves.
# DAYS (90) is how long certificates are valid, the authority ten years.
set -eu
[ $# -ge 1 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 2; }
command -v openssl >/dev/null || { echo "certificates.sh needs openssl" >&2; exit 1; }
folder=$1
shift
[ $# -gt 0 ] || set -- metadata-discovery segment-reader parquet-converter iceberg-rest-catalog delta-committer \
  catalog-publisher maintenance-scheduler command-line
umask 077
mkdir -p "$folder"
new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }

if [ ! -f "$folder/authority.key" ]; then
  new_key "$folder/authority.key"
  openssl req -x509 -new -key "$folder/authority.key" -out "$folder/authority.pem" -days 3650 -subj "/CN=Millrace" \
    -addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign"
  chmod 644 "$folder/authority.pem"
fi

for names in "$@"; do
  name=${names%%,*}
  work="$folder/.$name.$$"
  new_key "$work.key"
  {
    echo "basicConstraints=critical,CA:FALSE"
    echo "keyUsage=critical,digitalSignature"
    echo "extendedKeyUsage=serverAuth,clientAuth"
    echo "subjectAltName=DNS:$(echo "$names" | sed 's/,/,DNS:/g'),DNS:localhost,IP:127.0.0.1,IP:::1"
  } >"$work.extensions"
  openssl req -new -key "$work.key" -out "$work.request" -subj "/CN=$name"
  openssl x509 -req -in "$work.request" -CA "$folder/authority.pem" -CAkey "$folder/authority.key" \
    -out "$work.pem" -days "${DAYS:-90}" -set_serial "0x$(openssl rand -hex 16)" -extfile "$work.extensions" 2>/dev/null
  chmod 644 "$work.pem"
  mv "$work.key" "$folder/$name.key"
  mv "$work.pem" "$folder/$name.pem"
  rm "$work.extensions" "$work.request"
  echo "$folder/$name.pem: ${names}, until $(openssl x509 -in "$folder/$name.pem" -noout -enddate | cut -d= -f2)"
done
