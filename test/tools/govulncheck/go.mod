// Module govulncheck builds the program that searches ours for known
// vulnerabilities. It is a module of its own, so that nobody who imports Annex
// inherits its dependencies. Built by `make bin/govulncheck` (rule in
// ../tools.mk, which also pins the database); to take another release run
// `go get golang.org/x/vuln@VERSION && go mod tidy` in this folder.
module github.com/annex-dev/annex/test/tools/govulncheck

go 1.26.0

tool golang.org/x/vuln/cmd/govulncheck

require (
	golang.org/x/mod v0.42.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/telemetry v0.0.0-20261010193011-f71dc92da45e // indirect
	golang.org/x/tools v0.52.0 // indirect
	golang.org/x/vuln v1.9.0 // indirect
)
