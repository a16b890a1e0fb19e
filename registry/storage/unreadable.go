package storage

import (
	"context"
	"fmt"
	"strconv"

	clientv3 "go.etcd.io/etcd/client/v3"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/klog/v2"
)

type droppingKey struct{}

// DroppingUnreadable returns a context in which lists of custom resources delete what cannot be decoded and leave it out. It
// is for deleting all objects of a resource: whatever is broken can be neither read nor changed by anybody, so nothing else
// would ever remove it, and finalizers that it may have would never be taken off.
func DroppingUnreadable(ctx context.Context) context.Context {
	return context.WithValue(ctx, droppingKey{}, true)
}

// unreadable says what happens to an object that cannot be decoded: nil when it was dropped, or the error for the client.
func (s *schemaStorage) unreadable(ctx context.Context, raw *Raw, err error) error {
	if dropping, _ := ctx.Value(droppingKey{}).(bool); !dropping || s.drop == nil {
		return apistorage.NewInternalError(err)
	}
	cluster, namespace, name, _ := raw.tail()
	klog.FromContext(ctx).Error(err, "Deleting an object that cannot be read", "cluster", cluster, "resource", s.layout.resource.String(), "object", klog.KRef(namespace, name))
	return s.drop(ctx, raw)
}

// dropRaw deletes an object by its key, unless it has changed since it was read.
func (b *Backend) dropRaw(ctx context.Context, raw *Raw) error {
	revision, err := strconv.ParseInt(raw.GetResourceVersion(), 10, 64)
	if err != nil {
		return fmt.Errorf("deleting an object that cannot be read: %w", err)
	}
	key := b.prefix + raw.Key()
	_, err = b.client.KV.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).Then(clientv3.OpDelete(key)).Commit()
	return apiError(ctx, err, true)
}
