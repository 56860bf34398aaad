#!/bin/sh
# Installs what joint editing is built from, and builds it. The other examples need no npm.
set -eu
cd "$(dirname "$0")"
if ! command -v npm >/dev/null 2>&1; then
	echo "npm is missing: all but joint editing will work" >&2
	exit 0
fi
if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
	npm ci --no-audit --no-fund --ignore-scripts --silent
fi
npm run --silent build -- --log-level=warning
