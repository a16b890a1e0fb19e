package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	rules "github.com/annex-dev/annex/apis/annex/rollout"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/test/framework/annex"
)

var (
	rollouts  = annexv1alpha1.SchemeGroupVersion.WithResource("apiexportrollouts")
	widgetsV2 = schema.GroupVersionResource{Group: "example.com", Version: "v2", Resource: "widgets"}
)

// Consumers are canaries by a label of their binding, half of the others, and the rest.
const widgetRollout = `
apiVersion: annex.dev/v1alpha1
kind: APIExportRollout
metadata: {name: widgets}
spec:
  waves:
  - {selector: {matchLabels: {ring: canary}}, pause: {}}
  - {percentage: 50}
`

// nextSchema narrows size, adds color, and serves a second version. Objects are stored in v1 as before.
const nextSchema = `
apiVersion: apis.kcp.io/v1alpha1
kind: APIResourceSchema
metadata: {name: v2.widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  conversion: {strategy: None}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer, maximum: 100}, color: {type: string}}}, status: {type: object, properties: {ready: {type: boolean}}}}}
  - name: v2
    served: true
    storage: false
    subresources: {status: {}}
    schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer, maximum: 100}, color: {type: string}}}, status: {type: object, properties: {ready: {type: boolean}}}}}
`

// storedInV2 is a schema whose objects nobody could read who returns to the first one.
var storedInV2 = strings.NewReplacer("v2.widgets", "v3.widgets", "storage: true", "storage: false", "storage: false", "storage: true").Replace(nextSchema)

// rolling is a provider with consumers.
type rolling struct {
	t        *testing.T
	s        *annex.Server
	producer string
	cluster  string // of the producer
	provider dynamic.Interface
	all      dynamic.Interface // the provider's endpoint
	// paths and clients are by cluster, waves by cluster too.
	paths   map[string]string
	clients map[string]dynamic.Interface
	waves   map[string]int32
}

func newRolling(t *testing.T, many int) *rolling {
	s := start(t)
	producer, cluster := newWorkspace(t, s, "root", uniqueName("provider"))
	r := &rolling{t: t, s: s, producer: producer, cluster: cluster, paths: map[string]string{}, clients: map[string]dynamic.Interface{}, waves: map[string]int32{}}
	for _, manifest := range []string{widgetSchema, widgetExport, widgetRollout, nextSchema, storedInV2} {
		apply(t, s.Workspace(producer), manifest)
	}
	_, r.provider = annex.Clients(t, s.Workspace(producer))
	config := s.Workspace(producer)
	config.Host = s.URL() + "/services/apiexport/" + cluster + "/widgets/clusters/*"
	_, r.all = annex.Clients(t, config)

	var rollout annexv1alpha1.APIExportRollout
	if err := json.Unmarshal(toJSONBytes(t, widgetRollout), &rollout); err != nil {
		t.Fatal(err)
	}
	waves, err := rules.WavesOf(logicalcluster.Name(cluster), &rollout)
	if err != nil {
		t.Fatal(err)
	}
	parent := workspace(t, s)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i := range many {
		wg.Go(func() {
			path, cluster := newWorkspace(t, s, parent, fmt.Sprintf("c%d", i))
			b, labels := parse(t, binding("widgets", producer, "widgets")), map[string]string{}
			if i < 3 {
				labels["ring"] = "canary"
				b.SetLabels(labels)
			}
			_, client := annex.Clients(t, s.Workspace(path))
			if _, err := client.Resource(bindings).Create(t.Context(), b, metav1.CreateOptions{}); err != nil {
				t.Error(err)
				return
			}
			waitCondition(t, client.Resource(bindings), "widgets", "Ready", "True", "")
			mu.Lock()
			defer mu.Unlock()
			r.paths[cluster], r.clients[cluster], r.waves[cluster] = path, client, waves.Of(logicalcluster.Name(cluster), labels)
		})
	}
	wg.Wait()
	return r
}

