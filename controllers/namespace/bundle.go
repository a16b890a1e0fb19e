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

// queueOutdated queues every namespace whose ConfigMap does not contain bundle. It reads the ConfigMaps of all clusters
// from the watch cache, without load on etcd.
func (c *contents) queueOutdated(ctx context.Context, bundle []byte, add func(client.Key, time.Duration)) error {
	if len(bundle) == 0 {
		return nil
	}
	objects, err := c.client.List(ctx, resource("configmaps"), client.Scope{})
	if err != nil {
		return wrap("listing ConfigMaps", err)
	}
	data, after := rootCAData(bundle), time.Duration(0)
	for _, obj := range objects {
		cm, ok := obj.(*corev1.ConfigMap)
		if !ok || cm.Name != RootCAName || maps.Equal(cm.Data, data) {
			continue
		}
		key := client.KeyOf(cm)
		add(client.Key{Cluster: key.Cluster, Name: key.Namespace}, after)
		after += bundlePace
	}
	return nil
}
