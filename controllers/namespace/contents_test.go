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

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

func bundle() []byte { return []byte("PEM") }

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
			c := &contents{client: fake, content: clienttest.NewContent(fake), caBundle: tt.bundle}
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

// Nobody looks at namespaces that have what they should, nor into the ConfigMaps that workspaces have from the beginning.
func TestContents_WhatIsLookedAt(t *testing.T) {
	at := func(version string, obj client.Object) client.Object {
		obj = clienttest.In("one", obj)
		obj.SetResourceVersion(version)
		return obj
	}
	meta := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name}
	}
	fake := clienttest.NewFake(
		clienttest.In("one", &corev1.Namespace{ObjectMeta: meta("", "whole")}), clienttest.In("one", DefaultServiceAccount("whole")), clienttest.In("one", RootCA("whole", nil)),
		clienttest.In("one", &corev1.Namespace{ObjectMeta: meta("", "empty")}),
		clienttest.In("one", &corev1.Namespace{ObjectMeta: meta("", "half")}), clienttest.In("one", RootCA("half", nil)),
		clienttest.In("two", DefaultServiceAccount("half")),
	)
	c := &contents{client: fake, content: clienttest.NewContent(fake)}
	key := func(name string) []client.Key { return []client.Key{{Cluster: "one", Name: name}} }
	going := &corev1.Namespace{ObjectMeta: meta("", "empty")}
	going.DeletionTimestamp = &metav1.Time{}
	version := func(name string) string {
		obj, err := fake.Get(t.Context(), resource("namespaces"), key(name)[0])
		if err != nil {
			t.Fatal(err)
		}
		return obj.GetResourceVersion()
	}
	for name, tc := range map[string]struct {
		keys func(context.Context, client.HeadEvent) ([]client.Key, error)
		kind string
		typ  client.EventType
		obj  client.Object
		want []client.Key
	}{
		"a namespace that has all":                 {c.incomplete, "namespaces", client.Added, at("1", &corev1.Namespace{ObjectMeta: meta("", "whole")}), nil},
		"one that has nothing":                     {c.incomplete, "namespaces", client.Added, at("1", &corev1.Namespace{ObjectMeta: meta("", "empty")}), key("empty")},
		"one that has half":                        {c.incomplete, "namespaces", client.Added, at("1", &corev1.Namespace{ObjectMeta: meta("", "half")}), key("half")},
		"one that is being deleted":                {c.incomplete, "namespaces", client.Modified, at("1", going), nil},
		"one that is gone":                         {c.incomplete, "namespaces", client.Deleted, at("1", &corev1.Namespace{ObjectMeta: meta("", "empty")}), nil},
		"a ServiceAccount that is gone":            {lostServiceAccount, "serviceaccounts", client.Deleted, at("1", DefaultServiceAccount("whole")), key("whole")},
		"one that is there":                        {lostServiceAccount, "serviceaccounts", client.Added, at("1", DefaultServiceAccount("whole")), nil},
		"another ServiceAccount":                   {lostServiceAccount, "serviceaccounts", client.Deleted, at("1", &corev1.ServiceAccount{ObjectMeta: meta("whole", "x")}), nil},
		"a ConfigMap that came with its namespace": {c.lostRootCA, "configmaps", client.Added, at(version("whole"), RootCA("whole", nil)), nil},
		"one that came later":                      {c.lostRootCA, "configmaps", client.Added, at("99", RootCA("whole", nil)), key("whole")},
		"one that has changed":                     {c.lostRootCA, "configmaps", client.Modified, at(version("whole"), RootCA("whole", nil)), key("whole")},
		"one that is gone, which is lost":          {c.lostRootCA, "configmaps", client.Deleted, at("99", RootCA("whole", nil)), key("whole")},
		"another ConfigMap":                        {c.lostRootCA, "configmaps", client.Modified, at("99", &corev1.ConfigMap{ObjectMeta: meta("whole", "x")}), nil},
	} {
		got, err := tc.keys(t.Context(), client.HeadEvent{Type: tc.typ, Head: client.HeadOf(resource(tc.kind), "", tc.obj)})
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, tc.want)
		}
	}
}

// The controllers as they run: what is deleted comes back, and what terminates is emptied and goes.
// Whatever ConfigMap contains other certificates is brought up to date, each a little after the one before.
func TestContents_QueuesWhatIsOutdated(t *testing.T) {
	t.Parallel()
	in := func(cluster logicalcluster.Name, namespace, data string) client.Object {
		return clienttest.In(cluster, RootCA(namespace, []byte(data)))
	}
	other := in("one", "d", "OLD").(*corev1.ConfigMap)
	other.Name = "another"
	c := &contents{client: clienttest.NewFake(in("one", "a", "OLD"), in("one", "b", "OLD"), in("one", "d", "PEM"), other, in("two", "a", "OLD"))}
	var got []string
	if err := c.queueOutdated(t.Context(), bundle(), func(key client.Key, after time.Duration) {
		if after != time.Duration(len(got))*bundlePace {
			t.Errorf("%s waits %s", key, after)
		}
		got = append(got, key.String())
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"one|a", "one|b", "two|a"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := c.queueOutdated(ended, bundle(), nil); err == nil {
		t.Error("a list that ends early is no error")
	}
}

func TestSpecs(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	ns := clienttest.In("one", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"kubernetes"}}})
	fake := clienttest.NewFake(ns)
	pem := clienttest.NewBundle("PEM")
	for _, spec := range Specs(Config{Config: multicluster.Config{Client: fake, Content: clienttest.NewContent(fake)}, CABundle: pem.Watch}) {
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
	pem.Set("NEW PEM")
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
