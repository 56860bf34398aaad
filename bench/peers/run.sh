#!/bin/sh
# Starts one peer server in the foreground: run.sh KIND PUBLIC_PORT BACKEND_PORT THREADS [more arguments for coder or ws]
# or says what it would start: run.sh KIND --version. KIND is nchan, coder or ws. The script becomes the server, so its process id is the server's; SIGTERM ends it, and so
# does the end of whoever started it.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "$here/../.." && pwd)/bin

fail() { echo "run.sh: $*" >&2; exit 2; }

if [ $# = 2 ] && [ "$2" = --version ]; then
    case $1 in
    nchan)
        of() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null || echo "(missing)"; }
        echo "nchan $(of libnginx-mod-nchan) in nginx $(of nginx-light)" ;;
    coder) echo "coder/websocket $(sed -n 's|.*github.com/coder/websocket v||p' "$here/coder/go.mod") with a goroutine per connection" ;;
    ws) echo "npm ws $(sed -n 's|.*"ws": "\([0-9.]*\)".*|\1|p' "$here/ws/package.json") on Node $(node --version)" ;;
    *) fail "no peer is called $1" ;;
    esac
    exit 0
fi
[ $# -ge 4 ] || fail "usage: run.sh nchan|coder|ws PUBLIC_PORT BACKEND_PORT THREADS"
kind=$1 public=127.0.0.1:$2 backend=127.0.0.1:$3 threads=$4
case $2$3$4 in *[!0-9]*) fail "ports and threads are numbers" ;; esac
[ "$threads" -ge 1 ] || fail "at least one thread"
port=$2
shift 4

ulimit -n 20000 2>/dev/null || fail "cannot raise the limit of open files to 20000; see ulimit -Hn"

# A SIGKILL of the nginx master would leave its workers behind; SIGTERM takes them along.
with_parent=
if command -v setpriv >/dev/null && setpriv --pdeathsig TERM true 2>/dev/null; then with_parent="setpriv --pdeathsig TERM"; fi

case $kind in
nchan)
    nginx=$(PATH=$PATH:/usr/sbin command -v nginx) || fail "no nginx; run bench/peers/setup.sh"
    dir=${TMPDIR:-/tmp}/encke-peers/nchan-$port
    mkdir -p "$dir"
    chmod 755 "${TMPDIR:-/tmp}/encke-peers" "$dir"
    sed -e "s|@PUBLIC@|$public|; s|@BACKEND@|$backend|; s|@WORKERS@|$threads|; s|@DIR@|$dir|; s|@CONNECTIONS@|18000|" \
        "$here/nchan/nginx.conf" >"$dir/nginx.conf"
    exec $with_parent "$nginx" -p "$dir" -e stderr -c "$dir/nginx.conf"
    ;;
coder)
    [ -x "$bin/peer-coder" ] || fail "no bin/peer-coder; run bench/peers/setup.sh"
    exec $with_parent "$bin/peer-coder" --public "$public" --backend "$backend" --threads "$threads" "$@"
    ;;
ws)
    [ -d "$here/ws/node_modules/ws" ] || fail "no ws/node_modules; run bench/peers/setup.sh"
    exec $with_parent node "$here/ws/server.mjs" --public "$public" --backend "$backend" --threads "$threads" "$@"
    ;;
*) fail "no peer is called $kind" ;;
esac
