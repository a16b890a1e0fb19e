package integration

import (
	"context"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/annex-dev/annex/test/framework/annex"
)

// A workspace that nobody has touched is two keys in etcd. Clients cannot tell: what is not stored can be read, watched, changed,
// deleted and created like anything else.
func TestRendered_WhatAWorkspaceContainsFromTheBeginning(t *testing.T) {
	s := start(t)
	etcd, ctx := etcdOf(t, s), t.Context()
	name := uniqueName("ws")
	path, cluster := newWorkspace(t, s, "root", name)
	if keys := keysOf(ctx, t, etcd, cluster); keys != 1 {
		t.Errorf("a new workspace has %d keys besides its Workspace, want its LogicalCluster", keys)
	}
	typed, _ := annex.Clients(t, s.Workspace(path))
	all, err := typed.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil || len(all.Items) != 2 {
		t.Fatalf("namespaces %v, %v", all, err)
	}
	for _, ns := range all.Items {
		root, err := typed.CoreV1().ConfigMaps(ns.Name).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
		if err != nil || root.Data["ca.crt"] == "" || root.UID == "" || root.CreationTimestamp.IsZero() || root.ResourceVersion != ns.ResourceVersion {
			t.Errorf("%v, %v in %s", root, err, ns.Name)
		}
		if _, err := typed.CoreV1().ServiceAccounts(ns.Name).Get(ctx, "default", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	}
	namespaces, err := typed.CoreV1().Namespaces().Watch(ctx, metav1.ListOptions{ResourceVersion: all.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	defer namespaces.Stop()
	next := func(w watch.Interface, kind watch.EventType, name string) {
		t.Helper()
		event := <-w.ResultChan()
		object, ok := event.Object.(metav1.Object)
		if !ok || event.Type != kind || object.GetName() != name {
			t.Fatalf("event %v, want %s of %s", event, kind, name)
		}
	}

	// A watch of all clusters that broke between two of the objects, which came in one revision, gets both again.
	everywhere := s.Config(annex.ContextShardBase)
	everywhere.Host = s.URL() + "/clusters/*"
	wildcard, _ := annex.Clients(t, everywhere)
	resumed, err := wildcard.CoreV1().Namespaces().Watch(ctx, metav1.ListOptions{ResourceVersion: all.Items[0].ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	defer resumed.Stop()
	next(resumed, watch.Added, "default")
	next(resumed, watch.Added, "kube-system")

	// The first change stores it; its UID stays.
	was, err := typed.CoreV1().Namespaces().Get(ctx, "default", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	is, err := typed.CoreV1().Namespaces().Patch(ctx, "default", types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{})
	if err != nil || is.UID != was.UID || !is.CreationTimestamp.Equal(&was.CreationTimestamp) || is.ResourceVersion == was.ResourceVersion {
		t.Errorf("%v, %v after %v", is, err, was)
	}
	next(namespaces, watch.Modified, "default")
	if _, err := typed.CoreV1().Namespaces().Update(ctx, was, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("an update of the old state: %v", err)
	}
	if keys := keysOf(ctx, t, etcd, cluster); keys != 2 {
		t.Errorf("%d keys after one change", keys)
	}

	// So it is with a deletion.
	bindings := typed.RbacV1().ClusterRoleBindings()
	list, err := bindings.List(ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("ClusterRoleBindings %v, %v", list, err)
	}
	w, err := bindings.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	admin := list.Items[0]
	again := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: admin.Name}, RoleRef: admin.RoleRef, Subjects: admin.Subjects}
	if _, err := bindings.Create(ctx, again, metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		t.Errorf("creating what is there: %v", err)
	}
	if err := bindings.Delete(ctx, admin.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(admin.UID))}); err != nil {
		t.Fatal(err)
	}
	next(w, watch.Deleted, admin.Name)
	// The server restores this one, which is a new object.
	next(w, watch.Added, admin.Name)
	restored, err := bindings.Get(ctx, admin.Name, metav1.GetOptions{})
	if err != nil || restored.UID == admin.UID {
		t.Errorf("restored: %v, %v", restored, err)
	}
	if list, err := bindings.List(ctx, metav1.ListOptions{}); err != nil || len(list.Items) != 1 {
		t.Errorf("ClusterRoleBindings %v, %v", list, err)
	}

	// All of it is deleted, and a watch of all clusters that broke meanwhile learns it.
	everything, err := wildcard.CoreV1().ServiceAccounts("").List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := wildcard.CoreV1().ServiceAccounts("").Watch(ctx, metav1.ListOptions{ResourceVersion: everything.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	defer accounts.Stop()
	_, parent := annex.Clients(t, s.Workspace("root"))
	gone(t, parent.Resource(workspaces), name)
	var last watch.Event
	for range 2 {
		if last = <-accounts.ResultChan(); last.Type != watch.Deleted {
			t.Fatalf("event %v, want a deletion", last)
		}
	}
	deleted, ok := last.Object.(metav1.Object)
	if !ok {
		t.Fatalf("event %v", last)
	}
	after, err := wildcard.CoreV1().ServiceAccounts("").Watch(ctx, metav1.ListOptions{ResourceVersion: deleted.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	defer after.Stop()
	next(after, watch.Deleted, "default")
	next(after, watch.Deleted, "default")
	eventually(t, "nothing is left in etcd", func(ctx context.Context) (bool, error) { return keysOf(ctx, t, etcd, cluster) == 0, nil })
}
