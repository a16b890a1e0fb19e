package install

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	hostframework "github.com/annex-dev/annex/test/framework/host"
)

// proxy returns the path on the host that leads into a workspace.
func proxy(workspace string) string {
	return "/apis/tenancy.kcp.io/v1alpha1/workspaces/" + workspace + "/proxy"
}

// newWorkspace creates a workspace below root as the user, waits until it can be entered, and returns the way there.
func newWorkspace(t *testing.T, u *hostframework.User, name string) (path string) {
	t.Helper()
	u.Kubectl("", "apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\nmetadata:\n  name: "+name+"\n", "create", "-f", "-")
	u.Kubectl("", "", "wait", "--for=jsonpath={.status.phase}=Ready", "--timeout=1m", "workspace/"+name)
	return proxy("root:" + name)
}

// createAndDeleteNamespace makes a namespace on the host, and deletes it. The host asks all API servers for what is in it,
// so one that is registered and does not answer keeps it from going.
func createAndDeleteNamespace(t *testing.T, name string) {
	t.Helper()
	if err := installed.createNamespace(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	deleteNamespace(t, name)
}

func deleteNamespace(t *testing.T, name string) {
	t.Helper()
	begin := time.Now()
	namespaces := installed.client.CoreV1().Namespaces()
	if err := namespaces.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := eventually(t.Context(), func(ctx context.Context) error {
		left, err := namespaces.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		var reasons []string
		for _, c := range left.Status.Conditions {
			reasons = append(reasons, string(c.Type)+" "+string(c.Status)+" "+c.Message)
		}
		return fmt.Errorf("namespace %s stays: %s", name, strings.Join(reasons, "; "))
	}); err != nil {
		t.Fatal(err)
	}
	t.Logf("namespace %s was gone after %s", name, time.Since(begin).Round(time.Millisecond))
}

// nothingLeft waits until the host has what it had before and nothing else, but for objects that begin so.
func nothingLeft(t *testing.T, before sets.Set[string], mayStay ...string) {
	t.Helper()
	if err := eventually(t.Context(), func(ctx context.Context) error {
		return compare(ctx, installed.host.Config(), before, mayStay...)
	}); err != nil {
		t.Error(err)
	}
}
