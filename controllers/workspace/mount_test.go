package workspace

import (
	"context"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// contents has some objects that can be mounted.
type contents struct {
	client.Content
	kind    *client.Kind
	object  *unstructured.Unstructured
	watched chan func(client.HeadEvent)
}

func (c *contents) KindOf(_ context.Context, _ logicalcluster.Name, gvk schema.GroupVersionKind) (*client.Kind, error) {
	if gvk != (schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Remote"}) {
		return nil, nil
	}
	return c.kind, nil
}

func (c *contents) Find(_ context.Context, kind client.Kind, key client.Key, _ bool) (*client.Head, error) {
	if c.object == nil || key != (client.Key{Cluster: "root", Namespace: c.object.GetNamespace(), Name: c.object.GetName()}) {
		return nil, nil
	}
	h := client.Head{Resource: kind.Resource, Bucket: kind.Bucket, Cluster: key.Cluster, Namespace: key.Namespace, Name: key.Name}
	return &h, nil
}

func (c *contents) Get(context.Context, client.Head) (client.Object, error) { return c.object, nil }

func (c *contents) Watch(ctx context.Context, _ client.WatchScope, handle func(client.HeadEvent)) error {
	c.watched <- handle
	<-ctx.Done()
	return nil
}

func remote(name string, annotated bool, status map[string]any) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.com/v1", "kind": "Remote", "metadata": map[string]any{"name": name}, "status": status}}
	if annotated {
		obj.SetAnnotations(map[string]string{tenancyv1alpha1.IsMountAnnotationKey: "true"})
	}
	return obj
}

func mountedOn(name string) *tenancyv1alpha1.Workspace {
	return clienttest.In("root", &tenancyv1alpha1.Workspace{
		ObjectMeta: metav1.ObjectMeta{Name: "m", Finalizers: []string{corev1alpha1.LogicalClusterFinalizer}, CreationTimestamp: metav1.Now()},
		Spec:       tenancyv1alpha1.WorkspaceSpec{Mount: &tenancyv1alpha1.Mount{Reference: tenancyv1alpha1.ObjectReference{APIVersion: "example.com/v1", Kind: "Remote", Name: name}}},
		Status:     tenancyv1alpha1.WorkspaceStatus{Phase: corev1alpha1.LogicalClusterPhaseScheduling},
	})
}

