package namespacelifecycle

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

func namespace(cluster logicalcluster.Name, phase corev1.NamespacePhase) *corev1.Namespace {
	return clienttest.In(cluster, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Status: corev1.NamespaceStatus{Phase: phase}})
}

func attributes(op admission.Operation, group, resource, namespace, name string) admission.Attributes {
	var options runtime.Object = &metav1.CreateOptions{}
	if op == admission.Delete {
		options = &metav1.DeleteOptions{}
	}
	return admission.NewAttributesRecord(nil, nil, schema.GroupVersionKind{Group: group, Version: "v1", Kind: "Some"}, namespace, name,
		schema.GroupVersionResource{Group: group, Version: "v1", Resource: resource}, "", op, options, false, nil)
}

func TestPlugin_Content(t *testing.T) {
	t.Parallel()
	in := logicalcluster.WithCluster(t.Context(), "one")
	active, going := namespace("one", corev1.NamespaceActive), namespace("one", corev1.NamespaceTerminating)
	elsewhere := namespace("two", corev1.NamespaceActive)
	create := attributes(admission.Create, "", "configmaps", "a", "x")
	tests := map[string]struct {
		ctx          context.Context
		cached, live []client.Object
		attributes   admission.Attributes
		want         func(error) bool // nil for success
	}{
		"active":                      {in, []client.Object{active}, nil, create, nil},
		"the cache is behind":         {in, nil, []client.Object{active}, create, nil},
		"recreated behind the cache":  {in, []client.Object{going}, []client.Object{active}, create, nil},
		"missing":                     {in, nil, nil, create, apierrors.IsNotFound},
		"only in another cluster":     {in, []client.Object{elsewhere}, []client.Object{elsewhere}, create, apierrors.IsNotFound},
		"terminating":                 {in, []client.Object{going}, []client.Object{going}, create, isTerminating},
		"no cluster":                  {t.Context(), []client.Object{active}, nil, create, apierrors.IsInternalError},
		"wildcard":                    {logicalcluster.WithWildcard(t.Context()), []client.Object{active}, nil, create, apierrors.IsInternalError},
		"updates pass":                {in, nil, nil, attributes(admission.Update, "", "configmaps", "a", "x"), nil},
		"deletions pass":              {in, nil, nil, attributes(admission.Delete, "", "configmaps", "a", "x"), nil},
		"cluster-scoped objects pass": {in, nil, nil, attributes(admission.Create, "rbac.authorization.k8s.io", "clusterroles", "", "x"), nil},
		"namespaces pass":             {in, nil, nil, attributes(admission.Create, "", "namespaces", "a", "a"), nil},
		"reviews pass":                {in, nil, nil, attributes(admission.Create, "authorization.k8s.io", "localsubjectaccessreviews", "a", ""), nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := New(clienttest.NewFake(tt.cached...), clienttest.NewFake(tt.live...))
			if err := p.ValidateInitialization(); err != nil {
				t.Fatal(err)
			}
			err := p.Admit(tt.ctx, tt.attributes, nil)
			if (tt.want == nil && err != nil) || (tt.want != nil && !tt.want(err)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func isTerminating(err error) bool {
	return apierrors.IsForbidden(err) && apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

func TestPlugin_Deletion(t *testing.T) {
	t.Parallel()
	in := logicalcluster.WithCluster(t.Context(), "one")
	lives := clienttest.In("one", &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster"}})
	now := metav1.Now()
	goes := lives.DeepCopy()
	goes.DeletionTimestamp = &now
	tests := map[string]struct {
		name         string
		cached, live []client.Object
		want         bool
	}{
		"an ordinary namespace":                {"a", nil, nil, true},
		"default":                              {"default", []client.Object{lives}, []client.Object{lives}, false},
		"kube-system":                          {"kube-system", []client.Object{lives}, []client.Object{lives}, false},
		"kube-public in a system cluster":      {"kube-public", nil, nil, false},
		"default, the cluster goes":            {"default", []client.Object{goes}, nil, true},
		"default, the cache does not know yet": {"default", []client.Object{lives}, []client.Object{goes}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := New(clienttest.NewFake(tt.cached...), clienttest.NewFake(tt.live...))
			err := p.Admit(in, attributes(admission.Delete, "", "namespaces", tt.name, tt.name), nil)
			if (err == nil) != tt.want || (err != nil && !apierrors.IsForbidden(err)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A namespace whose deletion passed here takes no content any more, though the cache still says it is active.
func TestPlugin_ContentAfterDeletion(t *testing.T) {
	t.Parallel()
	in := logicalcluster.WithCluster(t.Context(), "one")
	cached := clienttest.NewFake(namespace("one", corev1.NamespaceActive), namespace("two", corev1.NamespaceActive))
	live := clienttest.NewFake(namespace("one", corev1.NamespaceTerminating))
	p := New(cached, live)
	create := attributes(admission.Create, "", "configmaps", "a", "x")
	if err := p.Admit(in, create, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Admit(in, attributes(admission.Delete, "", "namespaces", "a", "a"), nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Admit(in, create, nil); !isTerminating(err) {
		t.Errorf("got %v", err)
	}
	if err := p.Admit(logicalcluster.WithCluster(t.Context(), "two"), create, nil); err != nil {
		t.Errorf("in another cluster: %v", err)
	}
}

func TestPlugin_ReadErrors(t *testing.T) {
	t.Parallel()
	in := logicalcluster.WithCluster(t.Context(), "one")
	broken := clienttest.NewFake()
	broken.Intercept(func(string, schema.GroupResource, client.Key) error { return errors.New("broken") })
	for _, p := range []*Plugin{New(broken, clienttest.NewFake()), New(clienttest.NewFake(), broken)} {
		for _, a := range []admission.Attributes{
			attributes(admission.Create, "", "configmaps", "a", "x"), attributes(admission.Delete, "", "namespaces", "default", "default"),
		} {
			if err := p.Admit(in, a, nil); !apierrors.IsInternalError(err) {
				t.Errorf("got %v", err)
			}
		}
	}
	if err := New(nil, nil).ValidateInitialization(); err == nil {
		t.Error("a plugin without readers is not refused")
	}
}
