package apibinding

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/tenancy/typeresolution"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

func TestFinalize(t *testing.T) {
	widgets := schemaOf("v1", "widgets", "Widget")
	f := newFixture(t, widgets, exportOf("things", widgets), bindingTo("b", "provider", "things"))
	f.run("b")
	key := client.Key{Cluster: consumer, Name: "b"}
	f.delete(bindings, key)

	f.instances.left[groupResource("example.com", "widgets")] = 2
	result, err := f.reconcile(t.Context(), key)
	if err != nil || result.RequeueAfter == 0 {
		t.Fatalf("result = %v, %v", result, err)
	}
	binding := f.binding("b")
	if got := condition(binding, apisv1alpha2.BindingResourceDeleteSuccess); got != "False SomeResourcesRemain" {
		t.Errorf("BindingResourceDeleteSuccess = %s", got)
	}
	if message := conditionsv1alpha1.GetMessage(binding, apisv1alpha2.BindingResourceDeleteSuccess); !strings.Contains(message, "widgets.example.com has 2") {
		t.Errorf("message = %q", message)
	}
	if condition(binding, conditionsv1alpha1.ReadyCondition) != "True" {
		t.Error("a binding that is being deleted is no longer ready")
	}

	f.now = func() time.Time { return time.Now().Add(time.Hour) }
	if result, err = f.reconcile(t.Context(), key); err != nil || result.RequeueAfter != latest {
		t.Errorf("after an hour: result = %v, %v", result, err)
	}

	f.instances.err = errors.New("etcd is gone")
	if _, err := f.reconcile(t.Context(), key); err == nil {
		t.Error("no error")
	}
	if got := condition(f.binding("b"), apisv1alpha2.BindingResourceDeleteSuccess); got != "False ContentDeletionFailed" {
		t.Errorf("BindingResourceDeleteSuccess = %s", got)
	}

	f.instances.err, f.instances.left, f.instances.deleted = nil, nil, nil
	f.run("b")
	if f.binding("b") != nil {
		t.Error("the binding is still there")
	}
	if diff := cmp.Diff([]string{"consumer widgets.example.com hash-things"}, f.instances.deleted); diff != "" {
		t.Error(diff)
	}
}

func TestFinalize_LeavesItToAClusterThatGoes(t *testing.T) {
	cluster := clienttest.In(consumer, &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{
		Name: corev1alpha1.LogicalClusterName, DeletionTimestamp: &metav1.Time{Time: time.Now()}, Finalizers: []string{corev1alpha1.LogicalClusterDeletionFinalizer},
	}})
	f := newFixture(t, cluster, bindingTo("b", "provider", "missing"))
	f.run("b")
	key := client.Key{Cluster: consumer, Name: "b"}
	f.delete(bindings, key)
	now := time.Now()
	f.now = func() time.Time { return now }
	if result, err := f.reconcile(t.Context(), key); err != nil || result.RequeueAfter <= 0 || f.binding("b") == nil {
		t.Errorf("result = %v, %v; binding %v", result, err, f.binding("b"))
	}
	now = now.Add(time.Minute)
	f.run("b")
	if f.binding("b") != nil {
		t.Error("it waits for ever")
	}
}

func TestFinalize_NeverBound(t *testing.T) {
	f := newFixture(t, bindingTo("b", "provider", "missing"))
	f.run("b")
	f.delete(bindings, client.Key{Cluster: consumer, Name: "b"})
	f.run("b")
	if f.binding("b") != nil || len(f.instances.deleted) > 0 {
		t.Errorf("binding %v, deleted %v", f.binding("b"), f.instances.deleted)
	}
}

func TestFinalize_TypedResources(t *testing.T) {
	source := schemaIn(logicalcluster.Root, "tenancy.kcp.io", "v1", "workspaces", "Workspace")
	mine := clienttest.In(consumer, &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "mine"}})
	other := clienttest.In("elsewhere", &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "other"}})
	f := newFixture(t, source, clienttest.In(logicalcluster.Root, exportOf("tenancy.kcp.io", source)), bindingTo("b", "root", "tenancy.kcp.io"), mine, other)
	f.run("b")
	f.delete(bindings, client.Key{Cluster: consumer, Name: "b"})
	f.run("b")
	left, err := f.fake.List(t.Context(), tenancyv1alpha1.Resource("workspaces"), client.Scope{})
	if err != nil || len(left) != 1 || left[0].GetName() != "other" || f.binding("b") != nil {
		t.Errorf("workspaces left: %v, %v; binding %v", left, err, f.binding("b"))
	}
}

