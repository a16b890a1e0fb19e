package namespace

import (
	"context"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
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

// queueOutdated queues every namespace whose ConfigMap does not contain bundle. It reads the watch cache page by page, without load on etcd:
// the ConfigMaps of all workspaces, decoded, may take a lot of memory.
func (c *contents) queueOutdated(ctx context.Context, bundle []byte, add func(client.Key, time.Duration)) error {
	if len(bundle) == 0 {
		return nil
	}
	data := rootCAData(bundle)
	var outdated []client.Key
	reading, end := context.WithCancel(ctx)
	defer end()
	complete := false
	err := c.client.Watch(reading, resource("configmaps"), func(event client.Event) {
		switch {
		case complete:
		case event.Type == client.Reset:
			outdated = nil
		case event.Type == client.Synced:
			complete = true
			end()
		case event.Type == client.Added:
			if cm, ok := event.Object.(*corev1.ConfigMap); ok && cm.Name == RootCAName && !maps.Equal(cm.Data, data) {
				key := client.KeyOf(cm)
				outdated = append(outdated, client.Key{Cluster: key.Cluster, Name: key.Namespace})
			}
		}
	})
	if !complete {
		return wrap("listing ConfigMaps", err)
	}
	for i, key := range outdated {
		add(key, time.Duration(i)*bundlePace)
	}
	return nil
}
