package host

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
	hostframework "github.com/annex-dev/annex/test/framework/host"
)

// annexCommand runs the annex binary with a kubeconfig and returns all it printed.
func annexCommand(t *testing.T, kubeconfig string, args ...string) (string, error) {
	t.Helper()
	binary, err := annex.Program("annex")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), binary, args...)
	command.Env = append(os.Environ(), "HOME="+filepath.Dir(kubeconfig), "KUBECONFIG="+kubeconfig)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err = command.Run()
	return out.String(), err
}

func TestCheck_AnInstallation(t *testing.T) {
	// A user whom nobody has given any right.
	plain := newUser(t, "checker")
	out, err := annexCommand(t, plain.kubeconfig, "check", "--wait", "--timeout", "60s")
	if err != nil {
		t.Fatalf("annex check: %v\n%s", err, out)
	}
	for _, gv := range groupVersions {
		if !strings.Contains(out, gv.String()) {
			t.Errorf("nothing about %s in\n%s", gv, out)
		}
	}
	if strings.Contains(out, "Available") {
		t.Errorf("a plain user reads APIServices:\n%s", out)
	}
	out, err = annexCommand(t, installed.host.Kubeconfig(), "check", "-o", "json")
	if err != nil || !strings.Contains(out, `"good": true`) || !strings.Contains(out, "annex-system/annex, Available: True") {
		t.Errorf("an administrator's report: %v\n%s", err, out)
	}
}

func TestCheck_AHostWithoutAnnex(t *testing.T) {
	empty := hostframework.Start(t)
	out, err := annexCommand(t, empty.Kubeconfig(), "check")
	if err == nil {
		t.Error("annex check succeeds on a host without Annex")
	}
	for _, want := range []string{"FAULT", "tenancy.kcp.io/v1alpha1", "APIService v1alpha1.tenancy.kcp.io is missing", "are not served correctly"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
