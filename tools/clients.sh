#!/bin/sh
# The clients and the examples against the server of this work tree, in their own languages: Node, PHP, Chromium. The clients' tests run
# beside each other, for they mostly wait; the examples' keep several browsers busy and come after them.
set -eu
cd "$(dirname "$0")/.."
out=$(mktemp -d)
pids=
trap 'rm -rf "$out"' EXIT
trap 'kill $pids 2>/dev/null; exit 130' INT TERM
go build -o "$out/encke" ./cmd/encke
go build -o "$out/examples" ./examples/serve
export ENCKE_BINARY="$out/encke" ENCKE_BIN="$out/encke" EXAMPLES_BINARY="$out/examples"

failed=""
together() { # together DIRECTORY…: runs their tests beside each other, then shows what each says
	pids=
	for part in "$@"; do
		sh "$part/test/run.sh" >"$out/$(basename "$part").txt" 2>&1 &
		pids="$pids $!"
	done
	for pid in $pids; do
		echo "== $1"
		code=0
		wait "$pid" || code=$?
		cat "$out/$(basename "$1").txt"
		[ "$code" = 0 ] || failed="$failed $1"
		shift
	done
}
together client/js client/php
together examples
if [ -n "$failed" ]; then
	echo "failed:$failed" >&2
	exit 1
fi
