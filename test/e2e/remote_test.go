package e2e

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/remote"
	"github.com/annex-dev/annex/test/framework/annex"
)

const remotePatience = time.Minute

// newRemote returns a client of config for the wildcard URL below prefix.
func newRemote(t *testing.T, config *rest.Config, prefix string) *remote.Client {
	t.Helper()
	config = rest.CopyConfig(config)
	config.Host += prefix + "/clusters/*"
	c, err := remote.New(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// await watches until the object called key is as it should be, and returns it.
func await[T any](t *testing.T, c client.Reader, resource schema.GroupResource, key client.Key, until func(*T) bool) *T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), remotePatience)
	defer cancel()
	var last *T
	done := false
	err := c.Watch(ctx, resource, func(event client.Event) {
		obj, ok := any(event.Object).(*T)
		if ok && client.KeyOf(event.Object) == key && event.Type != client.Deleted {
			last = obj
			if until(obj) {
				done = true
				cancel()
			}
		}
	})
	if !done {
		t.Fatalf("waiting for %s %s, which is %+v: %v", resource, key, last, err)
	}
	return last
}

// door is how connections lead to a server whose address changes. While it is closed, whoever wants to connect waits.
type door struct {
	mu      sync.Mutex
	open    chan struct{}
	address string
}

func newDoor(t *testing.T, s *annex.Server) *door {
	d := &door{open: make(chan struct{})}
	d.lead(t, s)
	return d
}

// lead opens the door to s.
func (d *door) lead(t *testing.T, s *annex.Server) {
	t.Helper()
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.address = u.Host
	close(d.open)
}

func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = make(chan struct{})
}

