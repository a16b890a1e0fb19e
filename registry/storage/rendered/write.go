package rendered

import (
	"context"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/client/v3/kubernetes"

	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/owners"
)

// OptimisticPut implements kubernetes.Interface.
func (c *Client) OptimisticPut(ctx context.Context, key string, value []byte, expected int64, opts kubernetes.PutOptions) (kubernetes.PutResponse, error) {
	if r := recording(ctx); r != nil {
		return kubernetes.PutResponse{Succeeded: true, Revision: 1}, r.create(c, key, value, expected)
	}
	if k, err := layout.Parse(strings.TrimPrefix(key, c.prefix)); err == nil && k == owners.ClusterKey(k.Cluster) && expected == 0 {
		return c.createCluster(ctx, k, value, opts)
	}
	k, ok := c.covers(key)
	if !ok || c.known(k) {
		return c.Writer.OptimisticPut(ctx, key, value, expected, opts)
	}
	done, err := c.write(ctx, k, expected, func(state) owners.Write {
		return owners.Write{Key: k, Value: value, Lease: opts.LeaseID, Creates: expected == 0}
	})
	resp := kubernetes.PutResponse{Succeeded: done.succeeded, Revision: done.revision}
	if opts.GetOnFailure && !done.succeeded {
		resp.KV = done.shown
	}
	return resp, err
}

// createCluster creates a LogicalCluster if its template is there.
func (c *Client) createCluster(ctx context.Context, k layout.Key, value []byte, opts kubernetes.PutOptions) (kubernetes.PutResponse, error) {
	made, _, ok, err := c.madeFrom(ctx, &mvccpb.KeyValue{Key: []byte(c.path(k)), Value: value})
	if err != nil || !ok {
		if err != nil {
			return kubernetes.PutResponse{}, err
		}
		return c.Writer.OptimisticPut(ctx, c.path(k), value, 0, opts)
	}
	for {
		done, err := c.Writer.Write(ctx, owners.Write{Key: k, Value: value, Lease: opts.LeaseID, Creates: true, Needs: c.templateKey(made.Template)})
		if err != nil || done.Succeeded {
			return kubernetes.PutResponse{Succeeded: done.Succeeded, Revision: done.Revision}, err
		}
		there, err := c.Writer.Get(ctx, c.path(k), kubernetes.GetOptions{})
		if err != nil || there.KV != nil {
			resp := kubernetes.PutResponse{Revision: there.Revision}
			if opts.GetOnFailure {
				resp.KV = there.KV
			}
			return resp, err
		}
		c.templates.Drop(made.Template)
		if _, err := c.template(ctx, made.Template); err != nil {
			return kubernetes.PutResponse{}, fmt.Errorf("creating LogicalCluster %s: %w", k.Cluster, err)
		}
	}
}

// OptimisticDelete implements kubernetes.Interface.
func (c *Client) OptimisticDelete(ctx context.Context, key string, expected int64, opts kubernetes.DeleteOptions) (kubernetes.DeleteResponse, error) {
	if recording(ctx) != nil {
		return kubernetes.DeleteResponse{}, fmt.Errorf("deleting %s while a template is recorded", key)
	}
	k, ok := c.covers(key)
	if !ok || c.known(k) {
		return c.Writer.OptimisticDelete(ctx, key, expected, opts)
	}
	done, err := c.write(ctx, k, expected, func(s state) owners.Write {
		w := owners.Write{Key: k, Deletes: true}
		if s.object != nil {
			w.Value = []byte(layout.Tombstone)
		}
		return w
	})
	resp := kubernetes.DeleteResponse{Succeeded: done.succeeded, Revision: done.revision}
	if opts.GetOnFailure && !done.succeeded {
		resp.KV = done.shown
	}
	return resp, err
}

// known reports whether it is known from memory that k is no object of a template.
func (c *Client) known(k layout.Key) bool {
	i, ok := c.instances.Get(k.Cluster)
	return ok && i.object(k) == nil
}

// written is what became of a write; shown is what is there instead of what was expected.
type written struct {
	state
	succeeded bool
}

// write makes a write if what is shown at k has the expected revision; 0 stands for nothing. It is tried again if only the
// LogicalCluster has changed.
func (c *Client) write(ctx context.Context, k layout.Key, expected int64, of func(state) owners.Write) (written, error) {
	for {
		s, err := c.look(ctx, k, 0)
		if err != nil {
			return written{}, err
		}
		is := int64(0)
		if s.shown != nil {
			is = s.shown.ModRevision
		}
		if is != expected {
			return written{state: s}, nil
		}
		w := of(s)
		w.Previous = c.encryption.Unmarked(s.shown.GetValue())
		if s.stored != nil {
			w.Revision = s.stored.ModRevision
		}
		if s.object != nil {
			w.Cluster = s.instance.last
		}
		done, err := c.Writer.Write(ctx, w)
		if err != nil {
			return written{}, err
		}
		if done.Succeeded {
			s.revision = done.Revision
			return written{state: s, succeeded: true}, nil
		}
	}
}
