package namespace

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

func bundle() []byte { return []byte("PEM") }

// liveBundle is a bundle that changes.
type liveBundle struct {
	lock     sync.Mutex
	pem      string
	outdated chan struct{}
}

func (b *liveBundle) watch() ([]byte, <-chan struct{}) {
	b.lock.Lock()
	defer b.lock.Unlock()
	return []byte(b.pem), b.outdated
}

func (b *liveBundle) set(pem string) {
	b.lock.Lock()
	defer b.lock.Unlock()
	close(b.outdated)
	b.pem, b.outdated = pem, make(chan struct{})
}

func TestContents(t *testing.T) {
	t.Parallel()
	now := metav1.Now()
	ns := clienttest.In("one", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
	terminating := ns.DeepCopy()
	terminating.DeletionTimestamp = &now
	terminating.Finalizers = []string{"example.com/hold"}
	sa, ca := clienttest.In("one", DefaultServiceAccount("a")), clienttest.In("one", RootCA("a", bundle()))
	old := clienttest.In("one", RootCA("a", []byte("OLD")))
	frozen := old.DeepCopy()
	frozen.Immutable = new(bool)
	*frozen.Immutable = true
	elsewhere := []client.Object{clienttest.In("two", DefaultServiceAccount("a")), clienttest.In("two", RootCA("a", bundle()))}
	broken := errors.New("broken")
	gone := &apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonForbidden, Details: &metav1.StatusDetails{
		Causes: []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}},
	}}}
	both := []string{"create serviceaccounts one|a/default", "create configmaps one|a/kube-root-ca.crt"}
	tests := map[string]struct {
		objects []client.Object
		bundle  func() []byte
		creates error // what creations fail with
		want    []string
		wantErr error
	}{
		"missing namespace":     {objects: elsewhere, bundle: bundle},
		"terminating namespace": {objects: []client.Object{terminating}, bundle: bundle},
		"new namespace":         {objects: append([]client.Object{ns}, elsewhere...), bundle: bundle, want: both},
		"nothing to do":         {objects: []client.Object{ns, sa, ca}, bundle: bundle},
		"no bundle yet":         {objects: []client.Object{ns}, bundle: func() []byte { return nil }, want: both[:1]},
		"other certificates":    {objects: []client.Object{ns, sa, old}, bundle: bundle, want: []string{"update configmaps one|a/kube-root-ca.crt"}},
		"other, and frozen":     {objects: []client.Object{ns, sa, frozen}, bundle: bundle, want: []string{"delete configmaps one|a/kube-root-ca.crt"}},
		"somebody was faster":   {objects: []client.Object{ns}, bundle: bundle, creates: apierrors.NewAlreadyExists(schema.GroupResource{}, "")},
		"the namespace goes":    {objects: []client.Object{ns}, bundle: bundle, creates: gone},
		"creation fails":        {objects: []client.Object{ns}, bundle: bundle, creates: broken, wantErr: broken},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			fake := clienttest.NewFake(tt.objects...)
			if tt.creates != nil {
				fake.Intercept(func(verb string, _ schema.GroupResource, _ client.Key) error {
					if verb == "create" {
						return tt.creates
					}
					return nil
				})
			}
			c := &contents{client: fake, caBundle: tt.bundle}
			if _, err := c.reconcile(t.Context(), client.Key{Cluster: "one", Name: "a"}); !errors.Is(err, tt.wantErr) {
				t.Errorf("got error %v, want %v", err, tt.wantErr)
			}
			if got := fake.Writes(); !slices.Equal(got, tt.want) {
				t.Errorf("got writes %v, want %v", got, tt.want)
			}
			if mutated := fake.Mutated(); len(mutated) > 0 {
				t.Errorf("changed shared objects: %v", mutated)
			}
		})
	}
}

// The controllers as they run: what is deleted comes back, and what terminates is emptied and goes.
func TestSpecs(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	ns := clienttest.In("one", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"kubernetes"}}})
	fake := clienttest.NewFake(ns)
	pem := &liveBundle{pem: "PEM", outdated: make(chan struct{})}
	for _, spec := range Specs(Config{Config: multicluster.Config{Client: fake, Content: clienttest.NewContent(fake)}, CABundle: pem.watch}) {
		running.Go(func() {
			if err := multicluster.Run(ctx, fake, spec); err != nil && ctx.Err() == nil {
				t.Errorf("%s ended: %v", spec.Name, err)
			}
		})
	}
	await := func(name string, key client.Key, until func(client.Object) bool) {
		t.Helper()
		if _, err := fake.Await(ctx, resource(name), key, until); err != nil {
			t.Fatal(err)
		}
	}
	exists := func(obj client.Object) bool { return obj != nil }
	sa := client.Key{Cluster: "one", Namespace: "a", Name: ServiceAccountName}
	ca := client.Key{Cluster: "one", Namespace: "a", Name: RootCAName}
	await("serviceaccounts", sa, exists)
	await("configmaps", ca, exists)
	for name, key := range map[string]client.Key{"serviceaccounts": sa, "configmaps": ca} {
		if err := fake.Delete(ctx, resource(name), key, nil); err != nil {
			t.Fatal(err)
		}
		await(name, key, exists)
	}
	if _, err := fake.Update(ctx, resource("configmaps"), "one", RootCA("a", []byte("forged"))); err != nil {
		t.Fatal(err)
	}
	await("configmaps", ca, func(obj client.Object) bool {
		return obj != nil && obj.(*corev1.ConfigMap).Data[rootCAKey] == "PEM"
	})
	pem.set("NEW PEM")
	await("configmaps", ca, func(obj client.Object) bool {
		return obj != nil && obj.(*corev1.ConfigMap).Data[rootCAKey] == "NEW PEM"
	})
	if err := fake.Delete(ctx, resource("namespaces"), client.KeyOf(ns), nil); err != nil {
		t.Fatal(err)
	}
	gone := func(obj client.Object) bool { return obj == nil }
	await("namespaces", client.KeyOf(ns), gone)
	await("serviceaccounts", sa, gone)
	await("configmaps", ca, gone)
}
