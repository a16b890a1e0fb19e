package replicas

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/test/framework/annex"
)

var (
	workspaces = tenancyv1alpha1.SchemeGroupVersion.WithResource("workspaces")
	crds       = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	gadgets    = schema.GroupVersionResource{Group: "example.org", Version: "v1", Resource: "gadgets"}
	widgets    = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}
	schemas    = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha1", Resource: "apiresourceschemas"}
	exports    = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha2", Resource: "apiexports"}
	bindings   = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha2", Resource: "apibindings"}
)

const gadgetDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {plural: gadgets, singular: gadget, kind: Gadget, listKind: GadgetList}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {color: {type: string}}}}}}}
`

const widgetSchema = `
apiVersion: apis.kcp.io/v1alpha1
kind: APIResourceSchema
metadata: {name: v1.widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - {name: v1, served: true, storage: true, schema: {type: object, properties: {spec: {type: object, properties: {color: {type: string}}}}}}
`

const widgetExport = `
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: widgets}
spec: {resources: [{name: widgets, group: example.com, schema: v1.widgets.example.com, storage: {crd: {}}}]}
`

const widgetBinding = `
apiVersion: apis.kcp.io/v1alpha2
kind: APIBinding
metadata: {name: widgets}
spec: {reference: {export: {path: %q, name: widgets}}}
`

// object returns what a manifest says.
func object(t *testing.T, manifest string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &obj.Object); err != nil {
		t.Fatal(err)
	}
	return obj
}

func thing(resource schema.GroupVersionResource, kind, name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": resource.GroupVersion().String(), "kind": kind, "metadata": map[string]any{"name": name}, "spec": map[string]any{"color": "red"},
	}}
}

// hasCondition reports whether a condition of obj is True.
func hasCondition(obj *unstructured.Unstructured, name string) bool {
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, item := range conditions {
		if condition, ok := item.(map[string]any); ok && condition["type"] == name && condition["status"] == "True" {
			return true
		}
	}
	return false
}

// create makes obj and waits, at the same replica, until it says that it is done.
func create(t *testing.T, client dynamic.Interface, resource schema.GroupVersionResource, obj *unstructured.Unstructured, done string) {
	t.Helper()
	if _, err := client.Resource(resource).Create(t.Context(), obj, metav1.CreateOptions{}); err != nil {
		t.Fatalf("creating %s %s: %v", resource.Resource, obj.GetName(), err)
	}
	if done == "" {
		return
	}
	annex.Eventually(t, func(ctx context.Context) error {
		got, err := client.Resource(resource).Get(ctx, obj.GetName(), metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !hasCondition(got, done) {
			return fmt.Errorf("%s %s is not %s", resource.Resource, obj.GetName(), done)
		}
		return nil
	})
}

// newWorkspace makes a workspace below root at replica i and returns its path as soon as that replica says that it is Ready.
func (w *world) newWorkspace(t *testing.T, i int, name string) string {
	t.Helper()
	if _, err := annex.NewWorkspace(t.Context(), w.in(t, "root").untyped[i], name, "universal"); err != nil {
		t.Fatal(err)
	}
	return "root:" + name
}

// What one replica has acknowledged is known to the others at once: nothing here is tried twice.
func TestReplicas_KnowWhatOthersHaveAcknowledged(t *testing.T) {
	w := theWorld
	const rounds = 6
	for round := range rounds {
		a, b, c := round%replicas, (round+1)%replicas, (round+2)%replicas
		provider := w.newWorkspace(t, a, fmt.Sprintf("provider-%d", round))
		at := w.in(t, provider)
		create(t, at.untyped[b], schemas, object(t, widgetSchema), "")
		create(t, at.untyped[c], exports, object(t, widgetExport), "IdentityValid")

		consumer := w.newWorkspace(t, b, fmt.Sprintf("consumer-%d", round))
		at = w.in(t, consumer)
		create(t, at.untyped[c], crds, object(t, gadgetDefinition), "Established")
		create(t, at.untyped[a], bindings, object(t, fmt.Sprintf(widgetBinding, provider)), "InitialBindingCompleted")
		for _, made := range []struct {
			resource schema.GroupVersionResource
			kind     string
		}{{gadgets, "Gadget"}, {widgets, "Widget"}} {
			if _, err := at.untyped[b].Resource(made.resource).Namespace("default").Create(t.Context(), thing(made.resource, made.kind, "x"), metav1.CreateOptions{}); err != nil {
				t.Errorf("round %d: a %s at another server: %v", round, made.kind, err)
			}
			list, err := at.untyped[c].Resource(made.resource).Namespace("default").List(t.Context(), metav1.ListOptions{})
			if err != nil || len(list.Items) != 1 {
				t.Errorf("round %d: a %s is not in the list of a third server: %v", round, made.kind, err)
			}
		}
		if _, err := at.typed[a].CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "new"}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := at.typed[b].CoreV1().ConfigMaps("new").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{}); err != nil {
			t.Errorf("round %d: content of a namespace made at another server: %v", round, err)
		}
	}
}

func TestReplicas_KnowWhatIsAllowed(t *testing.T) {
	w := theWorld
	path := w.newWorkspace(t, 0, "granting")
	at := w.in(t, path)
	const rounds = 10
	refused := func(i int, user string) error {
		_, err := w.as(t, i, user, path).CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
		return err
	}
	grant := func(i int, name, user string) error {
		_, err := at.typed[i].RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
		}, metav1.CreateOptions{})
		return err
	}
	// Mallory keeps what she has: a server that refuses her, too, does not know, and lets nobody in.
	if err := grant(0, "mallory", "mallory"); err != nil {
		t.Fatal(err)
	}
	for round := range rounds {
		a, b := round%replicas, (round+1)%replicas
		if err := refused(b, "alice"); !apierrors.IsForbidden(err) {
			t.Fatalf("round %d: alice is let in without a binding: %v", round, err)
		}
		name := fmt.Sprintf("alice-%d", round)
		if err := grant(a, name, "alice"); err != nil {
			t.Fatal(err)
		}
		if err := refused(b, "alice"); err != nil {
			t.Errorf("round %d: alice was let in by server %d, and server %d says %v", round, a, b, err)
		}
		// With what she was just given she gives to others.
		_, err := w.as(t, (round+2)%replicas, "alice", path).RbacV1().Roles("default").Create(t.Context(), &rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"secrets"}}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Errorf("round %d: alice gives what she holds: %v", round, err)
		}
		if err := at.typed[a].RbacV1().ClusterRoleBindings().Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		annex.Eventually(t, func(context.Context) error {
			for i := range replicas {
				if err := refused(i, "alice"); !apierrors.IsForbidden(err) {
					return fmt.Errorf("server %d still lets alice in: %w", i, err)
				}
				if err := refused(i, "mallory"); err != nil {
					t.Errorf("round %d: with alice server %d refuses mallory: %v", round, i, err)
				}
			}
			return nil
		})
	}
}

// The admin kubeconfig of one replica is good at the others, its CA included.
func TestReplicas_ShareTheirAdministrators(t *testing.T) {
	w := theWorld
	for _, kubeContext := range []string{annex.ContextBase, annex.ContextShardBase} {
		for i := range replicas {
			config := w.replicas[0].For(t).Config(kubeContext)
			config.Host = w.replicas[i].URL() + "/clusters/root"
			typed, _ := annex.Clients(t, config)
			if _, err := typed.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); err != nil {
				t.Errorf("context %s of server 0 at server %d: %v", kubeContext, i, err)
			}
		}
	}
}

// A watch goes from one replica to the next by resourceVersion and misses nothing, while all of them write.
func TestReplicas_WatchMovesWithoutAGap(t *testing.T) {
	w := theWorld
	path := w.newWorkspace(t, 1, "watched")
	at := w.in(t, path)
	before, err := at.typed[0].CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const moves, each = 30, 20
	l := w.startLoad(t, path, "watched")
	seen, version := map[string]bool{}, before.ResourceVersion
	for move := range moves {
		config := w.replicas[move%replicas].For(t).Workspace(path)
		typed, _ := annex.Clients(t, config)
		events, err := typed.CoreV1().ConfigMaps("default").Watch(t.Context(), metav1.ListOptions{ResourceVersion: version})
		if err != nil {
			t.Fatalf("moving the watch to server %d: %v", move%replicas, err)
		}
		for range each {
			select {
			case event, open := <-events.ResultChan():
				if !open {
					t.Fatalf("the watch at server %d ended", move%replicas)
				}
				configMap, ok := event.Object.(*corev1.ConfigMap)
				if !ok || event.Type != watch.Added || seen[configMap.Name] {
					t.Fatalf("the watch at server %d shows %s %v", move%replicas, event.Type, event.Object)
				}
				seen[configMap.Name], version = true, configMap.ResourceVersion
			case <-time.After(patience):
				t.Fatalf("the watch at server %d is silent", move%replicas)
			}
		}
		events.Stop()
	}
	l.end()
	// Everything up to where the watch is, and nothing else, was seen.
	all, err := at.typed[0].CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	missed := 0
	for _, item := range all.Items {
		if l.acknowledged[item.Name] && !seen[item.Name] && older(t, item.ResourceVersion, version) {
			missed++
		}
	}
	t.Logf("%d events over %d moves, %d missed", len(seen), moves, missed)
	if missed > 0 {
		t.Errorf("%d objects were created and never seen", missed)
	}
}
