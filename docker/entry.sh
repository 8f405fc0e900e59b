#!/bin/sh
# One node of a cluster for development and tests, from the files in config/: the same script for every container, with
# the official images of Redis and Valkey or a local one. It needs sh, sed, grep, sha256sum, timeout, and the server.
#
#   entry.sh redis       a data node: master, replica, or a member of a quorum
#   entry.sh cluster     a data node of a Redis Cluster
#   entry.sh sentinel    a Sentinel
#   entry.sh create      makes a Redis Cluster of the nodes $NODES, once
#   entry.sh net         nothing; its network is what other containers share
#   entry.sh health      whether this node is of use, for a health check
#   entry.sh master      where the master is, by the Sentinels
#   entry.sh held KEY    1 if this data node has the key, 0 if not
#   entry.sh role        what this data node takes itself for: master or slave
#   entry.sh leave       before this data node stops: a master waits until another one has taken over
#
# NODE (the word it was started with), PORT, ANNOUNCE (the address under which others reach this node), MASTER (host:port of the first master) and SENTINELS
# (host:port of each) come from the compose files, the passwords from there or from the environment around them.
set -eu

config=${CONFIG:-/leasehold/config}
data=${DATA:-/data}
server=$(command -v redis-server || command -v valkey-server || true)
client=$(command -v redis-cli || command -v valkey-cli || true)

# TLS is a directory with certificates, or nothing.
client_tls=${TLS:+--tls --cacert $TLS/ca.crt}

die() {
  echo "entry.sh: $1" >&2
  exit 1
}

# The port, in the clear or for TLS. With tls-replication, replicas and Sentinels speak it, too.
listen() {
  if [ -z "${TLS:-}" ]; then
    echo "port $PORT"
    return
  fi
  echo "port 0"
  echo "tls-port $PORT"
  echo "tls-cert-file $TLS/server.crt"
  echo "tls-key-file $TLS/server.key"
  echo "tls-ca-cert-file $TLS/ca.crt"
  echo "tls-auth-clients no"
  echo "tls-replication yes"
}

# The servers' files take a password as a word; quoting would be lost when a Sentinel rewrites its file.
check_passwords() {
  for name in REDIS_PASSWORD OBSERVER_PASSWORD REPLICA_PASSWORD SENTINEL_PASSWORD ADMIN_PASSWORD; do
    password=
    eval "password=\${$name:-}"
    case $password in
      '') die "$name is not set" ;;
      *[![:graph:]]* | *[\"\'\\]*) die "$name must be without blanks, quotes and backslashes" ;;
    esac
  done
}

# Asks a server at host:port; the password comes from REDISCLI_AUTH, so that no process list shows it.
ask() {
  at=$1
  shift
  # shellcheck disable=SC2086 # several words, or none
  timeout 1 "$client" $client_tls --no-auth-warning -e -h "${at%:*}" -p "${at##*:}" "$@" 2>/dev/null
}

# The first answer is enough: Sentinels that disagree are about to agree.
master() {
  [ -n "${SENTINELS:-}" ] || return 1
  for sentinel in $SENTINELS; do
    answer=$(REDISCLI_AUTH=$REDIS_PASSWORD ask "$sentinel" sentinel get-master-addr-by-name mymaster) || continue
    # shellcheck disable=SC2086 # two lines, two words
    set -- $answer
    [ $# -eq 2 ] || continue
    echo "$1:$2"
    return
  done
  return 1
}

# Comments would be scattered when the server rewrites the file.
without_comments() {
  sed -e 's/^[[:space:]]*//' -e '/^#/d' -e '/^$/d' "$1"
}

# Redis takes the SHA-256 of a password in place of the password, whatever characters that has.
acl() {
  text=$(cat "$config/users.acl")
  for user in LEASEHOLD:$REDIS_PASSWORD OBSERVER:$OBSERVER_PASSWORD REPLICA:$REPLICA_PASSWORD \
    SENTINEL:$SENTINEL_PASSWORD ADMIN:$ADMIN_PASSWORD; do
    hash=$(printf %s "${user#*:}" | sha256sum | cut -d' ' -f1)
    text=$(printf '%s\n' "$text" | sed "s/>${user%%:*}_PASSWORD/#$hash/")
  done
  # A user that this script does not know would have the placeholder for a password.
  case $text in
    *'>'*) die 'users.acl has a password that no variable sets' ;;
  esac
  printf '%s\n' "$text" >"$data/users.acl"
}