func TestMount_FollowsItsObject(t *testing.T) {
	const url = "https://example.com/clusters/x"
	custom := &client.Kind{Resource: schema.GroupResource{Group: "example.com", Resource: "remotes"}, Bucket: client.LocalBucket}
	ready := map[string]any{"URL": url, "phase": "Ready"}
	c := &contents{}
	fake := clienttest.NewFake(mountedOn("a"))
	r := &reconciler{targets: multicluster.NewTargets(), Config: Config{Config: multicluster.Config{Client: fake, Live: fake, Content: c}, Clock: newHouse().clock}}
	key := client.Key{Cluster: "root", Name: "m"}
	for _, step := range []struct {
		name         string
		kind         *client.Kind
		object       *unstructured.Unstructured
		phase        corev1alpha1.LogicalClusterPhaseType
		reason, want string
	}{
		{"nothing serves it", nil, nil, "Unavailable", tenancyv1alpha1.MountObjectNotFoundReason, ""},
		{"the server itself has it", &client.Kind{Resource: custom.Resource}, remote("a", true, ready), "Unavailable", tenancyv1alpha1.MountObjectNotFoundReason, ""},
		{"it has a namespace", &client.Kind{Resource: custom.Resource, Bucket: "crd", Namespaced: true}, remote("a", true, ready), "Unavailable", tenancyv1alpha1.MountObjectNotFoundReason, ""},
		{"it does not exist", custom, remote("b", true, ready), "Unavailable", tenancyv1alpha1.MountObjectNotFoundReason, ""},
		{"it is no mount", custom, remote("a", false, ready), "Unavailable", tenancyv1alpha1.MountAnnotationInvalidReason, ""},
		{"it has no URL", custom, remote("a", true, map[string]any{"phase": "Ready"}), "Unavailable", tenancyv1alpha1.MountObjectNotReadyReason, ""},
		{"its URL is none", custom, remote("a", true, map[string]any{"phase": "Ready", "URL": "http://example.com"}), "Unavailable", tenancyv1alpha1.MountObjectNotReadyReason, ""},
		{"its status is odd", custom, remote("a", true, map[string]any{"phase": int64(1), "URL": url}), "Unavailable", tenancyv1alpha1.MountObjectNotReadyReason, url},
		{"it is ready", custom, remote("a", true, ready), "Ready", "", url},
		{"it moves", custom, remote("a", true, map[string]any{"URL": url + "2", "phase": "Ready"}), "Ready", "", url + "2"},
		{"it is not ready any more", custom, remote("a", true, map[string]any{"URL": url, "phase": "Connecting"}), "Unavailable", tenancyv1alpha1.MountObjectNotReadyReason, url},
		{"it is ready again", custom, remote("a", true, ready), "Ready", "", url},
		{"it is gone", custom, nil, "Unavailable", tenancyv1alpha1.MountObjectNotFoundReason, url},
	} {
		c.kind, c.object = step.kind, step.object
		result, err := r.reconcile(t.Context(), key)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		ws, err := client.Find[tenancyv1alpha1.Workspace](t.Context(), fake, workspaces, key)
		if err != nil {
			t.Fatal(err)
		}
		if got := conditionsv1alpha1.GetReason(ws, tenancyv1alpha1.MountConditionReady); ws.Status.Phase != step.phase || ws.Spec.URL != step.want || got != step.reason ||
			ws.Labels[tenancyv1alpha1.WorkspacePhaseLabel] != string(step.phase) || ws.Spec.Cluster != "" {
			t.Errorf("%s: phase %s, URL %q, reason %q, %+v", step.name, ws.Status.Phase, ws.Spec.URL, got, ws.Status.Conditions)
		}
		if again := result.RequeueAfter > 0; again != (step.reason != "") {
			t.Errorf("%s: it is looked at again: %t", step.name, again)
		}
	}
	// There is no logical cluster that its deletion would wait for.
	if err := fake.Delete(t.Context(), workspaces, key, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.reconcile(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if ws, err := client.Find[tenancyv1alpha1.Workspace](t.Context(), fake, workspaces, key); err != nil || ws != nil {
		t.Errorf("after its deletion: %+v, %v", ws, err)
	}
	if !r.targets.Empty() {
		t.Error("it is still followed")
	}
}

func TestTargets_QueueWhatIsMounted(t *testing.T) {
	c := &contents{watched: make(chan func(client.HeadEvent), 1)}
	r := &reconciler{targets: multicluster.NewTargets(), Config: Config{Config: multicluster.Config{Content: c}}}
	ctx, cancel := context.WithCancel(t.Context())
	queued := make(chan client.Key, 8)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.targets.Feed(r.Content)(ctx, func(key client.Key, _ time.Duration) { queued <- key })
	}()
	select {
	case <-c.watched:
		t.Fatal("it watches although nothing is mounted")
	case <-time.After(20 * time.Millisecond):
	}
	one, two := client.Key{Cluster: "root", Name: "one"}, client.Key{Cluster: "root", Name: "two"}
	r.targets.Follow(one, targetOf(mountedOn("a")))
	handle := <-c.watched
	r.targets.Follow(two, targetOf(mountedOn("b")))
	head := func(group, name string, cluster logicalcluster.Name) client.Head {
		return client.Head{Resource: schema.GroupResource{Group: group, Resource: "remotes"}, Cluster: cluster, Name: name}
	}
	for _, step := range []struct {
		event client.HeadEvent
		want  []client.Key
	}{
		{client.HeadEvent{Type: client.Modified, Head: head("example.com", "a", "root")}, []client.Key{one}},
		{client.HeadEvent{Type: client.Deleted, Head: head("example.com", "b", "root")}, []client.Key{two}},
		{client.HeadEvent{Type: client.Modified, Head: head("example.org", "a", "root")}, nil},
		{client.HeadEvent{Type: client.Modified, Head: head("example.com", "a", "other")}, nil},
		{client.HeadEvent{Type: client.Synced, Source: "cr/1"}, nil},
		{client.HeadEvent{Type: client.Synced}, []client.Key{one, two}},
	} {
		handle(step.event)
		var got []client.Key
		for len(queued) > 0 {
			got = append(got, <-queued)
		}
		slices.SortFunc(got, func(a, b client.Key) int { return int(a.Name[0]) - int(b.Name[0]) })
		if !slices.Equal(got, step.want) {
			t.Errorf("%+v queues %v, want %v", step.event, got, step.want)
		}
	}
	r.targets.Follow(one, targetOf(mountedOn("b"))) // it cannot change, but nothing would be left behind
	r.targets.Follow(one)
	r.targets.Follow(two)
	if !r.targets.Empty() {
		t.Error("something stays")
	}
	cancel()
	<-done
}
