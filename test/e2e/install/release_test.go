package install

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
)

// All that is done to a release, in the order in which it is done, with the data of a user in it.
func TestRelease_FromUpgradeToUninstall(t *testing.T) {
	alice := installed.host.User(t, "alice")
	// Helm replaces a ClusterRole, and a binding refers to it by its name: the right outlives an uninstallation.
	alice.Grant(release + "-workspace-admin")
	team := newWorkspace(t, alice, "kept")
	alice.Kubectl(team, "", "create", "configmap", "kept", "--from-literal=by=alice")

	upgrade := func(t *testing.T, args ...string) {
		t.Helper()
		mustHelm(t, append([]string{"upgrade", release, chartDir, "--namespace", namespace, "--wait"}, args...)...)
	}
	// serves finds the data, and which binary serves it.
	serves := func(t *testing.T, wantNewer bool) {
		t.Helper()
		mustBeAvailable(t)
		if got, err := alice.Try("kubectl", team, "", "get", "configmap", "kept", "--output", "jsonpath={.data.by}"); err != nil || got != "alice" {
			t.Fatalf("the ConfigMap says %q, %v\n%s", got, err, installed.node.Describe())
		}
		var served version.Info
		if err := json.Unmarshal([]byte(alice.Kubectl("", "", "get", "--raw", team+"/version")), &served); err != nil {
			t.Fatal(err)
		}
		if got := strings.HasSuffix(served.GitVersion, newer); got != wantNewer {
			t.Errorf("%s serves, want the newer binary: %t", served.GitVersion, wantNewer)
		}
	}
	serves(t, false)

	t.Run("upgrade with another value", func(t *testing.T) {
		upgrade(t, "--set", "logLevel=1")
		serves(t, false)
		if args := serverArgs(t); !slices.Contains(args, "--v=1") {
			t.Errorf("the server runs with %q", args)
		}
	})
	t.Run("upgrade to a newer binary", func(t *testing.T) {
		buildNewer(t)
		upgrade(t, "--set", "image.tag="+newer)
		serves(t, true)
	})
	t.Run("rollback", func(t *testing.T) {
		mustHelm(t, "rollback", release, "1", "--namespace", namespace, "--wait")
		serves(t, false)
		if args := serverArgs(t); !slices.Contains(args, "--v=0") {
			t.Errorf("the server runs with %q", args)
		}
	})
	t.Run("rollback of what does not start", func(t *testing.T) {
		if out, err := installed.helm(t.Context(), "upgrade", release, chartDir, "--namespace", namespace, "--wait", "--timeout", "15s", "--set", "extraArgs={--no-such-flag}"); err == nil {
			t.Fatalf("a server with a flag that does not exist became ready:\n%s", out)
		}
		mustHelm(t, "rollback", release, "--namespace", namespace, "--wait")
		serves(t, false)
	})
	t.Run("helm test", func(t *testing.T) {
		if out := mustHelm(t, "test", release, "--namespace", namespace); !strings.Contains(out, "Succeeded") {
			t.Errorf("it did not succeed:\n%s", out)
		}
		// Helm takes the pod away when it has succeeded; what it says is seen without Helm.
		pod := mustHelm(t, "template", release, chartDir, "--namespace", namespace, "--show-only", "templates/tests/check.yaml")
		admin := installed.host.Admin(t)
		admin.Kubectl("", pod, "create", "-f", "-")
		admin.Kubectl("", pod, "wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=1m", "-f", "-")
		said, err := installed.node.Log(namespace, release+"-check", "check")
		if err != nil {
			t.Fatal(err)
		}
		admin.Kubectl("", pod, "delete", "-f", "-")
		for _, name := range apiServices {
			if v, group, _ := strings.Cut(name, "."); !strings.Contains(said, group+"/"+v) {
				t.Errorf("nothing is said of %s/%s:\n%s", group, v, said)
			}
		}
	})
	t.Run("namespaces of the host go while Annex is there", func(t *testing.T) { createAndDeleteNamespace(t, "beside-annex") })

	t.Run("uninstall", func(t *testing.T) {
		mustHelm(t, "uninstall", release, "--namespace", namespace, "--wait")
		nothingLeft(t, installed.before, append(slices.Clone(keptClaim), "clusterrolebindings.rbac.authorization.k8s.io//test-alice-")...)
	})
	t.Run("namespaces of the host go when Annex is gone", func(t *testing.T) { createAndDeleteNamespace(t, "after-annex") })
	t.Run("install again", func(t *testing.T) {
		if err := installed.install(t.Context(), namespace); err != nil {
			t.Fatal(err)
		}
		serves(t, false)
	})
	alice.Kubectl("", "", "delete", "workspace", "kept")
}

// serverArgs returns what the running server was started with.
func serverArgs(t *testing.T) []string {
	t.Helper()
	pod, err := installed.client.CoreV1().Pods(namespace).Get(t.Context(), release+"-0", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return pod.Spec.Containers[0].Args
}

// buildNewer makes another build of the server, which can be told by its /version.
func buildNewer(t *testing.T) {
	t.Helper()
	// Not into the file that is there: it is a link to the first build.
	if err := os.Remove(installed.newerBinary()); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "go", "build", "-o", installed.newerBinary(), "-ldflags",
		"-X k8s.io/component-base/version.gitVersion=v1.37.99+annex."+newer+" -X github.com/annex-dev/annex/cmd/annex/app.version="+newer, "./cmd/annex")
	command.Dir = filepath.Join("..", "..", "..")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("building the newer server: %v\n%s", err, out)
	}
}
