#!/bin/sh
# The clients and the examples against the server of this work tree, in their own languages: Node, PHP, Chromium. They run beside each
# other, for they mostly wait; what each says is shown when it is through.
set -eu
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
pids=
trap 'kill $pids 2>/dev/null; exit 130' INT TERM
go build -o "$out/encke" ./cmd/encke
go build -o "$out/examples" ./examples/serve
export ENCKE_BINARY="$out/encke" ENCKE_BIN="$out/encke" EXAMPLES_BINARY="$out/examples"

all="client/js client/php examples"
for part in $all; do
	name=$(echo "$part" | tr / -)
	(
		code=0
		sh "$part/test/run.sh" >"$out/$name.txt" 2>&1 || code=$?
		echo "$code" >"$out/$name.code"
	) &
	pids="$pids $!"
done
wait
failed=""
for part in $all; do
	name=$(echo "$part" | tr / -)
	echo "== $part"
	cat "$out/$name.txt"
	[ "$(cat "$out/$name.code")" = 0 ] || failed="$failed $part"
done
if [ -n "$failed" ]; then
	echo "failed:$failed" >&2
	exit 1
fi
