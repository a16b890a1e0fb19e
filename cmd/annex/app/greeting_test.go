package app

import "testing"

// Who reads the log of a pod has no other terminal in it.
func TestGreeting(t *testing.T) {
	const ready = "Annex is ready at https://annex.annex-system.svc\n"
	if got := greeting("https://annex.annex-system.svc", "/var/lib/annex/admin.kubeconfig", true); got != ready {
		t.Errorf("with a host: %q, want %q", got, ready)
	}
	if got := greeting("https://annex.annex-system.svc", "admin.kubeconfig", false); len(got) <= len(ready) {
		t.Errorf("without a host nothing is said of what to type: %q", got)
	}
}
