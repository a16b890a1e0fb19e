package owners

import (
	"context"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/lru"

	"github.com/annex-dev/annex/registry/storage/layout"
)

// Config is what a Client needs. Everything is required.
type Config struct {
	// Interface does everything but create.
	kubernetes.Interface
	KV     clientv3.KV
	Prefix string // what every key begins with
	Cached Cached
}

// Client is the kubernetes.Interface that stock stores write through. It is safe for concurrent use.
type Client struct {
	Config
	recent *lru.Cache // from layout.Key to state
}

// New returns a Client.
func New(c Config) *Client { return &Client{Config: c, recent: lru.New(recentWrites)} }

// OptimisticPut implements kubernetes.Interface. A put that expects revision 0 creates an object. An error that is an API status says
// what that object would belong to and does not.
func (c *Client) OptimisticPut(ctx context.Context, key string, value []byte, expectedRevision int64, opts kubernetes.PutOptions) (kubernetes.PutResponse, error) {
	k, err := layout.Parse(strings.TrimPrefix(key, c.Prefix))
	if err != nil {
		return kubernetes.PutResponse{}, apierrors.NewInternalError(err)
	}
	var resp kubernetes.PutResponse
	if expectedRevision == 0 {
		resp, err = c.create(ctx, k, key, value, opts)
	} else {
		resp, err = c.Interface.OptimisticPut(ctx, key, value, expectedRevision, opts)
	}
	if err == nil && resp.Succeeded {
		c.wrote(k, value, resp.Revision)
	}
	return resp, err
}

// create puts value under key, which is k, if nothing is there and everything is there that k belongs to.
func (c *Client) create(ctx context.Context, k layout.Key, key string, value []byte, opts kubernetes.PutOptions) (kubernetes.PutResponse, error) {
	all, err := of(ctx, k)
	if err != nil {
		return kubernetes.PutResponse{}, err
	}
	for i := range all {
		all[i].state = c.remembered(ctx, all[i].key)
	}
	if refusal(k, all) != nil {
		// What is in memory may be old.
		if err := c.read(ctx, all); err != nil {
			return kubernetes.PutResponse{}, err
		}
	}
	for {
		if err := refusal(k, all); err != nil {
			return kubernetes.PutResponse{}, err
		}
		resp, err := c.try(ctx, all, key, value, opts)
		if err != nil || resp.Succeeded || resp.KV != nil {
			if !opts.GetOnFailure {
				resp.KV = nil
			}
			return resp, err
		}
		// The name is free, so something of all has changed. That is seldom, and is not made dearer by reading it each time.
		if err := c.read(ctx, all); err != nil {
			return kubernetes.PutResponse{}, err
		}
	}
}

// try commits one transaction. If that fails, KV is what is stored under key: nil if something of all has changed.
func (c *Client) try(ctx context.Context, all []owner, key string, value []byte, opts kubernetes.PutOptions) (resp kubernetes.PutResponse, err error) {
	compares := make([]clientv3.Cmp, 0, 1+len(all))
	compares = append(compares, clientv3.Compare(clientv3.ModRevision(key), "=", 0))
	for i := range all {
		compares = append(compares, clientv3.Compare(clientv3.ModRevision(c.path(all[i].key)), "=", all[i].revision))
	}
	existing := clientv3.OpGet(key)
	if !opts.GetOnFailure {
		existing = clientv3.OpGet(key, clientv3.WithKeysOnly())
	}
	done, err := c.KV.Txn(ctx).If(compares...).Then(clientv3.OpPut(key, string(value), clientv3.WithLease(opts.LeaseID))).Else(existing).Commit()
	if err != nil {
		return resp, err
	}
	resp.Succeeded, resp.Revision = done.Succeeded, done.Header.Revision
	if !resp.Succeeded {
		if kvs := done.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
			resp.KV = kvs[0]
		}
	}
	return resp, nil
}
