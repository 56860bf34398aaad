#!/bin/sh
# Posts this machine's load to Encke once a second; the live page draws it.
#
#   sh examples/push-load.sh [BACKEND [COUNT]]
#
# BACKEND is http://127.0.0.1:8081 unless given; COUNT bounds the number of posts, otherwise it goes on until Ctrl-C. In the environment
# CHANNEL may name another channel than load, and KEY be the backend's key where it has one.
set -u
backend=${1:-${BACKEND:-http://127.0.0.1:8081}}
count=${2:-0}

trap 'exit 0' INT TERM
sent=0
while [ "$count" -eq 0 ] || [ "$sent" -lt "$count" ]; do
	if curl -sS -f -o /dev/null -m 5 -H 'Content-Type: text/plain' ${KEY:+-H "Authorization: Bearer $KEY"} \
		--data-binary @/proc/loadavg "$backend/channels/${CHANNEL:-load}"; then
		sent=$((sent + 1))
	else
		echo "no answer from $backend: is encke running (make run)? trying again" >&2
	fi
	[ "$sent" -eq "$count" ] && [ "$count" -ne 0 ] || sleep 1
done
