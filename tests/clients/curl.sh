#!/bin/sh
# curl on everything that HTTP offers here: sh curl.sh SITE BACKEND RUN; RUN makes the names of the channels new
set -eu
site=$1 backend=$2 run=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ask() { curl -sS -m 20 "$@"; }
want() { # want WHAT EXPECTED GOT
	case $3 in *"$2"*) ;; *) echo "$1: want $2, got $3" >&2; exit 1 ;; esac
}

want "push" '"subscribers":0' "$(ask -d 'hello' "${backend}channels/curl$run")"
want "kept as text" '"data":"hello"' "$(ask "${site}poll?channels=curl$run&since=0&wait=0")"
want "nobody there" 202 "$(ask -o /dev/null -w '%{http_code}' -d x "${backend}channels/nobody$run")"

# streams: connect, wait for the head, push, read one line
for path in sse stream; do
	(exec curl -sS -m 20 -N "${site}$path?channels=live-$path$run" > "$work/$path") & pid=$!
	until ask "${backend}channels/live-$path$run" | grep -q '"subscribers":1'; do :; done
	want "push to $path" 201 "$(ask -o /dev/null -w '%{http_code}' -d "over $path" "${backend}channels/live-$path$run")"
	until grep -q "over $path" "$work/$path"; do :; done
	kill $pid
done
want "SSE id" 'id: ' "$(cat "$work/sse")"

# a parked poll is answered by a push
ask "${site}poll?channels=parked$run&wait=20s" > "$work/poll" & pid=$!
until ask "${backend}channels/parked$run" | grep -q '"subscribers":1'; do :; done
ask -o /dev/null -d woken "${backend}channels/parked$run"
wait $pid
want "parked poll" '"data":"woken"' "$(cat "$work/poll")"

# bodies: chunked, and one that waits for 100 Continue
want "chunked" '"offset":1' "$(printf 'in pieces' | ask -H 'Transfer-Encoding: chunked' -H 'Content-Type: text/plain' --data-binary @- "${backend}channels/chunked$run")"
head -c 60000 /dev/zero | tr '\0' z > "$work/big"
ask -v -H 'Expect: 100-continue' -H 'Content-Type: text/plain' --data-binary "@$work/big" "${backend}channels/big$run" > "$work/answer" 2> "$work/trace"
want "100" 'HTTP/1.1 100 Continue' "$(cat "$work/trace")"
want "big" '"offset":1' "$(cat "$work/answer")"

# batches, and errors that say where
printf '{"channel":"b","data":1}\nnonsense\n{"channels":["b","c"],"data":2}\n' > "$work/batch"
ask -H 'Content-Type: application/x-ndjson' --data-binary "@$work/batch" "${backend}publish" > "$work/answer"
want "batch" 4 "$(grep -c . "$work/answer")"
want "bad line" '"code":"bad_json"' "$(sed -n 2p "$work/answer")"

# methods and versions
want "HEAD" 'Content-Type: text/event-stream' "$(ask -I "${site}sse?channels=a")"
want "OPTIONS" 'Access-Control-Allow-Methods' "$(ask -X OPTIONS -D - -o /dev/null "${site}poll")"
want "HTTP/1.0" '"publications"' "$(ask -0 "${site}poll?channels=a&wait=0")"
want "405" 'Allow: GET' "$(ask -X DELETE -D - -o /dev/null "${site}poll")"
want "404" not_found "$(ask "${site}nothing")"
want "keep-alive" "Re-using existing connection" "$(curl -sSv -m 20 "${site}poll?channels=a&wait=0" "${site}poll?channels=a&wait=0" 2>&1)"
want "metrics" 'encke_connections{' "$(ask "${backend}metrics")"
want "stats" '"epoch":' "$(ask "${backend}stats")"
echo "curl: fine"
