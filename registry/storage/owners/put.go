package owners

import (
	"context"
	"fmt"
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
		resp, moved, err := c.try(ctx, all, key, value, opts)
		if err != nil || resp.Succeeded || resp.KV != nil && !moved {
			if !opts.GetOnFailure {
				resp.KV = nil
			}
			return resp, err
		}
		if !moved {
			return resp, fmt.Errorf("creating %q: the transaction failed, and nothing differs from what it compared", key)
		}
	}
}

// try commits one transaction. If that fails, it sets the states of those owners that have changed, and reports whether there are any;
// resp.KV is what is stored under key.
func (c *Client) try(ctx context.Context, all []owner, key string, value []byte, opts kubernetes.PutOptions) (resp kubernetes.PutResponse, moved bool, err error) {
	compares := []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "=", 0)}
	existing := []clientv3.OpOption{}
	if !opts.GetOnFailure {
		existing = append(existing, clientv3.WithKeysOnly())
	}
	reads := []clientv3.Op{clientv3.OpGet(key, existing...)}
	for i := range all {
		path, revision := c.path(all[i].key), all[i].revision
		compares = append(compares, clientv3.Compare(clientv3.ModRevision(path), "=", revision))
		// Of an owner that has not changed only the count is read.
		reads = append(reads, clientv3.OpGet(path, clientv3.WithMinModRev(revision+1)))
	}
	done, err := c.KV.Txn(ctx).If(compares...).Then(clientv3.OpPut(key, string(value), clientv3.WithLease(opts.LeaseID))).Else(reads...).Commit()
	if err != nil {
		return resp, false, err
	}
	resp.Succeeded, resp.Revision = done.Succeeded, done.Header.Revision
	if resp.Succeeded {
		return resp, false, nil
	}
	if kvs := done.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
		resp.KV = kvs[0]
	}
	for i := range all {
		read := done.Responses[1+i].GetResponseRange()
		switch {
		case len(read.Kvs) > 0:
			if all[i].state, err = parse(read.Kvs[0]); err != nil {
				return resp, true, err
			}
		case read.Count == 0:
			all[i].state = state{}
		default:
			continue
		}
		c.remember(all[i].key, all[i].state)
		moved = true
	}
	return resp, moved, nil
}
