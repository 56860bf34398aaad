#!/bin/sh
# The examples as people use them: Chromium against the real site and the real server. Installs and builds what it needs.
#
#   sh examples/test/run.sh [files of tests]
#
# ENCKE_BINARY and EXAMPLES_BINARY name programs in place of building them. Screenshots are kept in artefacts/.
set -eu
cd "$(dirname "$0")/../.."
sh examples/setup.sh
if [ -z "${ENCKE_BINARY:-}" ] || [ -z "${EXAMPLES_BINARY:-}" ]; then
	build=$(mktemp -d)
	trap 'rm -rf "$build"' EXIT INT TERM
	go build -o "$build/encke" ./cmd/encke
	go build -o "$build/examples" ./examples/serve
	ENCKE_BINARY=$build/encke EXAMPLES_BINARY=$build/examples
fi
export ENCKE_BINARY EXAMPLES_BINARY
[ $# -gt 0 ] || set -- examples/test/*.test.mjs
node --test --test-reporter=spec "$@"
