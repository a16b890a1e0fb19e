package workspace

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// target is what is known of an object that a Workspace is mounted on before it exists.
type target struct {
	group string
	key   client.Key
}

// targetOf returns the target of a mounted ws.
func targetOf(ws *tenancyv1alpha1.Workspace) target {
	ref := ws.Spec.Mount.Reference
	gv, _ := schema.ParseGroupVersion(ref.APIVersion) // valid
	return target{gv.Group, client.Key{Cluster: logicalcluster.From(ws), Namespace: ref.Namespace, Name: ref.Name}}
}

// targets are the objects that Workspaces are mounted on. It holds an entry for each mounted Workspace. It is safe for concurrent use.
type targets struct {
	mu sync.Mutex
	// by are the Workspaces that are mounted on a target, and of the target of a Workspace.
	by map[target]map[client.Key]struct{}
	of map[client.Key]target
	// some is closed once there is a target.
	some chan struct{}
	once sync.Once
}

func newTargets() *targets {
	return &targets{by: map[target]map[client.Key]struct{}{}, of: map[client.Key]target{}, some: make(chan struct{})}
}

// follow records on what the Workspace called key is mounted. Call it before the object is read, so that no change is missed.
func (t *targets) follow(key client.Key, on target) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of[key] == on {
		return
	}
	t.drop(key)
	t.of[key] = on
	if t.by[on] == nil {
		t.by[on] = map[client.Key]struct{}{}
	}
	t.by[on][key] = struct{}{}
	t.once.Do(func() { close(t.some) })
}

// unfollow forgets the Workspace called key.
func (t *targets) unfollow(key client.Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(key)
}

func (t *targets) drop(key client.Key) {
	on, ok := t.of[key]
	if !ok {
		return
	}
	delete(t.of, key)
	delete(t.by[on], key)
	if len(t.by[on]) == 0 {
		delete(t.by, on)
	}
}

// on returns the Workspaces that may be mounted on the object of h.
func (t *targets) on(h client.Head) []client.Key {
	t.mu.Lock()
	defer t.mu.Unlock()
	var keys []client.Key
	for key := range t.by[target{h.Resource.Group, h.Key()}] {
		keys = append(keys, key)
	}
	return keys
}

// all returns all mounted Workspaces.
func (t *targets) all() []client.Key {
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := make([]client.Key, 0, len(t.of))
	for key := range t.of {
		keys = append(keys, key)
	}
	return keys
}

// followTargets queues Workspaces when the objects that they are mounted on change. While no Workspace was ever mounted, it watches nothing.
func (r *reconciler) followTargets(ctx context.Context, add func(client.Key, time.Duration)) {
	select {
	case <-ctx.Done():
		return
	case <-r.targets.some:
	}
	err := r.Content.Watch(ctx, client.WatchScope{Listed: multicluster.OnlyChanges}, func(event client.HeadEvent) {
		keys := r.targets.on(event.Head)
		if event.Type == client.Synced && event.Source == "" {
			keys = r.targets.all() // what happened before was perhaps missed
		}
		for _, key := range keys {
			add(key, 0)
		}
	})
	if err != nil && ctx.Err() == nil {
		klog.FromContext(ctx).Error(err, "What workspaces are mounted on cannot be watched")
	}
}
