#!/bin/bash
# The start of each pod of a training: an ssh server on all, and on the first `musenet train` with a hostfile of all.
# HOSTS pods called NAME-0, NAME-1 … with SLOTS ranks on each; the arguments are those of `musenet train`.
set -euo pipefail

key=$(mktemp -d)/host_key
ssh-keygen -q -t ed25519 -N "" -f "$key"
server=(/usr/sbin/sshd -e -f /etc/musenet/sshd_config -h "$key")
if [ "$JOB_COMPLETION_INDEX" -ne 0 ]; then
  exec "${server[@]}" -D # until the job has succeeded
fi
"${server[@]}"

hostfile=$(mktemp)
for ((index = 0; index < HOSTS; index++)); do
  host="$NAME-$index.$NAME"
  until ssh -o BatchMode=yes "$host" true; do sleep 2; done
  echo "$host slots=$SLOTS" >>"$hostfile"
done
exec musenet train --hostfile "$hostfile" "$@"
