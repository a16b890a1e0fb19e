package rendered

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/owners"
)

// span is a range of keys of one resource.
type span struct {
	resource schema.GroupResource
	root     string              // of the resource, with slash
	cluster  logicalcluster.Name // the one that the range is in; empty for all
	from     string              // first key
	end      string              // behind the last key
}

// spanOf returns the range of the keys that begin with prefix, if objects of templates may be in it.
func (c *Client) spanOf(prefix, from string) (span, bool) {
	s, ok := c.spanBetween(prefix, clientv3.GetPrefixRangeEnd(prefix))
	s.from = max(s.from, from)
	return s, ok
}

// spanBetween returns the range of the keys from the first up to but not including end, if objects of templates may be in it.
func (c *Client) spanBetween(first, end string) (span, bool) {
	for gr := range c.resources {
		root := c.prefix + layout.TypedRoot(gr) + "/"
		rest, ok := strings.CutPrefix(first, root)
		if !ok {
			continue
		}
		s := span{resource: gr, root: root, from: first, end: end}
		// A range may begin in a cluster and go on: what is left of a list, for example.
		if cluster, _, inside := strings.Cut(rest, "/"); inside && end <= root+cluster+behindSlash {
			s.cluster = logicalcluster.Name(cluster)
		}
		return s, s.cluster.Empty() || !s.cluster.IsSystem()
	}
	return span{}, false
}

// behindSlash is the character that follows the slash.
const behindSlash = "0"

// List implements kubernetes.Interface.
func (c *Client) List(ctx context.Context, prefix string, opts kubernetes.ListOptions) (kubernetes.ListResponse, error) {
	s, ok := c.spanOf(prefix, opts.Continue)
	if !ok {
		return c.Writer.List(ctx, prefix, opts)
	}
	p, err := c.list(ctx, s, opts.Revision, opts.Limit)
	if err != nil {
		return kubernetes.ListResponse{}, err
	}
	resp := kubernetes.ListResponse{Kvs: p.kvs, Revision: p.revision, Count: int64(len(p.kvs))}
	if p.more {
		rest, err := c.count(ctx, s.after(p.kvs[len(p.kvs)-1].Key), p.revision)
		if err != nil {
			return kubernetes.ListResponse{}, err
		}
		resp.Count += rest
	}
	return resp, nil
}

// list reads a span from its beginning, at a revision or now; at most limit keys unless that is 0.
func (c *Client) list(ctx context.Context, s span, revision, limit int64) (page, error) {
	all := page{revision: revision}
	for {
		p, err := c.page(ctx, s, all.revision, limit)
		if err != nil {
			return page{}, err
		}
		all.revision, all.more = p.revision, p.more
		all.kvs = append(all.kvs, p.kvs...)
		if limit > 0 && int64(len(all.kvs)) > limit {
			all.kvs, all.more = all.kvs[:limit], true
		}
		if !all.more || limit > 0 && int64(len(all.kvs)) >= limit {
			return all, nil
		}
		s.from = p.next
	}
}

func (s span) after(key []byte) span {
	s.from = string(key) + "\x00"
	return s
}

// page is a part of what is in a span.
type page struct {
	kvs      []*mvccpb.KeyValue
	revision int64
	more     bool
	next     string // where the rest begins, if there is more
}

// clustersPage is how many LogicalClusters are read at a time, and how many keys, unless fewer are wanted.
const clustersPage = 2000

// page reads the beginning of a span, at a revision or now: what is stored there, and the LogicalClusters of the same range.
func (c *Client) page(ctx context.Context, s span, revision, limit int64) (page, error) {
	if limit == 0 || limit > clustersPage {
		limit = clustersPage
	}
	first, last := c.clusters(), clientv3.GetPrefixRangeEnd(c.clusters())
	if !s.cluster.Empty() {
		first = c.path(owners.ClusterKey(s.cluster))
		last = first + "\x00"
	} else if cluster := strings.TrimPrefix(s.from, s.root); cluster != s.from {
		cluster, _, _ = strings.Cut(cluster, "/")
		first += cluster
	}
	resp, err := c.kv.Txn(ctx).Then(
		clientv3.OpGet(s.from, clientv3.WithRange(s.end), clientv3.WithLimit(limit), clientv3.WithRev(revision)),
		clientv3.OpGet(first, clientv3.WithRange(last), clientv3.WithLimit(limit), clientv3.WithRev(revision)),
	).Commit()
	if err != nil {
		return page{}, err
	}
	p := page{revision: resp.Header.Revision}
	if revision != 0 {
		p.revision = revision
	}
	stored, made := resp.Responses[0].GetResponseRange(), resp.Responses[1].GetResponseRange()
	p.next = s.end
	if stored.More {
		p.more, p.next = true, string(stored.Kvs[len(stored.Kvs)-1].Key)+"\x00"
	}
	if made.More {
		k, err := layout.Parse(strings.TrimPrefix(string(made.Kvs[len(made.Kvs)-1].Key), c.prefix))
		if err != nil {
			return page{}, err
		}
		// Everything up to the last cluster is known.
		p.more, p.next = true, min(p.next, s.root+k.Cluster.String()+behindSlash)
	}
	there := map[string]bool{}
	for _, kv := range stored.Kvs {
		there[string(kv.Key)] = true
		if string(kv.Key) < p.next && !layout.IsTombstone(kv.Value) {
			p.kvs = append(p.kvs, kv)
		}
	}
	for _, kv := range made.Kvs {
		i, err := c.instance(ctx, kv)
		if err != nil {
			return page{}, err
		}
		for o := range i.template.Objects {
			o := &i.template.Objects[o]
			if o.GroupResource() != s.resource {
				continue
			}
			if key := c.path(o.key(i.values)); key >= s.from && key < p.next && !there[key] {
				p.kvs = append(p.kvs, c.render(i, o))
			}
		}
	}
	slices.SortFunc(p.kvs, func(a, b *mvccpb.KeyValue) int { return bytes.Compare(a.Key, b.Key) })
	return p, nil
}

// count returns how many objects are in a span, at a revision or now.
func (c *Client) count(ctx context.Context, s span, revision int64) (int64, error) {
	var sum int64
	for {
		p, err := c.page(ctx, s, revision, 0)
		if err != nil {
			return 0, err
		}
		sum += int64(len(p.kvs))
		if !p.more {
			return sum, nil
		}
		s.from, revision = p.next, p.revision
	}
}

// Count implements kubernetes.Interface.
func (c *Client) Count(ctx context.Context, prefix string, opts kubernetes.CountOptions) (int64, error) {
	s, ok := c.spanOf(prefix, "")
	if !ok {
		return c.Writer.Count(ctx, prefix, opts)
	}
	return c.count(ctx, s, 0)
}
