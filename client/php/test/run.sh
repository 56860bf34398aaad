#!/bin/sh
# Everything about the PHP client: syntax, static analysis where there is phpstan, and its tests against a real server.
#
#   sh test/run.sh [arguments of phpunit]
#
# ENCKE_BIN names an encke binary; without it one is built. What is missing is installed where apt-get and root allow it.
set -eu
case ${ENCKE_BIN:-/} in /*) ;; *) ENCKE_BIN=$PWD/$ENCKE_BIN ;; esac
cd "$(dirname "$0")/.."

need() { # what has to succeed, and the Debian package that it comes with
    if ! sh -c "$1" >/dev/null 2>&1; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            apt-get install -y --no-install-recommends "$2" >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y --no-install-recommends "$2" >/dev/null; }
        fi
        sh -c "$1" >/dev/null 2>&1 || { echo "client/php: install $2" >&2; exit 1; }
    fi
}
need 'command -v php' php-cli
need "php -m | grep -qi '^curl$'" php-curl
phpunit=vendor/bin/phpunit
if [ ! -x "$phpunit" ]; then
    need 'command -v phpunit' phpunit
    phpunit=phpunit
fi

# php -l, four files at a time; what it says is shown where something is wrong
find . -name vendor -prune -o -name '*.php' -print | xargs -P 4 -n 1 sh -c 'out=$(php -l "$0" 2>&1) || { echo "$out" >&2; exit 1; }'
php -r 'json_decode(file_get_contents("composer.json"), flags: JSON_THROW_ON_ERROR);'
if command -v composer >/dev/null; then
    COMPOSER_ALLOW_SUPERUSER=1 composer validate --no-check-version --no-check-publish -q || { echo "client/php: composer.json is not valid" >&2; exit 1; }
fi

phpstan=vendor/bin/phpstan
[ -x "$phpstan" ] || phpstan=$(command -v phpstan || true)
if [ -n "$phpstan" ]; then
    "$phpstan" analyse --no-progress
else
    echo "phpstan is not installed: not run"
fi

if [ -z "${ENCKE_BIN:-}" ]; then
    build=$(mktemp -d)
    trap 'rm -r "$build"' EXIT
    (cd ../.. && go build -o "$build/encke" ./cmd/encke)
    ENCKE_BIN=$build/encke
fi
export ENCKE_BIN
"$phpunit" -c test/phpunit.xml "$@"
