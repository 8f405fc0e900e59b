#!/bin/sh
# Makes an authority and a server certificate for compose.tls.yml, for development only: anybody who can read the
# directory can pass for a server. It needs openssl.
#
#   make-certificates.sh [DIRECTORY [ADDRESS...]]     docker/tls, for 127.0.0.1, by default
set -eu

directory=${1:-$(dirname "$0")/tls}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- 127.0.0.1

names=DNS:localhost
for address in "$@"; do
  names=$names,IP:$address
done

mkdir -p "$directory"
cd "$directory"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj '/CN=Leasehold development authority' \
  -addext keyUsage=critical,keyCertSign -keyout ca.key -out ca.crt 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=redis' -keyout server.key -out server.csr 2>/dev/null
printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$names" >server.ext
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -extfile server.ext -out server.crt 2>/dev/null
rm server.csr server.ext ca.srl
# Nothing more is to be signed with it.
rm ca.key
# The servers in the containers run as a user that is nobody here.
chmod 644 ca.crt server.crt server.key
