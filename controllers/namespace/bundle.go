package namespace

import (
	"context"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/client"
)

const (
	// bundlePace is the pause between two updates of ConfigMaps after the bundle changed, so that other work can proceed.
	bundlePace = 5 * time.Millisecond
	// bundleRetry is how soon a list that failed is tried again.
	bundleRetry = 5 * time.Second
)

// followBundle queues every namespace whose ConfigMap is outdated, now and after each change of the bundle.
func (c *contents) followBundle(ctx context.Context, watch func() ([]byte, <-chan struct{}), add func(client.Key, time.Duration)) {
	for {
		bundle, outdated := watch()
		var again <-chan time.Time
		if err := c.queueOutdated(ctx, bundle, add); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "ConfigMaps cannot be checked for old CA bundles; trying again")
			again = time.After(bundleRetry)
		}
		select {
		case <-ctx.Done():
			return
		case <-again:
		case <-outdated:
		}
	}
}

// queueOutdated queues every namespace whose ConfigMap does not contain bundle. It reads the watch cache, without load on etcd, and decodes
// no ConfigMaps but those that were written: they are few, where those of all workspaces may be many.
func (c *contents) queueOutdated(ctx context.Context, bundle []byte, add func(client.Key, time.Duration)) error {
	if len(bundle) == 0 {
		return nil
	}
	written, err := c.written(ctx)
	if err != nil {
		return wrap("listing ConfigMaps", err)
	}
	data, after := rootCAData(bundle), time.Duration(0)
	for _, key := range written {
		obj, err := c.client.Get(ctx, resource("configmaps"), key)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return wrap("reading a ConfigMap", err)
		}
		if cm, ok := obj.(*corev1.ConfigMap); !ok || maps.Equal(cm.Data, data) {
			continue
		}
		add(client.Key{Cluster: key.Cluster, Name: key.Namespace}, after)
		after += bundlePace
	}
	return nil
}

// written returns the keys of the ConfigMaps with certificates that somebody may have written. The others, which a workspace has from the
// beginning, contain the newest certificates at any time. Several of a workspace are known by their resourceVersion, which is that of the
// workspace; what was written has one of its own.
func (c *contents) written(ctx context.Context) ([]client.Key, error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	var written []client.Key
	var cluster []client.Head // what was seen of the cluster at which the list is
	next := func() {
		inRevision := map[string]int{}
		for _, h := range cluster {
			inRevision[h.ResourceVersion]++
		}
		for _, h := range cluster {
			if inRevision[h.ResourceVersion] == 1 {
				written = append(written, h.Key())
			}
		}
		cluster = nil
	}
	complete := false
	err := c.content.Watch(ctx, client.WatchScope{Resource: resource("configmaps"), Listed: isRootCA}, func(event client.HeadEvent) {
		switch {
		case complete:
		case event.Type == client.Reset:
			written, cluster = nil, nil
		case event.Type == client.Added && isRootCA(event.Head):
			if len(cluster) > 0 && cluster[0].Cluster != event.Head.Cluster {
				next()
			}
			cluster = append(cluster, event.Head)
		case event.Type == client.Synced && event.Source == "":
			next()
			complete = true
			end()
		}
	})
	if complete {
		return written, nil
	}
	return nil, err
}

func isRootCA(h client.Head) bool { return h.Name == RootCAName }