func (d *door) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	d.mu.Lock()
	open := d.open
	d.mu.Unlock()
	select {
	case <-open:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	d.mu.Lock()
	address := d.address
	d.mu.Unlock()
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// index is what the handler of a watch knows: the resourceVersion of each object.
type index struct {
	mu              sync.Mutex
	changed         *sync.Cond
	resets          int
	objects, listed map[client.Key]string // listed is nil except between Reset and Synced
	faults          []string
}

func newIndex() *index {
	i := &index{objects: map[client.Key]string{}}
	i.changed = sync.NewCond(&i.mu)
	return i
}

func (i *index) handle(event client.Event) {
	i.mu.Lock()
	defer i.mu.Unlock()
	defer i.changed.Broadcast()
	switch event.Type {
	case client.Reset:
		i.resets++
		i.listed = map[client.Key]string{}
		return
	case client.Synced:
		i.objects, i.listed = i.listed, nil
		return
	}
	key, objects := client.KeyOf(event.Object), i.objects
	if i.listed != nil {
		objects = i.listed
	}
	_, there := objects[key]
	if there == (event.Type == client.Added) || (i.listed != nil && event.Type != client.Added) {
		i.faults = append(i.faults, fmt.Sprintf("%s of %s, which is there: %t", event.Type, key, there))
	}
	if event.Type == client.Deleted {
		delete(objects, key)
	} else {
		objects[key] = event.Object.GetResourceVersion()
	}
}

// matches waits until the index holds exactly what the server lists of the names that the test uses.
func (i *index) matches(t *testing.T, c client.Reader, resource schema.GroupResource, ours func(string) bool) {
	t.Helper()
	objects, err := c.List(t.Context(), resource, client.Scope{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[client.Key]string{}
	for _, obj := range objects {
		if ours(obj.GetName()) {
			want[client.KeyOf(obj)] = obj.GetResourceVersion()
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), remotePatience)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.changed.Broadcast()
	})()
	i.mu.Lock()
	defer i.mu.Unlock()
	for {
		got := maps.Clone(i.objects)
		maps.DeleteFunc(got, func(key client.Key, _ string) bool { return !ours(key.Name) })
		if i.listed == nil && maps.Equal(got, want) {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("the watch of %s knows %v, the server has %v", resource, got, want)
		}
		i.changed.Wait()
	}
	if len(i.faults) > 0 {
		t.Fatalf("faults: %v", i.faults)
	}
}

// bindGadgets binds the gadgets that provider exports in a workspace, and waits until they are served there.
func bindGadgets(t *testing.T, server *annex.Server, provider, path, cluster string) {
	t.Helper()
	server.Kubectl(path, fmt.Sprintf(gadgetBinding, provider), "apply", "-f", "-")
	await(t, newRemote(t, server.Config(annex.ContextShardBase), ""), apisv1alpha2.Resource("apibindings"),
		client.Key{Cluster: logicalcluster.Name(cluster), Name: "gadgets"},
		func(b *apisv1alpha2.APIBinding) bool { return b.Status.Phase == apisv1alpha2.APIBindingPhaseBound })
}

// followed is a resource with what a watch knows of it.
type followed struct {
	*index
	resource schema.GroupResource
	// prefix is the path above the clusters.
	prefix string
	// many is how many objects each cluster has before the watch begins.
	many int
	make func(name string) client.Object
}

// Equal names in two clusters, several pages, a crash of the server, and changes while the watch is away.
func TestRemote_WatchLosesNothingOverARestart(t *testing.T) {
	server := annex.Start(t)
	provider, exporter := server.NewWorkspace("root", "provider", "")
	server.Kubectl(provider, gadgetSchema, "apply", "-f", "-")
	var clusters []logicalcluster.Name
	for _, name := range []string{"one", "two"} {
		path, cluster := server.NewWorkspace("root", name, "")
		bindGadgets(t, server, provider, path, cluster)
		clusters = append(clusters, logicalcluster.Name(cluster))
	}
	worlds := []*followed{{
		index: newIndex(), resource: schema.GroupResource{Resource: "configmaps"}, many: 260,
		make: func(name string) client.Object {
			return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
		},
	}, {
		index: newIndex(), resource: schema.GroupResource{Group: "example.com", Resource: "gadgets"}, many: 3,
		prefix: "/services/apiexport/" + exporter + "/gadgets",
		make: func(name string) client.Object {
			return &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": map[string]any{"name": name},
			}}
		},
	}}
	ours := func(name string) bool { return strings.HasPrefix(name, "same-") }
	name := func(i int) string { return fmt.Sprintf("same-%03d", i) }
	// change gives objects of a name in a cluster another label.
	change := func(w *followed, c client.Client, cluster logicalcluster.Name, name string) {
		t.Helper()
		key := client.Key{Cluster: cluster, Namespace: w.make(name).GetNamespace(), Name: name}
		obj, err := c.Get(t.Context(), w.resource, key)
		if err != nil {
			t.Fatal(err)
		}
		obj.SetLabels(map[string]string{"changed-at": obj.GetResourceVersion()})
		if _, err := c.Update(t.Context(), w.resource, cluster, obj); err != nil {
			t.Fatal(err)
		}
	}

	entrance := newDoor(t, server)
	masters := server.Config(annex.ContextShardBase)
	through := rest.CopyConfig(masters)
	through.Dial = entrance.dial
	for _, w := range worlds {
		c := newRemote(t, masters, w.prefix)
		var writers errgroup.Group
		writers.SetLimit(16)
		for _, cluster := range clusters {
			for i := range w.many {
				writers.Go(func() error {
					_, err := c.Create(t.Context(), w.resource, cluster, w.make(name(i)))
					return err
				})
			}
		}
		if err := writers.Wait(); err != nil {
			t.Fatal(err)
		}
		watcher := newRemote(t, through, w.prefix)
		go func() { _ = watcher.Watch(t.Context(), w.resource, w.handle) }()
		w.matches(t, c, w.resource, ours)
		change(w, c, clusters[0], name(0))
		w.matches(t, c, w.resource, ours)
		if w.resets != 1 {
			t.Errorf("%s: the watch has begun %d times", w.resource, w.resets)
		}
	}

	entrance.shut()
	server.Kill()
	server.Start()
	masters = server.Config(annex.ContextShardBase)
	for _, w := range worlds {
		c := newRemote(t, masters, w.prefix)
		change(w, c, clusters[0], name(1))
		key := client.Key{Cluster: clusters[1], Namespace: w.make("").GetNamespace(), Name: name(0)}
		if err := c.Delete(t.Context(), w.resource, key, nil); err != nil {
			t.Fatal(err)
		}
		for _, cluster := range clusters {
			if _, err := c.Create(t.Context(), w.resource, cluster, w.make("same-new")); err != nil {
				t.Fatal(err)
			}
		}
	}
	entrance.lead(t, server)
	for _, w := range worlds {
		c := newRemote(t, masters, w.prefix)
		w.matches(t, c, w.resource, ours)
		change(w, c, clusters[1], "same-new")
		w.matches(t, c, w.resource, ours)
	}
}
