#!/bin/sh
# Installs what the examples' pages are built from, and builds them. Node 20 and npm must be there: tools/setup.sh.
set -eu
cd "$(dirname "$0")"
if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
	npm ci --no-audit --no-fund --ignore-scripts --silent
fi
npm run --silent build -- --log-level=warning
