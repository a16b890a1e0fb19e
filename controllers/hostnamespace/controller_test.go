package hostnamespace

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

type root struct{}

func (root) Resolve(context.Context, logicalcluster.Path) (logicalcluster.Name, bool, error) {
	return "root", true, nil
}

func onHost(uid types.UID) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-a", UID: uid}}
}

func TestReconcile(t *testing.T) {
	going := onHost("uid-1")
	going.DeletionTimestamp = &metav1.Time{}
	for name, tc := range map[string]struct {
		host    []runtime.Object
		away    bool
		cluster logicalcluster.Name
		label   string
		kept    bool
	}{
		"it exists":                    {host: []runtime.Object{onHost("uid-1")}, cluster: "root", label: "uid-1", kept: true},
		"it is gone":                   {cluster: "root", label: "uid-1"},
		"another has its name":         {host: []runtime.Object{onHost("uid-2")}, cluster: "root", label: "uid-1"},
		"it is being deleted":          {host: []runtime.Object{going}, cluster: "root", label: "uid-1"},
		"the host does not answer":     {away: true, cluster: "root", label: "uid-1", kept: true},
		"not made for one":             {cluster: "root", kept: true},
		"in the workspace of a tenant": {cluster: "c1", label: "uid-1", kept: true},
	} {
		t.Run(name, func(t *testing.T) {
			ns := clienttest.In(tc.cluster, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-a", Labels: map[string]string{annexv1alpha1.HostNamespaceLabelKey: tc.label}}})
			annex := clienttest.NewFake(ns)
			host := fake.NewClientset(tc.host...)
			asked := false
			host.PrependReactor("get", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) {
				asked = true
				return tc.away, nil, errors.New("connection refused")
			})
			c := &Config{Config: multicluster.Config{Client: annex, Live: annex, Resolver: root{}}, Workspace: "root", Host: host.CoreV1()}
			result, err := c.reconcile(t.Context(), client.KeyOf(ns))
			if (err != nil) != tc.away {
				t.Fatal(err)
			}
			if left, _ := client.Find[corev1.Namespace](t.Context(), annex, namespaces, client.KeyOf(ns)); (left != nil) != tc.kept {
				t.Errorf("the Namespace is %v", left)
			}
			if again := result.RequeueAfter > 0; again != (tc.kept && !tc.away && tc.label != "" && tc.cluster == "root") {
				t.Errorf("requeued after %v", result.RequeueAfter)
			}
			if tc.cluster != "root" && asked {
				t.Error("a tenant makes the server ask the host")
			}
		})
	}
}
