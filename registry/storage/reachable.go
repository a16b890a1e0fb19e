package storage

import (
	"context"
	"fmt"
)

// Reachable returns nil when etcd answers a read that its quorum must agree to. It takes as long as ctx allows.
func (b *Backend) Reachable(ctx context.Context) error {
	// The key does not exist; one segment is no object.
	if _, err := b.client.KV.Get(ctx, b.prefix+"/reachable"); err != nil {
		return fmt.Errorf("reading from etcd: %w", err)
	}
	return nil
}