func TestFinalize_Adoption(t *testing.T) {
	widgets := schemaOf("v1", "widgets", "Widget")
	twin := exportOf("twin", widgets)
	twin.Status.IdentityHash = "hash-things"
	stranger := exportOf("stranger", widgets)
	for name, tc := range map[string]struct {
		other   *apisv1alpha2.APIBinding
		adopted bool
	}{
		"an export of the same identity": {bindingTo("other", "provider", "twin"), true},
		"the same export":                {bindingTo("other", "provider", "things"), true},
		"an export of another identity":  {bindingTo("other", "provider", "stranger"), false},
		"an export that is missing":      {bindingTo("other", "provider", "missing"), false},
		"a workspace that is missing":    {bindingTo("other", "root:nowhere", "twin"), false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, widgets, exportOf("things", widgets), twin, stranger, bindingTo("b", "provider", "things"))
			f.run("b")
			f.create(bindings, consumer, tc.other)
			f.run("other")
			f.delete(bindings, client.Key{Cluster: consumer, Name: "b"})
			f.run("b")
			if f.binding("b") != nil {
				t.Fatal("the binding is still there")
			}
			if adopted := len(f.instances.deleted) == 0; adopted != tc.adopted {
				t.Errorf("deleted: %v", f.instances.deleted)
			}
			if tc.adopted {
				if successor := f.run("other"); condition(successor, conditionsv1alpha1.ReadyCondition) != "True" || successor.Status.BoundResources[0].Schema.UID != string(widgets.UID) {
					t.Errorf("successor: %+v", successor.Status)
				}
			}
		})
	}
}

func TestFinalize_TwoThatGoTogetherDoNotAdopt(t *testing.T) {
	widgets := schemaOf("v1", "widgets", "Widget")
	f := newFixture(t, widgets, exportOf("things", widgets), bindingTo("a", "provider", "things"), bindingTo("b", "provider", "things"))
	f.run("a")
	f.run("b")
	f.delete(bindings, client.Key{Cluster: consumer, Name: "a"})
	f.delete(bindings, client.Key{Cluster: consumer, Name: "b"})
	f.run("a")
	if len(f.instances.deleted) != 1 {
		t.Errorf("deleted: %v", f.instances.deleted)
	}
}

func TestCleanUp(t *testing.T) {
	widgets := schemaOf("v1", "widgets", "Widget")
	uid := string(widgets.UID)
	f := newFixture(t, widgets, exportOf("things", widgets), bindingTo("b", "provider", "things"))
	binding := f.run("b")
	// The index knows nothing yet, as after a start.
	if f.clean(uid); !f.hasDefinition(uid) {
		t.Fatal("a definition in use was deleted before the index was filled")
	}
	clienttest.Keys(t)(f.released(t.Context(), client.Event{Type: client.Added, Object: binding}))
	if f.clean(uid); !f.hasDefinition(uid) {
		t.Fatal("a definition in use was deleted")
	}
	f.delete(bindings, client.Key{Cluster: consumer, Name: "b"})
	f.run("b")
	if diff := cmp.Diff([]client.Key{definitionKey(uid)}, clienttest.Keys(t)(f.released(t.Context(), client.Event{Type: client.Deleted, Object: binding}))); diff != "" {
		t.Error(diff)
	}
	if f.clean(uid); f.hasDefinition(uid) {
		t.Error("the definition outlives its last binding")
	}
	if f.clean(uid).RequeueAfter != 0 {
		t.Error("a definition that is gone is looked at again")
	}
}

func TestCleanUp_AfterASchemaWasReplaced(t *testing.T) {
	widgets, newer := schemaOf("v1", "widgets", "Widget"), schemaOf("v2", "widgets", "Widget")
	f := newFixture(t, widgets, newer, exportOf("things", widgets), bindingTo("b", "provider", "things"))
	clienttest.Keys(t)(f.released(t.Context(), client.Event{Type: client.Added, Object: f.run("b")}))
	export := exportOf("things", newer)
	stored, err := f.fake.Get(t.Context(), exports, client.KeyOf(export))
	if err != nil {
		t.Fatal(err)
	}
	export.ResourceVersion, export.UID = stored.GetResourceVersion(), stored.GetUID()
	f.update(exports, provider, export)
	left := clienttest.Keys(t)(f.released(t.Context(), client.Event{Type: client.Modified, Object: f.run("b")}))
	if diff := cmp.Diff([]client.Key{definitionKey(string(widgets.UID))}, left); diff != "" {
		t.Error(diff)
	}
	f.clean(string(widgets.UID))
	f.clean(string(newer.UID))
	if f.hasDefinition(string(widgets.UID)) || !f.hasDefinition(string(newer.UID)) {
		t.Error("the wrong definition was deleted")
	}
}

func TestCleanUp_SparesExpectedBindings(t *testing.T) {
	widgets := schemaOf("v1", "widgets", "Widget")
	f := newFixture(t, widgets, exportOf("things", widgets))
	now := time.Now()
	f.now = func() time.Time { return now }
	if _, err := f.FinalBinding(t.Context(), consumer, typeresolution.DefaultBinding{Path: "provider", Export: "things"}); err != nil {
		t.Fatal(err)
	}
	if result := f.clean(string(widgets.UID)); result.RequeueAfter == 0 || !f.hasDefinition(string(widgets.UID)) {
		t.Errorf("result = %v, definition there: %v", result, f.hasDefinition(string(widgets.UID)))
	}
	// Nobody has created it.
	now = now.Add(2 * patience)
	if f.clean(string(widgets.UID)); f.hasDefinition(string(widgets.UID)) {
		t.Error("the definition of a binding that never came is still there")
	}
}
