#!/bin/sh
# Installs and builds the peer servers that run.sh starts. It may be run again; what is there already is left alone.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "$here/../.." && pwd)/bin
missing=

lack() { missing="$missing
  $*"; }

# The package's own service must not start: run.sh starts nginx, on its own ports. Debian asks policy-rc.d.
install_nchan() {
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
        trap 'rm -f $policy' EXIT
    fi
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends nginx-light libnginx-mod-nchan
}

if [ ! -e /usr/lib/nginx/modules/ngx_nchan_module.so ] || ! PATH=$PATH:/usr/sbin command -v nginx >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        install_nchan
    else
        lack "nchan: as root on Debian, apt-get install nginx-light libnginx-mod-nchan"
    fi
fi

if command -v go >/dev/null; then
    mkdir -p "$bin"
    (cd "$here/coder" && go build -o "$bin/peer-coder" .)
else
    lack "coder: Go 1.26"
fi

version() { node -p 'JSON.parse(fs.readFileSync(process.argv[1])).version' "$1" 2>/dev/null || true; }

if command -v npm >/dev/null && node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)'; then
    want=$(node -p 'JSON.parse(fs.readFileSync(process.argv[1])).dependencies.ws' "$here/ws/package.json")
    [ "$(version "$here/ws/node_modules/ws/package.json")" = "$want" ] || (cd "$here/ws" && npm ci)
else
    lack "ws: Node 20 with npm"
fi

if [ -n "$missing" ]; then
    echo "setup.sh: not all peers can be measured here; missing:$missing" >&2
    exit 1
fi
