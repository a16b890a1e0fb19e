package storage

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"go.etcd.io/etcd/client/v3/kubernetes"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/registry/storage/answer"
	"github.com/annex-dev/annex/registry/storage/custom"
	"github.com/annex-dev/annex/registry/storage/head"
)

// DroppingUnreadable returns a context in which reading a single custom resource deletes it if it cannot be decoded, and
// answers NotFound. It is for deletions, which read what they delete: whatever is broken can be neither read nor changed by
// anybody, so nothing else would ever remove it, and finalizers that it may have would never be taken off.
func DroppingUnreadable(ctx context.Context) context.Context { return custom.DroppingUnreadable(ctx) }

// Drop deletes a custom resource by its key, whatever its finalizers, unless it has changed since its head was read: then the
// error is a conflict. It is for what nobody can read, for the reason given, which is logged.
func (b *Backend) Drop(ctx context.Context, h head.Head, reason error) error {
	if h.Bucket == "" {
		return fmt.Errorf("deleting %s %q unread: only custom resources are", h.Resource, h.Name)
	}
	revision, err := strconv.ParseInt(h.ResourceVersion, 10, 64)
	if err != nil {
		return fmt.Errorf("deleting an object that cannot be read: %w", err)
	}
	klog.FromContext(ctx).Error(reason, "Deleting an object that cannot be read", "cluster", h.Cluster, "resource", h.Resource.String(), "object", klog.KRef(h.Namespace, h.Name))
	k := keyOf(h)
	resp, err := b.of(k).writer.OptimisticDelete(ctx, b.prefix+k.String(), revision, kubernetes.DeleteOptions{})
	if err != nil {
		return answer.Error(ctx, err, true)
	}
	if !resp.Succeeded {
		return apierrors.NewConflict(h.Resource, h.Name, errors.New("it has changed or is gone"))
	}
	return nil
}
