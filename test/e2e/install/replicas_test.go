package install

import (
	"context"
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
)

// On an etcd of one's own there are equal servers: they are replaced one after the other, and while etcd is gone the host
// lives on.
func TestRelease_OnExternalEtcd(t *testing.T) {
	const elsewhere = "annex-replicas"
	// Only one Annex can be behind a host. The other one comes back afterwards, for the tests that follow.
	mustHelm(t, "uninstall", release, "--namespace", namespace, "--wait")
	t.Cleanup(func() {
		if err := installed.install(context.WithoutCancel(t.Context()), namespace); err != nil {
			t.Error(err)
		}
	})
	nothingLeft(t, installed.before, keptClaim...)

	if err := installed.createNamespace(t.Context(), elsewhere); err != nil {
		t.Fatal(err)
	}
	admin := installed.host.Admin(t)
	admin.Kubectl("", "", "create", "secret", "generic", "etcd-client", "--namespace", elsewhere, "--from-file=ca.crt="+installed.etcd.caFile,
		"--from-file=tls.crt="+installed.etcd.certFile, "--from-file=tls.key="+installed.etcd.keyFile)
	if err := installed.install(t.Context(), elsewhere, "--set", "etcd.endpoints={https://"+installed.etcd.address+"}", "--set", "etcd.tls.existingSecret=etcd-client"); err != nil {
		t.Fatal(err)
	}

	bob := installed.host.User(t, "bob")
	bob.Grant(release + "-workspace-admin")
	team := newWorkspace(t, bob, "replicated")
	bob.Kubectl(team, "", "create", "configmap", "kept", "--from-literal=by=bob")

	t.Run("one server may be evicted at a time", func(t *testing.T) {
		budget, err := installed.client.PolicyV1().PodDisruptionBudgets(elsewhere).Get(t.Context(), release, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if found := servers(t, elsewhere); len(found) != 2 || budget.Status.CurrentHealthy != 2 || budget.Status.DisruptionsAllowed != 1 {
			t.Errorf("servers %q, budget %+v", sets.List(found), budget.Status)
		}
	})
	t.Run("users do not notice that servers are replaced", func(t *testing.T) {
		old := servers(t, elsewhere)
		admin.Kubectl("", "", "rollout", "restart", "deployment/"+release, "--namespace", elsewhere)
		asked := 0
		if err := eventually(t.Context(), func(context.Context) error {
			// Asking goes on until the last of them has ended, not only until the next ones are ready.
			now := servers(t, elsewhere)
			if got := bob.Kubectl(team, "", "get", "configmap", "kept", "--output", "jsonpath={.data.by}"); got != "bob" {
				t.Errorf("the ConfigMap says %q", got)
			}
			asked++
			if len(now) != 2 || len(now.Intersection(old)) > 0 {
				return fmt.Errorf("servers are %q, were %q", sets.List(now), sets.List(old))
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		t.Logf("asked %d times while servers were replaced", asked)
		mustBeAvailable(t)
	})
	t.Run("namespaces of the host go while etcd is gone", func(t *testing.T) {
		installed.etcd.stop()
		createAndDeleteNamespace(t, "without-etcd")
	})
	t.Run("uninstall while etcd is gone", func(t *testing.T) {
		mustHelm(t, "uninstall", release, "--namespace", elsewhere, "--wait")
		deleteNamespace(t, elsewhere)
		nothingLeft(t, installed.before, append(slices.Clone(keptClaim), "clusterrolebindings.rbac.authorization.k8s.io//test-bob-")...)
	})
}

// servers returns the names of the pods of the server, those that are about to end included.
func servers(t *testing.T, namespace string) sets.Set[string] {
	t.Helper()
	pods, err := installed.client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=server"})
	if err != nil {
		t.Fatal(err)
	}
	names := sets.New[string]()
	for _, pod := range pods.Items {
		names.Insert(pod.Name)
	}
	return names
}