# Whom to follow. A master that comes back after its failover would take itself for the master for some ten seconds, and
# grant leases that are lost when the Sentinels demote it; so it asks them first. Nobody to ask: as before the stop.
following() {
  if current=$(master); then
    [ "$current" = "$ANNOUNCE:$PORT" ] || echo "replicaof ${current%:*} ${current##*:}"
  elif [ -e "$data/redis.conf" ]; then
    grep '^replicaof ' "$data/redis.conf" || true
  elif [ -n "${MASTER:-}" ] && [ "$MASTER" != "$ANNOUNCE:$PORT" ]; then
    echo "replicaof ${MASTER%:*} ${MASTER##*:}"
  fi
}

# Written anew at each start, so that changes in config/ and of passwords reach a node that is kept.
redis_conf() {
  following=$(following)
  umask 077
  acl
  {
    without_comments "$config/redis.conf"
    echo "bind * -::*"
    listen
    echo "dir $data"
    echo "aclfile $data/users.acl"
    echo "masteruser replica"
    echo "masterauth $REPLICA_PASSWORD"
    echo "replica-announce-ip $ANNOUNCE"
    echo "replica-announce-port $PORT"
    [ -z "$following" ] || echo "$following"
  } >"$data/redis.conf.new"
  mv "$data/redis.conf.new" "$data/redis.conf"
}

cluster_conf() {
  redis_conf
  {
    echo "cluster-enabled yes"
    echo "cluster-config-file nodes.conf"
    echo "cluster-node-timeout ${DOWN_AFTER:-5000}"
    echo "cluster-announce-ip $ANNOUNCE"
    echo "cluster-announce-port $PORT"
    echo "cluster-announce-bus-port $((PORT + 10000))"
  } >>"$data/redis.conf"
}

# Where nodes are known by names, Sentinels hand out the names: the addresses behind them change.
announced_by_name() {
  case $ANNOUNCE in
    *[!0-9.:]*) echo "sentinel announce-hostnames yes" ;;
  esac
}

# A Sentinel looks for replicas when it meets the master, and then ten seconds later.
await_replicas() {
  tries=0
  until REDISCLI_AUTH=$REDIS_PASSWORD ask "$MASTER" --user leasehold info replication | grep -q '^connected_slaves:2'; do
    tries=$((tries + 1))
    [ "$tries" -lt 20 ] || return 0
    sleep 0.5
  done
}

# Written once: what the Sentinel adds to it, the epoch and the other nodes, must outlive a restart.
sentinel_conf() {
  [ ! -e "$data/sentinel.conf" ] || return 0
  await_replicas
  # One that lost its memory asks the others, for the first master may be a replica by now.
  current=$(master) || current=$MASTER
  umask 077
  {
    without_comments "$config/sentinel.conf" | sed \
      -e "s/^bind .*/bind * -::*/" \
      -e "/^port /d" \
      -e "s/^\(sentinel monitor mymaster\) .*/\1 ${current%:*} ${current##*:} ${QUORUM:-2}/" \
      -e "s/^\(sentinel down-after-milliseconds mymaster\) .*/\1 ${DOWN_AFTER:-5000}/" \
      -e "s/^\(sentinel failover-timeout mymaster\) .*/\1 ${FAILOVER_TIMEOUT:-15000}/"
    listen
    echo "dir $data"
    announced_by_name
    echo "sentinel announce-ip $ANNOUNCE"
    echo "sentinel announce-port $PORT"
    echo "sentinel auth-user mymaster sentinel"
    echo "sentinel auth-pass mymaster $SENTINEL_PASSWORD"
    echo "requirepass $REDIS_PASSWORD"
    echo "sentinel sentinel-pass $REDIS_PASSWORD"
  } >"$data/sentinel.conf.new"
  mv "$data/sentinel.conf.new" "$data/sentinel.conf"
}

