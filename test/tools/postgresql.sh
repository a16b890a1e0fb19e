#!/bin/sh
# Puts PostgreSQL into bin/postgresql, for the tests of examples/database-operator: from Debian's packages, without root and without installing
# anything. Nothing is downloaded if the machine has PostgreSQL, or is no Debian: tests say so and skip then.
set -eu
cd "$(dirname "$0")/../.."
out=bin/postgresql

for dir in /usr/lib/postgresql/*/bin "$(dirname "$(readlink -f "$(command -v postgres || echo /nothing/postgres)")")"; do
	if [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ] && [ -x "$dir/psql" ]; then
		mkdir -p "$out"
		echo "PostgreSQL is in $dir"
		exit 0
	fi
done
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
	mkdir -p "$out"
	echo "this machine has no PostgreSQL and no Debian packages: tests that need it are skipped" >&2
	exit 0
fi

packages=$(mktemp -d)
trap 'rm -rf "$packages" "$out.new"' EXIT
version=$(apt-cache depends postgresql | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1)
if [ -z "$version" ]; then
	echo "no package postgresql is known: run apt-get update" >&2
	exit 1
fi
# The server and psql, with the libraries that apt would install with them.
missing=$(apt-get --simulate --no-install-recommends install "postgresql-$version" "postgresql-client-$version" 2>/dev/null |
	sed -n 's/^Inst \(lib[^ ]*\) .*/\1/p' | tr '\n' ' ')
echo "downloading postgresql-$version, postgresql-client-$version $missing"
# shellcheck disable=SC2086 # a list
(cd "$packages" && apt-get -qq download "postgresql-$version" "postgresql-client-$version" $missing)
rm -rf "$out.new" "$out"
mkdir -p "$out.new"
for package in "$packages"/*.deb; do dpkg-deb -x "$package" "$out.new"; done
mv "$out.new" "$out"
