package rendered

import (
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// ranges is the clientv3.KV through which stock stores read ranges. They read and write single keys through the Client.
type ranges struct {
	clientv3.KV
	client *Client
}

// KV returns the clientv3.KV through which stock stores read ranges.
func (c *Client) KV() clientv3.KV { return ranges{KV: c.kv, client: c} }

// Get implements clientv3.KV.
func (r ranges) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	resp, ok, err := r.read(ctx, key, clientv3.OpGet(key, opts...))
	if !ok {
		return r.KV.Get(ctx, key, opts...)
	}
	return (*clientv3.GetResponse)(resp), err
}

// GetStream implements clientv3.KV. It reads everything before it sends the first part, because it has no means to say that reading
// the rest has failed.
func (r ranges) GetStream(ctx context.Context, key string, opts ...clientv3.OpOption) (clientv3.GetStreamChan, error) {
	resp, ok, err := r.read(ctx, key, clientv3.OpGet(key, opts...))
	if !ok {
		return r.KV.GetStream(ctx, key, opts...)
	}
	if err != nil {
		return nil, err
	}
	stream := make(chan clientv3.RangeStreamResponse, 1)
	stream <- clientv3.RangeStreamResponse{RangeResponse: resp}
	close(stream)
	return stream, nil
}

// read reads a range; false if no object of a template may be in it.
func (r ranges) read(ctx context.Context, key string, op clientv3.Op) (*etcdserverpb.RangeResponse, bool, error) {
	if len(op.RangeBytes()) == 0 {
		if _, ok := r.client.covers(key); ok {
			return nil, true, fmt.Errorf("reading %q without its template", key)
		}
		return nil, false, nil
	}
	s, ok := r.client.spanBetween(key, string(op.RangeBytes()))
	if !ok {
		return nil, false, nil
	}
	p, err := r.client.list(ctx, s, op.Rev(), op.Limit())
	if err != nil {
		return nil, true, err
	}
	return &etcdserverpb.RangeResponse{
		Header: &etcdserverpb.ResponseHeader{Revision: p.revision}, Kvs: p.kvs, More: p.more, Count: int64(len(p.kvs)),
	}, true, nil
}
