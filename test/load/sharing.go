package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// claimed are resources of consumers that the provider may see, if they have
// the label shownLabel.
var claimed = []string{"configmaps", "secrets", "serviceaccounts"}

const (
	shownLabel = "load.example.com/shown"
	// addedSchema and addedResource are what the export gets while it has consumers.
	addedSchema, addedResource = "v1.gadgets.load.example.com", "gadgets"
)

// measureSharing tells what an API costs that has many consumers: what each of
// them takes in memory, with and without permission claims; and, with claims, how
// soon the next one can use it, how soon the provider sees what they write, and
// how soon all of them have a resource that the provider adds.
func measureSharing(ctx context.Context, b *bench) error {
	for _, claims := range []int{0, len(claimed)} {
		if err := b.startFresh(ctx, "sharing-"+strconv.Itoa(claims)); err != nil {
			return err
		}
		s := &sharing{bench: b, claims: claimed[:claims]}
		if err := s.fill(ctx); err != nil {
			return fmt.Errorf("with %d claims: %w", claims, err)
		}
		if claims == 0 {
			continue
		}
		for _, measure := range []func(context.Context) error{s.measureBind, s.measureViews, s.measureChange} {
			if err := measure(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// sharing is an export and its consumers.
type sharing struct {
	*bench
	claims    []string
	provider  *provider
	consumers []string
}

// fill makes the consumers, and reports what they take.
func (s *sharing) fill(ctx context.Context) error {
	var err error
	if s.provider, err = s.needProvider(ctx); err != nil {
		return err
	}
	if err := s.change(ctx, map[string]any{"permissionClaims": s.made()}); err != nil {
		return err
	}
	if _, _, _, err := s.makeWorkspaces(ctx, "warm", s.opts.clients, s.join); err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	before, err := s.snapshotAfterRest(ctx, "sharing")
	if err != nil {
		return err
	}
	if s.consumers, _, _, err = s.makeWorkspaces(ctx, "consumer", s.opts.boundWorkspaces, s.join); err != nil {
		return err
	}
	after, err := s.snapshotAfterRest(ctx, "sharing")
	if err != nil {
		return err
	}
	n, prefix := float64(len(s.consumers)), fmt.Sprintf("sharing_%d_claims_", len(s.claims))
	s.report.add(prefix+"rss_per_consumer", kib((after.rss-before.rss)/n), unitKiB)
	if heap, ok := after.since(before, "go_gc_heap_live_bytes"); ok {
		s.report.add(prefix+"heap_live_per_consumer", kib(heap/n), unitKiB)
	}
	s.report.add(prefix+"revisions_per_consumer", (after.revision-before.revision)/n, unitCount)
	return nil
}

// made returns the claims of the export.
func (s *sharing) made() []any {
	all := []any{}
	for _, resource := range s.claims {
		all = append(all, map[string]any{"resource": resource, "verbs": []any{"get", "list", "watch"}})
	}
	return all
}

// change changes the spec of the export.
func (s *sharing) change(ctx context.Context, spec map[string]any) error {
	c, err := crowd.Connect(s.target.admin)
	if err != nil {
		return err
	}
	defer c.Close()
	client, err := c.Cluster(s.provider.path())
	if err != nil {
		return err
	}
	patch := &unstructured.Unstructured{Object: map[string]any{"kind": "APIExport", "spec": spec}}
	body, err := patch.MarshalJSON()
	if err != nil {
		return fmt.Errorf("changing the APIExport: %w", err)
	}
	if _, err := client.Resource(exports).Patch(ctx, exportName, types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("changing the APIExport: %w", err)
	}
	return nil
}

// join binds the API in the named workspace, accepts the claims for what has the
// label, and creates a first object.
func (s *sharing) join(ctx context.Context, c *crowd.Connection, name string) error {
	client, err := c.Cluster(workspacePath(name))
	if err != nil {
		return err
	}
	answers := []any{}
	for _, resource := range s.claims {
		answers = append(answers, map[string]any{
			"resource": resource, "verbs": []any{"*"}, "state": "Accepted", "selector": map[string]any{"matchLabels": map[string]any{shownLabel: "yes"}},
		})
	}
	binding := newBinding(name, s.provider.path())
	if err := unstructured.SetNestedSlice(binding.Object, answers, "spec", "permissionClaims"); err != nil {
		return fmt.Errorf("accepting claims: %w", err)
	}
	if err := bind(ctx, client, binding); err != nil {
		return fmt.Errorf("in workspace %q: %w", name, err)
	}
	return createServed(ctx, client.Resource(widgets), newWidget(name))
}

// measureBind is from the call that creates a workspace's binding to the answer
// to the one that creates its first object.
func (s *sharing) measureBind(ctx context.Context) error {
	names, _, _, err := s.makeWorkspaces(ctx, "late", s.opts.samples+1, nil)
	if err != nil {
		return err
	}
	c, err := crowd.Connect(s.target.admin)
	if err != nil {
		return err
	}
	defer c.Close()
	var l latencies
	for i, name := range names {
		start := time.Now()
		if err := s.join(ctx, c, name); err != nil {
			return err
		}
		if i > 0 { // the first one pays for the connection
			l = append(l, time.Since(start))
		}
	}
	s.report.latencies("sharing_bind_to_first_object", l)
	s.report.add("sharing_bind_to_first_object_p95", milliseconds(l.Sorted().Percentile(0.95)), unitMilliseconds)
	return nil
}

// measureViews is from a consumer's write to its event in the provider's view of
// all consumers: of its own resource, and of one that it claims.
func (s *sharing) measureViews(ctx context.Context) error {
	c, err := crowd.Connect(s.target.admin)
	if err != nil {
		return err
	}
	defer c.Close()
	url, err := s.provider.endpoint(ctx, c)
	if err != nil {
		return err
	}
	for _, view := range []struct {
		name      string
		gvr       schema.GroupVersionResource
		namespace string
		object    func(name string) *unstructured.Unstructured
	}{
		{"sharing_write_to_provider_watch", widgets, "", newWidget},
		{"sharing_write_to_claimed_watch", configMaps, "default", newShown},
	} {
		watching, err := crowd.Connect(s.target.privileged)
		if err != nil {
			return err
		}
		all, err := watching.At(crowd.ClusterURL(url, "*"))
		if err != nil {
			return err
		}
		t, err := track(ctx, watching, all.Resource(view.gvr))
		if err != nil {
			return fmt.Errorf("watching %s as the provider: %w", view.gvr.Resource, err)
		}
		var l latencies
		for i := range s.opts.samples + consumers {
			client, err := c.Cluster(workspacePath(s.consumers[i%consumers]))
			if err != nil {
				return err
			}
			obj := view.object(s.id + "-seen-" + strconv.Itoa(i))
			latency, err := writeAndSee(ctx, client.Resource(view.gvr).Namespace(view.namespace), t, obj)
			if err != nil {
				return err
			}
			if i >= consumers {
				l = append(l, latency)
			}
		}
		t.close()
		s.report.latencies(view.name, l)
	}
	return nil
}

// newShown returns a ConfigMap that the provider may see.
func newShown(name string) *unstructured.Unstructured {
	obj := newConfigMap(name)
	obj.SetLabels(map[string]string{shownLabel: "yes"})
	return obj
}

// measureChange adds a resource to the export, and waits until every consumer
// has bound it.
func (s *sharing) measureChange(ctx context.Context) error {
	c, err := crowd.Connect(s.target.admin)
	if err != nil {
		return err
	}
	defer c.Close()
	client, err := c.Cluster(s.provider.path())
	if err != nil {
		return err
	}
	if _, err := client.Resource(schemas).Create(ctx, newSchema(addedSchema, addedResource, "Gadget"), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating an APIResourceSchema: %w", err)
	}
	before, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	took, all, err := s.untilAllHave(ctx, func() error {
		return s.change(ctx, map[string]any{"resources": []any{offered(widgets.Resource, schemaName), offered(addedResource, addedSchema)}})
	})
	if err != nil {
		return err
	}
	after, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	s.report.add("sharing_add_resource", took.Seconds(), unitSeconds)
	s.report.add("sharing_add_resource_revisions_per_consumer", (after.revision-before.revision)/float64(all), unitCount)
	if spent, ok := after.since(before, "process_cpu_seconds_total"); ok {
		s.report.add("sharing_add_resource_cpu_per_consumer", spent*1000/float64(all), unitMilliseconds)
	}
	return nil
}

// untilAllHave calls do, and returns how long it took after that until all
// bindings of the export have bound the added resource, and how many they are.
func (s *sharing) untilAllHave(ctx context.Context, do func() error) (took time.Duration, all int, err error) {
	c, err := crowd.Connect(s.target.privileged)
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	everywhere, err := c.Cluster("*")
	if err != nil {
		return 0, 0, err
	}
	ctx, cancel := withChangeTimeout(ctx)
	defer cancel()
	missing := map[types.UID]bool{}
	var once sync.Once
	var start time.Time
	var doErr error
	judge := func(obj *unstructured.Unstructured) {
		if stringAt(obj, "spec", "reference", "export", "name") != exportName {
			return
		}
		missing[obj.GetUID()] = true
		bound, _, _ := unstructured.NestedSlice(obj.Object, "status", "boundResources")
		for _, r := range bound {
			if entry, ok := r.(map[string]any); ok && entry["resource"] == addedResource {
				missing[obj.GetUID()] = false
			}
		}
	}
	finished := func() bool {
		for _, is := range missing {
			if is {
				return false
			}
		}
		return true
	}
	err = follow(ctx, everywhere.Resource(bindings), metav1.ListOptions{}, observer{
		listed: func(p part) bool {
			for i := range p.items {
				judge(&p.items[i])
			}
			if p.last {
				once.Do(func() { start, doErr = time.Now(), do() })
			}
			return doErr != nil
		},
		changed: func(kind watch.EventType, obj *unstructured.Unstructured) bool {
			if kind != watch.Deleted {
				judge(obj)
			}
			return finished()
		},
	})
	if err == nil {
		err = doErr
	}
	if err != nil {
		return 0, 0, fmt.Errorf("adding a resource to the export: %w", err)
	}
	return time.Since(start), len(missing), nil
}
