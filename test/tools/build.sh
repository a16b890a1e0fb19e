#!/bin/sh
# Builds a program as "go build" with the same arguments does, the last of which is the package. Where much is to be compiled it says
# so, and how far it is: the first build takes minutes. GO is the go command.
set -eu
go=${GO:-go}
for package; do :; done
packages=$("$go" list -deps "$package" 2>/dev/null | wc -l)
{
	"$go" build -v "$@" 2>&1 && echo "exit 0" || echo "exit $?"
} | awk -v program="$package" -v packages="$packages" '
	/^exit [0-9]+$/ { code = $2; next }
	/^go: downloading / { if (!downloads++) say("downloading modules"); next }
	/^[A-Za-z0-9._~\/-]+$/ {
		if (++compiled == 20) say("compiling; the first build of Annex takes about 7 minutes on two processors")
		if (compiled % 50 == 0) say(compiled " of at most " packages " packages")
		next
	}
	{ print; fflush() }
	function say(what) { print "building " program ": " what; fflush() }
	END { if (compiled >= 20 && code == 0) say("done"); exit code }' >&2
