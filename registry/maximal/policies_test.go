package maximal

import (
	"context"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

func export(cluster logicalcluster.Name, name string, limited bool) *apisv1alpha2.APIExport {
	e := &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if limited {
		e.Spec.MaximalPermissionPolicy = &apisv1alpha2.MaximalPermissionPolicy{Local: &apisv1alpha2.LocalAPIExportPolicy{}}
	}
	return clienttest.In(cluster, e)
}

func workspace(cluster logicalcluster.Name, deleting bool) *corev1alpha1.LogicalCluster {
	lc := &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: corev1alpha1.LogicalClusterName}}
	if deleting {
		lc.DeletionTimestamp, lc.Finalizers = &metav1.Time{Time: time.Now()}, []string{"test/hold"}
	}
	return clienttest.In(cluster, lc)
}

func TestPolicies_Of(t *testing.T) {
	p := New(clienttest.NewFake(
		workspace("a", false), export("a", "limited", true), export("a", "free", false),
		workspace("deleting", true), export("deleting", "limited", true), export("deleting", "free", false),
		export("gone", "left", true),
	), nil)
	for _, tc := range []struct {
		cluster, name string
		want          State
	}{
		{"a", "limited", Limited},
		{"a", "free", Free},
		{"a", "other", Missing},
		{"deleting", "limited", Limited},
		{"deleting", "free", Free},
		{"deleting", "other", Unknown},
		{"gone", "left", Limited},
		{"gone", "limited", Unknown},
		{"elsewhere", "limited", Unknown},
	} {
		got, err := p.Of(t.Context(), client.Key{Cluster: logicalcluster.Name(tc.cluster), Name: tc.name})
		if err != nil || got != tc.want {
			t.Errorf("%s in %s: %v, %v; want %v", tc.name, tc.cluster, got, err, tc.want)
		}
	}
	if got, err := p.Of(t.Context(), client.Key{Name: "limited"}); err == nil || got != Unknown {
		t.Errorf("an export of no cluster: %v, %v", got, err)
	}
}

func TestPolicies_FollowExports(t *testing.T) {
	fake := clienttest.NewFake(workspace("a", false), export("a", "e", false))
	p := New(fake, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	poll := func(is func() (bool, error)) error {
		return wait.PollUntilContextTimeout(t.Context(), time.Millisecond, time.Minute, true, func(context.Context) (bool, error) { return is() })
	}
	if err := poll(func() (bool, error) { return p.view.InStep(), nil }); err != nil {
		t.Fatal(err)
	}
	key := client.Key{Cluster: "a", Name: "e"}
	await := func(want State) {
		t.Helper()
		var got State
		if err := poll(func() (_ bool, err error) {
			got, err = p.Of(t.Context(), key)
			return got == want, err
		}); err != nil {
			t.Fatalf("state %v, want %v: %v", got, want, err)
		}
	}
	await(Free)
	if bytes, limit := p.Bytes(); bytes == 0 || bytes > limit {
		t.Errorf("%d of %d bytes are kept", bytes, limit)
	}
	stored, err := fake.Get(t.Context(), exports, key)
	if err != nil {
		t.Fatal(err)
	}
	limited := stored.DeepCopyObject().(*apisv1alpha2.APIExport)
	limited.Spec.MaximalPermissionPolicy = &apisv1alpha2.MaximalPermissionPolicy{Local: &apisv1alpha2.LocalAPIExportPolicy{}}
	if _, err := fake.Update(t.Context(), exports, "a", limited); err != nil {
		t.Fatal(err)
	}
	await(Limited)
	if err := fake.Delete(t.Context(), exports, key, nil); err != nil {
		t.Fatal(err)
	}
	await(Missing)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestPolicies_StorageThatFails(t *testing.T) {
	fake := clienttest.NewFake(workspace("a", false), export("a", "free", false))
	broken := errors.New("etcd is gone")
	fake.Intercept(func(string, schema.GroupResource, client.Key) error { return broken })
	if got, err := New(fake, nil).Of(t.Context(), client.Key{Cluster: "a", Name: "free"}); got != Unknown || !errors.Is(err, broken) {
		t.Errorf("%v, %v", got, err)
	}
}