func toJSONBytes(t *testing.T, document string) []byte {
	t.Helper()
	data, err := parse(t, document).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// patch changes the export or the rollout.
func (r *rolling) patch(gvr schema.GroupVersionResource, patch string) error {
	_, err := r.provider.Resource(gvr).Patch(r.t.Context(), "widgets", types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

// offer names other schemas. The new ones break consumers, and are allowed to; the way back from them needs no permission.
func (r *rolling) offer(prefix string) error {
	return r.patch(exports, fmt.Sprintf(`{"metadata":{"annotations":{"annex.dev/allow-breaking-change":"v2.widgets.example.com,v3.widgets.example.com"}},"spec":{"resources":[{"name":"widgets","group":"example.com","schema":"%s.widgets.example.com","storage":{"crd":{}}}]}}`, prefix))
}

// is waits until the rollout is in a phase of a revision, and returns its status.
func (r *rolling) is(phase annexv1alpha1.RolloutPhase, revision int64, wave int32) (found annexv1alpha1.APIExportRollout) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("the rollout is %s in wave %d of revision %d", phase, wave, revision), func(ctx context.Context) (bool, error) {
		got, err := r.provider.Resource(rollouts).Get(ctx, "widgets", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		found = annexv1alpha1.APIExportRollout{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(got.Object, &found); err != nil {
			return false, err
		}
		s := &found.Status
		return s.Phase == phase && s.Revision == revision && s.Wave == wave && s.ObservedGeneration == found.Generation, nil
	})
	return found
}

// schemas waits until each binding has the schema that want says.
func (r *rolling) schemas(want func(cluster string) string) {
	r.t.Helper()
	wanted, found := map[string]string{}, map[string]string{}
	for cluster := range r.clients {
		wanted[cluster] = want(cluster) + ".widgets.example.com"
	}
	eventually(r.t, "bindings have the schemas that they should have", func(ctx context.Context) (bool, error) {
		list, err := r.all.Resource(bindings).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		found = map[string]string{}
		for _, b := range list.Items {
			bound, _, _ := unstructured.NestedSlice(b.Object, "status", "boundResources")
			for _, one := range bound {
				name, _, _ := unstructured.NestedString(one.(map[string]any), "schema", "name")
				found[b.GetAnnotations()["kcp.io/cluster"]] = name
			}
		}
		return maps.Equal(wanted, found), nil
	})
}

// seesAll fails unless the endpoint shows one object of each consumer, in each version.
func (r *rolling) seesAll(when string, versions ...schema.GroupVersionResource) {
	r.t.Helper()
	for _, gvr := range versions {
		list, err := r.all.Resource(gvr).List(r.t.Context(), metav1.ListOptions{})
		if err != nil {
			r.t.Fatalf("%s: %s: %v", when, gvr, err)
		}
		seen := map[string]bool{}
		for _, obj := range list.Items {
			seen[obj.GetAnnotations()["kcp.io/cluster"]] = obj.GetAPIVersion() == gvr.GroupVersion().String()
		}
		for cluster := range r.clients {
			if !seen[cluster] {
				r.t.Errorf("%s: the endpoint does not show the object of %s in %s", when, cluster, gvr.Version)
			}
		}
	}
}

func TestRollout(t *testing.T) {
	r := newRolling(t, 20)
	var bad string
	for cluster, client := range r.clients {
		size := 1
		if bad == "" && r.waves[cluster] == 2 {
			bad, size = cluster, 1000
		}
		create(t, client.Resource(widgets).Namespace("default"), parse(t, fmt.Sprintf("apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a, namespace: default}\nspec: {size: %d}", size)))
	}
	if bad == "" {
		t.Fatal("nobody is in the second wave")
	}
	r.is(annexv1alpha1.RolloutPhaseComplete, 1, 3)
	r.seesAll("before", widgets)

	// What nobody could return from is refused.
	if err := r.offer("v3"); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.resources[0].schema") || !strings.Contains(err.Error(), `stores objects in version "v2"`) {
		t.Errorf("a schema that stores another version: %v", err)
	}
	if err := r.offer("v9"); !apierrors.IsInvalid(err) {
		t.Errorf("a schema that does not exist: %v", err)
	}

	// The first wave: canaries.
	if err := r.offer("v2"); err != nil {
		t.Fatal(err)
	}
	r.is(annexv1alpha1.RolloutPhasePaused, 2, 1)
	r.schemas(func(cluster string) string {
		if r.waves[cluster] == 1 {
			return "v2"
		}
		return "v1"
	})
	r.seesAll("while two schemas are live", widgets, widgetsV2)
	list, err := r.all.Resource(widgetsV2).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	watch, err := r.all.Resource(widgetsV2).Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	// The operator writes what both can read; each consumer sees the versions of its own schema.
	wrote := map[string]bool{}
	for cluster, client := range r.clients {
		config := r.s.Workspace(r.producer)
		config.Host = r.s.URL() + "/services/apiexport/" + r.cluster + "/widgets/clusters/" + cluster
		_, there := annex.Clients(t, config)
		if cluster != bad {
			if _, err := there.Resource(widgetsV2).Namespace("default").Patch(t.Context(), "a", types.MergePatchType, []byte(`{"spec":{"color":"red"},"status":{"ready":true}}`), metav1.PatchOptions{}); err != nil {
				t.Errorf("%s, wave %d: %v", cluster, r.waves[cluster], err)
			}
			wrote[cluster] = true
		}
		got, err := client.Resource(widgets).Namespace("default").Get(t.Context(), "a", metav1.GetOptions{})
		if err != nil {
			t.Fatalf("%s, wave %d: %v", cluster, r.waves[cluster], err)
		}
		color, _, _ := unstructured.NestedString(got.Object, "spec", "color")
		if moved := r.waves[cluster] == 1; (color == "red") != moved {
			t.Errorf("%s, wave %d, has color %q", cluster, r.waves[cluster], color)
		}
		_, err = client.Resource(widgetsV2).Namespace("default").Get(t.Context(), "a", metav1.GetOptions{})
		if moved := r.waves[cluster] == 1; (err == nil) != moved || !moved && !apierrors.IsNotFound(err) {
			t.Errorf("%s, wave %d: v2: %v", cluster, r.waves[cluster], err)
		}
	}
	for len(wrote) > 0 {
		event, ok := <-watch.ResultChan()
		if !ok {
			t.Fatalf("the watch of the endpoint ended, before %v", wrote)
		}
		if obj, ok := event.Object.(*unstructured.Unstructured); ok {
			delete(wrote, obj.GetAnnotations()["kcp.io/cluster"])
		}
	}

	// The second wave stops at the object that does not fit, and nobody beyond it changes.
	if err := r.patch(rollouts, `{"spec":{"resume":{"revision":2,"wave":1}}}`); err != nil {
		t.Fatal(err)
	}
	stopped := r.is(annexv1alpha1.RolloutPhaseStopped, 2, 2)
	if f := stopped.Status.Failures; len(f) != 1 || f[0].Cluster != bad || f[0].Reason != annexv1alpha1.RolloutObjectsInvalidReason ||
		!strings.Contains(f[0].Message, `"default/a"`) || !strings.Contains(f[0].Message, "spec.size") || strings.Contains(f[0].Message, "1000") {
		t.Errorf("failures: %+v, want that of %s", f, bad)
	}
	r.refuses(bad)
	// The consumer mends its object, and the provider goes on.
	if err := r.patch(rollouts, fmt.Sprintf(`{"spec":{"skip":[%q]}}`, bad)); err != nil {
		t.Fatal(err)
	}
	complete := r.is(annexv1alpha1.RolloutPhaseComplete, 2, 3)
	skipped := func(cluster string) string {
		if cluster == bad {
			return "v1"
		}
		return "v2"
	}
	r.schemas(skipped)
	if s := complete.Status; s.Skipped != 1 || s.Failed != 0 {
		t.Errorf("status: %+v", s)
	}
	if _, err := r.clients[bad].Resource(widgets).Namespace("default").Patch(t.Context(), "a", types.MergePatchType, []byte(`{"spec":{"size":2}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := r.patch(rollouts, `{"spec":{"skip":null}}`); err != nil {
		t.Fatal(err)
	}
	r.schemas(func(string) string { return "v2" })

	// All return, and read what was written meanwhile.
	if err := r.patch(rollouts, `{"spec":{"undo":2}}`); err != nil {
		t.Fatal(err)
	}
	r.is(annexv1alpha1.RolloutPhaseUndone, 2, 3)
	r.schemas(func(string) string { return "v1" })
	r.seesAll("after the undo", widgets, widgetsV2)
	for cluster, client := range r.clients {
		if _, err := client.Resource(widgets).Namespace("default").Get(t.Context(), "a", metav1.GetOptions{}); err != nil {
			t.Errorf("%s: %v", cluster, err)
		}
	}
	if err := r.offer("v1"); err != nil {
		t.Fatal(err)
	}
	r.is(annexv1alpha1.RolloutPhaseComplete, 3, 3)
	if err := r.provider.Resource(rollouts).Delete(t.Context(), "widgets", metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}
}

// refuses checks what is refused while the rollout holds consumers back: bad and those in the last wave.
func (r *rolling) refuses(bad string) {
	r.t.Helper()
	admit(r.t, r.s, r.producer, provider)
	_, user := annex.Clients(r.t, r.s.As(token(provider), r.producer))
	for gvr, name := range map[schema.GroupVersionResource]string{rollouts: "widgets", schemas: "v1.widgets.example.com"} {
		if err := user.Resource(gvr).Delete(r.t.Context(), name, metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
			r.t.Errorf("deleting %s %s: %v, want Forbidden", gvr.Resource, name, err)
		}
	}
	list, err := r.all.Resource(bindings).List(r.t.Context(), metav1.ListOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, b := range list.Items {
		cluster := b.GetAnnotations()["kcp.io/cluster"]
		if data, _ := b.MarshalJSON(); strings.Contains(string(data), "v2.widgets") && (cluster == bad || r.waves[cluster] > 2) {
			r.t.Errorf("%s, wave %d, has the new schema", cluster, r.waves[cluster])
		}
	}
}

// Who may write rollouts, but not the export, decides nothing about consumers.
func TestRollout_NeedsThePermissionToUpdateTheExport(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	apply(t, s.Workspace(path), `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: rollouts}
rules:
- {apiGroups: [annex.dev], resources: [apiexportrollouts], verbs: ["*"]}
- {apiGroups: [apis.kcp.io], resources: [apiexports], verbs: [update], resourceNames: [mine]}
- {nonResourceURLs: ["/"], verbs: [access]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: rollouts}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: rollouts}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: bob}]`)
	apply(t, s.Workspace(path), strings.ReplaceAll(widgetRollout, "name: widgets", "name: theirs"))
	_, client := annex.Clients(t, s.As(token(bob), path))
	at := client.Resource(rollouts)
	eventually(t, "bob may create a rollout of his own export", func(ctx context.Context) (bool, error) {
		_, err := at.Create(ctx, parse(t, strings.ReplaceAll(widgetRollout, "name: widgets", "name: mine")), metav1.CreateOptions{})
		return err == nil, nil
	})
	pause := []byte(`{"spec":{"paused":true}}`)
	if _, err := at.Patch(t.Context(), "mine", types.MergePatchType, pause, metav1.PatchOptions{}); err != nil {
		t.Error(err)
	}
	_, create := at.Create(t.Context(), parse(t, widgetRollout), metav1.CreateOptions{})
	_, patch := at.Patch(t.Context(), "theirs", types.MergePatchType, pause, metav1.PatchOptions{})
	_, status := at.Patch(t.Context(), "mine", types.MergePatchType, []byte(`{"status":{"revision":7}}`), metav1.PatchOptions{}, "status")
	for what, err := range map[string]error{
		"create": create, "patch": patch, "status of his own": status,
		"delete": at.Delete(t.Context(), "theirs", metav1.DeleteOptions{}), "deletecollection": at.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}),
	} {
		if !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v, want Forbidden", what, err)
		}
	}
	if _, err := at.Get(t.Context(), "theirs", metav1.GetOptions{}); err != nil {
		t.Errorf("the rollout of the others: %v", err)
	}
}