# Nothing to do for the nodes of a cluster that is there already.
create() {
  export REDISCLI_AUTH="$ADMIN_PASSWORD"
  for node in $NODES; do
    first=${first:-$node}
    tries=0
    until ask "$node" --user admin ping | grep -q PONG; do
      tries=$((tries + 1))
      [ "$tries" -lt 60 ] || die "the node at $node does not answer"
      sleep 1
    done
  done
  if ! ask "$first" --user admin cluster info | grep -q '^cluster_known_nodes:1[[:space:]]*$'; then
    echo "the cluster is there already"
    return
  fi
  # shellcheck disable=SC2086 # a list of words
  "$client" $client_tls --no-auth-warning --user admin --cluster create $NODES \
    --cluster-replicas 1 --cluster-yes
}

replication() {
  REDISCLI_AUTH=$REDIS_PASSWORD ask "127.0.0.1:$PORT" --user leasehold info replication
}

health_of_redis() {
  replication=$(replication) || return 1
  case $replication in
    *role:master* | *master_link_status:up*) ;;
    *) return 1 ;;
  esac
}

health_of_cluster() {
  REDISCLI_AUTH=$ADMIN_PASSWORD ask "127.0.0.1:$PORT" --user admin cluster info | grep -q '^cluster_state:ok'
}

role() {
  replication | sed -n 's/^role:\([a-z]*\).*/\1/p'
}

# A planned stop need not wait until the Sentinels miss the master. Half a minute is enough for a failover; if none comes
# about, the Sentinels notice the stop by themselves.
leave() {
  [ "$(role)" = master ] || return 0
  for sentinel in $SENTINELS; do
    if REDISCLI_AUTH=$REDIS_PASSWORD ask "$sentinel" sentinel failover mymaster | grep -q '^OK'; then
      break
    fi
  done
  tries=0
  while [ "$(role)" = master ] && [ "$tries" -lt 30 ]; do
    tries=$((tries + 1))
    sleep 1
  done
}

# Healthy: a failover would succeed.
health_of_sentinel() {
  export REDISCLI_AUTH="$REDIS_PASSWORD"
  ask "127.0.0.1:$PORT" sentinel ckquorum mymaster | grep -q '^OK' &&
    ask "127.0.0.1:$PORT" info sentinel | grep -q '^master0:.*status=ok,.*slaves=[1-9]'
}

case ${1:-} in
  redis | cluster | sentinel | health | create)
    check_passwords
    [ -n "$server$client" ] || die 'there is neither redis-server nor valkey-server in this image'
    ;;
esac
case ${1:-} in
  redis | cluster)
    "$1_conf"
    exec "$server" "$data/redis.conf"
    ;;
  sentinel)
    sentinel_conf
    exec "$server" "$data/sentinel.conf" --sentinel
    ;;
  create) create ;;
  health)
    "health_of_${NODE:?}"
    ;;
  master) master ;;
  held) REDISCLI_AUTH=$ADMIN_PASSWORD ask "127.0.0.1:$PORT" --user admin exists "$2" ;;
  role) role ;;
  leave) leave ;;
  net)
    trap 'exit 0' TERM INT
    while :; do
      sleep 3600 &
      wait $!
    done
    ;;
  *) die "what is \"${1:-}\"? one of redis, cluster, sentinel, create, net, health, master, held, role, leave" ;;
esac
