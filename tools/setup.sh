#!/bin/sh
# Installs what the tests need, where it can: Debian packages as root, npm packages anywhere. What is missing is named.
set -eu
cd "$(dirname "$0")/.."

packages=""
need() { # need COMMAND PACKAGE
	command -v "$1" >/dev/null 2>&1 || packages="$packages $2"
}
need chromium chromium
need php php-cli
php -m 2>/dev/null | grep -qi '^curl$' || packages="$packages php-curl"
need phpunit phpunit
need curl curl
need node nodejs
need npm npm
/usr/bin/python3 -c 'import websockets' 2>/dev/null || packages="$packages python3-websockets"

if [ -n "$packages" ]; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
		echo "installing:$packages"
		apt-get update -qq
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
	else
		echo "missing, so their tests will fail; please install:$packages" >&2
	fi
fi

if [ -f tests/package-lock.json ] && [ ! tests/node_modules/.package-lock.json -nt tests/package-lock.json ]; then
	(cd tests && npm ci --no-audit --no-fund --ignore-scripts)
fi
