package e2e

import (
	"strings"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
)

const chart = "testdata/chart"

func TestHelm_ReleaseFromInstallToUninstall(t *testing.T) {
	server := annex.Start(t)
	path, _ := server.NewWorkspace("root", "team", "")
	other, _ := server.NewWorkspace("root", "other", "")
	kubectl := kubectlIn(server, path)

	contains(t, "install", server.Helm(path, "install", "roses", chart, "--namespace", "garden", "--create-namespace", "--wait", "--timeout", "1m"), "STATUS: deployed")
	contains(t, "its ConfigMap", kubectl("", "get", "configmap", "roses", "-n", "garden", "-o", "jsonpath={.data}"), `"flowers":"3"`, `"servesFlowers":"true"`)
	contains(t, "its custom resource", kubectl("", "get", "flowers", "-n", "garden"), "PETALS", "roses   3")
	contains(t, "list", server.Helm(path, "list", "--all-namespaces"), "roses", "garden", "deployed", "garden-0.1.0")
	contains(t, "status", server.Helm(path, "status", "roses", "-n", "garden"), "deployed")
	kubectl("", "create", "clusterrolebinding", "enter", "--clusterrole=system:kcp:workspace:access", "--user=gardener")
	annex.Eventually(t, canI(server, path, "yes", "get", "configmaps", "-n", "garden", "--as=gardener"))
	if out := server.Helm(other, "list", "--all-namespaces"); strings.Contains(out, "roses") {
		t.Errorf("another workspace lists the release: %s", out)
	}

	contains(t, "upgrade", server.Helm(path, "upgrade", "roses", chart, "--namespace", "garden", "--set", "flowers=7", "--wait", "--timeout", "1m"), "REVISION: 2")
	contains(t, "after the upgrade", kubectl("", "get", "flower", "roses", "-n", "garden", "-o", "jsonpath={.spec.petals}"), "7")
	contains(t, "the hook", mustFail(t, server, path, "", "get", "configmap", "roses-upgrading", "-n", "garden"), "not found")
	contains(t, "history", server.Helm(path, "history", "roses", "-n", "garden"), "superseded", "deployed")
	server.Helm(path, "rollback", "roses", "1", "-n", "garden")
	contains(t, "after the rollback", kubectl("", "get", "flower", "roses", "-n", "garden", "-o", "jsonpath={.spec.petals}"), "3")

	// The same release in another workspace is another release.
	server.Helm(other, "install", "roses", chart, "--namespace", "garden", "--create-namespace", "--set", "flowers=1")
	server.Helm(path, "uninstall", "roses", "-n", "garden", "--wait", "--timeout", "1m")
	if out := server.Helm(path, "list", "--all-namespaces", "-q"); out != "" {
		t.Errorf("after uninstall: %s", out)
	}
	if out := kubectl("", "get", "flowers,roles,rolebindings,secrets", "-n", "garden", "-o", "name"); out != "" {
		t.Errorf("uninstall leaves %s", out)
	}
	contains(t, "CRDs stay, as helm has it", kubectl("", "get", "crds", "-o", "name"), "flowers.garden.example.com")
	contains(t, "the release in the other workspace", server.Helm(other, "list", "--all-namespaces"), "roses", "deployed")
}
