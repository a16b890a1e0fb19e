package interleaving

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/test/framework/annex"
)

const consumersOfAWalk = 3

var (
	exports   = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha2", Resource: "apiexports"}
	schemas   = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha1", Resource: "apiresourceschemas"}
	trinkets  = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "trinkets"}
	claimable = []schema.GroupVersionResource{configMaps, secrets}
	shareable = []schema.GroupVersionResource{widgets, trinkets}
	kindOf    = map[schema.GroupVersionResource]string{widgets: "Widget", trinkets: "Trinket", configMaps: "ConfigMap", secrets: "Secret"}
)

// sharing is a provider and its consumers, who all change their minds. The walk itself is the provider's workspace.
type sharing struct {
	*walk
	consumers []consumer
	// left says that the workspace of the provider is gone.
	left bool
}

type consumer struct{ path, cluster string }

// RunSharing does walks in which a provider changes, deletes and restores its export while consumers bind it, answer its claims, and use it.
// Now and then everything comes to rest: the provider must see exactly what it offers and what consumers let it see, and no binding
// may be in a state that nothing explains, or have been led there by a step that the state machine does not have. Then all workspaces are deleted, and Check looks.
func (c Config) RunSharing(t *testing.T, first uint64, walks int) {
	t.Helper()
	steps, err := follow(t.Context(), c.Servers[0])
	if err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i := range walks {
		seed := first + uint64(i)
		w := &walk{servers: c.Servers, name: fmt.Sprintf("sharing-%d", seed), random: rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // repeatable
		group.Go(func() error {
			if err := (&sharing{walk: w}).run(t.Context()); err != nil {
				return fmt.Errorf("seed %d: %w\n%s", seed, err, w.said())
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := steps.fault(bindings, exports, workspaces, logicalClusters); err != nil {
		t.Error(err)
	}
	c.Check(t)
}

func (s *sharing) run(ctx context.Context) error {
	var err error
	if s.cluster, err = s.workspace(ctx, s.name); err != nil {
		return err
	}
	for i := range consumersOfAWalk {
		name := fmt.Sprintf("%s-%d", s.name, i)
		cluster, err := s.workspace(ctx, name)
		if err != nil {
			return err
		}
		s.consumers = append(s.consumers, consumer{path: "root:" + name, cluster: cluster})
	}
	if err := s.offer(ctx); err != nil {
		return err
	}
	for range 3 {
		for _, k := range s.consumers {
			if err := s.answer(ctx, k); err != nil {
				return err
			}
		}
		for range steps {
			if err := s.step(ctx); err != nil {
				return err
			}
			time.Sleep(time.Duration(s.random.Int64N(int64(pause))))
		}
		if err := s.settle(ctx); err != nil {
			return err
		}
	}
	if pick(s.walk, true, false) {
		if err := s.leave(ctx); err != nil {
			return err
		}
	}
	for _, k := range s.random.Perm(len(s.consumers) + 1) {
		w := &walk{servers: s.servers, random: s.random, name: s.name}
		if k < len(s.consumers) {
			w.name, w.cluster = fmt.Sprintf("%s-%d", s.name, k), s.consumers[k].cluster
		} else if s.left {
			continue
		}
		if err := w.end(ctx); err != nil {
			return err
		}
	}
	return nil
}

// leave deletes the workspace of the provider while consumers go on: what they have bound stays, they can change their answers and unbind, and nobody
// reaches anything through the export any more.
func (s *sharing) leave(ctx context.Context) error {
	if err := s.end(ctx); err != nil {
		return err
	}
	s.left = true
	if err := s.settle(ctx); err != nil {
		return err
	}
	for range steps {
		k := pick(s.walk, s.consumers...)
		var err error
		switch s.random.IntN(4) {
		case 0:
			err = s.answer(ctx, k)
		case 1:
			err = s.remove(ctx, k.path, bindings, "", "things")
		default:
			gvr := pick(s.walk, shareable...)
			obj := object(gvr.GroupVersion().String(), kindOf[gvr], pick(s.walk, "x", "y"))
			err = s.create(ctx, k.path, gvr, "default", obj)
		}
		if err != nil {
			return err
		}
	}
	return s.settle(ctx)
}

// workspace makes one below root.
func (s *sharing) workspace(ctx context.Context, name string) (cluster string, err error) {
	root, err := dynamic.NewForConfig(s.at("root"))
	if err != nil {
		return "", err
	}
	return annex.NewWorkspace(ctx, root, name, "universal")
}

func (s *sharing) step(ctx context.Context) error {
	k := pick(s.walk, s.consumers...)
	switch s.random.IntN(24) {
	case 0, 1:
		return s.offer(ctx)
	case 2:
		return s.remove(ctx, s.path(), exports, "", "things")
	case 3:
		// It is refused if the export offers the schema.
		return s.remove(ctx, s.path(), schemas, "", pick(s.walk, "v1", "v2")+"."+pick(s.walk, shareable...).Resource+".example.com")
	case 4, 5:
		return s.answer(ctx, k)
	case 6:
		return s.remove(ctx, k.path, bindings, "", "things")
	case 7:
		return s.create(ctx, k.path, crds, "", rival())
	case 8:
		return s.remove(ctx, k.path, crds, "", "trinkets.example.com")
	}
	gvr := pick(s.walk, slices.Concat(shareable, claimable)...)
	name := pick(s.walk, "x", "y")
	switch s.random.IntN(5) {
	case 0:
		return s.remove(ctx, k.path, gvr, "default", name)
	case 1:
		client, err := s.client(k.path, gvr, "default")
		if err != nil {
			return err
		}
		patch := fmt.Sprintf(`{"metadata":{"labels":{"show":%q}}}`, pick(s.walk, "yes", "no"))
		_, err = client.Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		return s.judge(err, "label %s %s in %s: %s", gvr.Resource, name, k.path, patch)
	}
	obj := object(gvr.GroupVersion().String(), kindOf[gvr], name)
	obj.SetLabels(map[string]string{"show": pick(s.walk, "yes", "no")})
	return s.create(ctx, k.path, gvr, "default", obj)
}

// offer makes the export offer a random choice.
func (s *sharing) offer(ctx context.Context) error {
	var resources, claims []any
	for _, resource := range shareable {
		if pick(s.walk, true, true, false) {
			source := schemaOf(pick(s.walk, "v1", "v2"), resource.Resource, kindOf[resource])
			if err := s.create(ctx, s.path(), schemas, "", source); err != nil {
				return err
			}
			resources = append(resources, map[string]any{
				"name": resource.Resource, "group": resource.Group, "schema": source.GetName(), "storage": map[string]any{"crd": map[string]any{}},
			})
		}
	}
	for _, gvr := range claimable {
		if pick(s.walk, true, true, false) {
			claims = append(claims, map[string]any{"resource": gvr.Resource, "verbs": pick(s.walk, []any{"*"}, []any{"get", "list", "watch"}, []any{"get", "create"})})
		}
	}
	export := object("apis.kcp.io/v1alpha2", "APIExport", "things")
	export.Object["spec"] = map[string]any{"resources": resources, "permissionClaims": claims}
	return s.apply(ctx, s.path(), exports, export)
}

// answer makes the binding of a consumer answer claims in a random way, and the binding if there is none.
func (s *sharing) answer(ctx context.Context, k consumer) error {
	var claims []any
	for _, gvr := range claimable {
		claim := map[string]any{
			"resource": gvr.Resource, "state": pick(s.walk, "Accepted", "Accepted", "Rejected"), "verbs": pick(s.walk, []any{"*"}, []any{"get", "list", "watch"}, []any{"get"}),
			"selector": pick(s.walk, map[string]any{"matchAll": true}, map[string]any{"matchLabels": map[string]any{"show": "yes"}}),
		}
		if pick(s.walk, true, true, false) {
			claims = append(claims, claim)
		}
	}
	b := object("apis.kcp.io/v1alpha2", "APIBinding", "things")
	b.Object["spec"] = map[string]any{"reference": map[string]any{"export": map[string]any{"path": s.path(), "name": "things"}}, "permissionClaims": claims}
	return s.apply(ctx, k.path, bindings, b)
}

func (s *sharing) apply(ctx context.Context, path string, gvr schema.GroupVersionResource, obj *unstructured.Unstructured) error {
	client, err := s.client(path, gvr, "")
	if err != nil {
		return err
	}
	_, err = client.Apply(ctx, obj.GetName(), obj, metav1.ApplyOptions{FieldManager: "walk", Force: true})
	return s.judge(err, "apply %s in %s: %v", gvr.Resource, path, obj.Object["spec"])
}

// settle waits until everything is as it should be, which is what the last writes of everybody lead to.
func (s *sharing) settle(ctx context.Context) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		err := s.check(ctx)
		if ctx.Err() == nil {
			last = err
		}
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("it does not settle: %w: %w", err, last)
	}
	return nil
}

func schemaOf(prefix, resource, kind string) *unstructured.Unstructured {
	source := object("apis.kcp.io/v1alpha1", "APIResourceSchema", prefix+"."+resource+".example.com")
	source.Object["spec"] = map[string]any{
		"group": "example.com", "scope": "Namespaced", "names": map[string]any{"plural": resource, "singular": resource[:len(resource)-1], "kind": kind, "listKind": kind + "List"},
		"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true, "schema": anything()}},
	}
	return source
}

// rival is a definition of a consumer that wants the names of a resource of the export.
func rival() *unstructured.Unstructured {
	crd := object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "trinkets.example.com")
	crd.Object["spec"] = map[string]any{
		"group": "example.com", "scope": "Namespaced", "names": map[string]any{"plural": "trinkets", "kind": "Trinket"},
		"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true, "schema": map[string]any{"openAPIV3Schema": anything()}}},
	}
	return crd
}
