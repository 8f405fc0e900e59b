#!/bin/sh
# Makes images without any registry, from what is installed on this machine: programs, and the libraries they load.
#
#   build-local-image.sh redis [IMAGE]                     Redis or Valkey; leasehold-redis:local by default
#   build-local-image.sh worker DIRECTORY [IMAGE]          worker, journal and service in it, as built by cargo;
#                                                          leasehold-worker:local by default
#   build-local-image.sh command PROGRAM [IMAGE]           the command `leasehold`, as built by cargo; leasehold:local by default
set -eu

die() {
  echo "build-local-image.sh: $1" >&2
  exit 1
}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# Copies a program to where it is to be, and each library to where the loader looks for it. What was built for another
# libc does not matter: they all come from this machine.
add() {
  program=$(command -v "$1") || die "$1 is not installed"
  mkdir -p "$root$(dirname "$2")"
  cp -L "$program" "$root$2"
  # A static program has no libraries, which ldd takes for a failure.
  libraries=$(ldd "$program" 2>/dev/null | grep -o '/[^ ]*') || return 0
  for library in $libraries; do
    [ -e "$root$library" ] || { mkdir -p "$root$(dirname "$library")" && cp -L "$library" "$root$library"; }
  done
}

# Lets tar give everything to one user, whoever runs this.
import() {
  image=$1
  owner=$2
  shift 2
  tar -C "$root" --owner="$owner" --group="$owner" --numeric-owner -c . | docker import "$@" - "$image" >/dev/null
  echo "$image"
}

case ${1:-} in
  redis)
    if command -v redis-server >/dev/null; then
      kind=redis
    elif command -v valkey-server >/dev/null; then
      kind=valkey
    else
      die 'neither redis-server nor valkey-server is installed'
    fi
    add $kind-server /usr/local/bin/$kind-server
    add $kind-cli /usr/local/bin/$kind-cli
    add sh /bin/sh
    # What entry.sh calls.
    for tool in cat cut grep mv sed sha256sum sleep timeout; do
      add $tool /bin/$tool
    done
    mkdir -p "$root/data" "$root/tmp"
    # The user that the official images run as.
    import "${2:-leasehold-redis:local}" 999 \
      --change 'USER 999:999' --change 'WORKDIR /data' --change "CMD [\"$kind-server\"]"
    ;;
  worker)
    [ $# -ge 2 ] || die 'where are the programs? worker DIRECTORY [IMAGE]'
    for program in worker journal service; do
      add "$2/$program" /usr/local/bin/$program
    done
    mkdir -p "$root/work" "$root/data"
    import "${3:-leasehold-worker:local}" 10001 \
      --change 'USER 10001:10001' --change 'WORKDIR /work' --change 'CMD ["worker"]' \
      --change 'ENV PATH=/usr/local/bin'
    ;;
  command)
    [ $# -ge 2 ] || die 'where is the command? command PROGRAM [IMAGE]'
    add "$2" /usr/local/bin/leasehold
    # What a debugger reads is most of it.
    strip "$root/usr/local/bin/leasehold"
    mkdir -p "$root/work"
    import "${3:-leasehold:local}" 10001 \
      --change 'USER 10001:10001' --change 'WORKDIR /work' --change 'ENTRYPOINT ["leasehold"]' \
      --change 'ENV PATH=/usr/local/bin'
    ;;
  *) die 'what for? redis [IMAGE], worker DIRECTORY [IMAGE], or command PROGRAM [IMAGE]' ;;
esac
