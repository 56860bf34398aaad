#!/bin/sh
# All tests of the client: types, logic, the real server of the last commit, Chromium. Installs what it needs.
#   ENCKE_BINARY=…  uses that server in place of building one;  SEEDS=600  more random runs
set -eu
cd "$(dirname "$0")/.."

npm ci --no-audit --no-fund --ignore-scripts --silent
if [ -z "${ENCKE_BINARY:-}" ]; then
	# not the work tree: others may be in the middle of a change there
	tree=$(mktemp -d)
	trap 'git worktree remove --force "$tree/encke" >/dev/null 2>&1 || true; rm -rf "$tree"' EXIT INT TERM
	git worktree add --quiet --detach "$tree/encke" HEAD
	(cd "$tree/encke" && go build -o "$tree/bin-encke" ./cmd/encke)
	ENCKE_BINARY=$tree/bin-encke
fi
export ENCKE_BINARY
if ! command -v chromium >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
fi
npx --no-install tsc -p test/tsconfig.json
echo "types: ok"
node --test --test-reporter=spec test/logic.test.mjs test/server.test.mjs test/browser.test.mjs
