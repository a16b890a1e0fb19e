package orphans

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/registry/storage/encryption"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/owners"
	"github.com/annex-dev/annex/registry/storage/rendered"
)

// renderedBytes bounds what is kept of templates meanwhile.
const renderedBytes = 4 << 20

// pageSize is how many keys are read at a time.
const pageSize = 500

// Store is what to look into.
type Store struct {
	KV clientv3.KV
	// Elsewhere are other etcds, with objects that belong to some in KV.
	Elsewhere []clientv3.KV
	Prefix    string // what every key begins with
	// Codec returns the codec in which a typed resource is stored.
	Codec func(schema.GroupResource) (runtime.Codec, error)
	// Encryption opens values; nil if none is encrypted.
	Encryption *encryption.Encryption
}

// Orphan is a key in etcd that belongs to nothing.
type Orphan struct {
	Key      layout.Key
	Reason   string      // for example: Namespace "a" does not exist
	kv       clientv3.KV // of the etcd that has it
	revision int64
	// while are the conditions under which it is still one, provided that it has not changed itself.
	while []clientv3.Cmp
}

// Find calls each with every orphan, until that returns an error: in each etcd at one revision, in key order. Keys that are not those of
// an object or a gate are passed over.
func (s Store) Find(ctx context.Context, each func(Orphan) error) error {
	// What belongs to something was created after it. So the other etcds are read as they were before the one that has the owners.
	revisions := make([]int64, len(s.Elsewhere))
	for i, kv := range s.Elsewhere {
		var err error
		if revisions[i], err = s.current(ctx, kv); err != nil {
			return err
		}
	}
	there, err := s.read(ctx)
	if err != nil {
		return err
	}
	if err := s.find(s.KV, there, s.below(ctx, "/", there.revision, clientv3.WithKeysOnly()), each); err != nil {
		return err
	}
	for i, kv := range s.Elsewhere {
		if err := s.find(kv, there, s.pages(ctx, kv, "/", revisions[i], clientv3.WithKeysOnly()), each); err != nil {
			return err
		}
	}
	return nil
}

// current returns the current revision of an etcd.
func (s Store) current(ctx context.Context, kv clientv3.KV) (int64, error) {
	resp, err := kv.Get(ctx, s.Prefix, clientv3.WithCountOnly())
	if err != nil {
		return 0, fmt.Errorf("reading the current revision: %w", err)
	}
	return resp.Header.Revision, nil
}

// find calls each with every orphan among some keys of an etcd.
func (s Store) find(etcd clientv3.KV, there *there, keys iter.Seq2[*mvccpb.KeyValue, error], each func(Orphan) error) error {
	for kv, err := range keys {
		if err != nil {
			return err
		}
		k, err := layout.Parse(strings.TrimPrefix(string(kv.Key), s.Prefix))
		if err != nil {
			continue
		}
		missing, reason := there.missing(k)
		if reason == "" {
			continue
		}
		orphan := Orphan{Key: k, Reason: reason, kv: etcd, revision: kv.ModRevision, while: s.while(k, missing, there.revision)}
		if err := each(orphan); err != nil {
			return err
		}
	}
	return nil
}

// while returns the conditions under which k still belongs to nothing: since the revision at which it did not, what is missing was not
// written, or, if that is not known, no definition or binding of the cluster.
func (s Store) while(k, missing layout.Key, revision int64) []clientv3.Cmp {
	if missing != (layout.Key{}) {
		// A tombstone may be there instead, and with another LogicalCluster, objects appear that are not stored.
		cluster := s.Prefix + owners.ClusterKey(k.Cluster).String()
		return []clientv3.Cmp{
			clientv3.Compare(clientv3.ModRevision(s.Prefix+missing.String()), "<", revision+1),
			clientv3.Compare(clientv3.CreateRevision(cluster), "<", revision+1),
		}
	}
	var unwritten []clientv3.Cmp
	for _, gr := range []schema.GroupResource{owners.Definitions, owners.Bindings} {
		root := s.Prefix + layout.TypedRoot(gr) + "/" + string(k.Cluster) + "/"
		unwritten = append(unwritten, clientv3.Compare(clientv3.ModRevision(root), "<", revision+1).WithPrefix())
	}
	return unwritten
}

// Remove deletes an orphan, in a revision of its own. It reports false if the orphan has changed or is gone, or if what it belongs to
// is there now, or may be.
func (s Store) Remove(ctx context.Context, o Orphan) (bool, error) {
	key := s.Prefix + o.Key.String()
	unchanged := []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "=", o.revision)}
	if o.kv == s.KV {
		unchanged = append(unchanged, o.while...)
	} else if resp, err := s.KV.Txn(ctx).If(o.while...).Commit(); err != nil || !resp.Succeeded {
		// What it belongs to may come now. The orphan is older than that.
		return false, err
	}
	ops := []clientv3.Op{clientv3.OpDelete(key)}
	if is := o.Key.Resource; is != owners.MeterKey("").Resource && is != owners.Gates && is != owners.Quotas && is != owners.Retired {
		// The meter of the workspace, if it has one, begins anew, and so does what quotas count.
		whole := o.Key
		whole.Namespace = ""
		for _, k := range []layout.Key{owners.MeterKey(o.Key.Cluster), owners.UsedKeys(o.Key)[0], owners.UsedKeys(whole)[0]} {
			ops = append(ops, clientv3.OpDelete(s.Prefix+k.String()))
		}
	}
	resp, err := o.kv.Txn(ctx).If(unchanged...).Then(ops...).Commit()
	if err != nil {
		return false, fmt.Errorf("deleting %s: %w", key, err)
	}
	return resp.Succeeded, nil
}

// below yields what is below a root in the main etcd, stored or rendered, at a revision, in key order.
func (s Store) below(ctx context.Context, root string, revision int64, options ...clientv3.OpOption) iter.Seq2[*mvccpb.KeyValue, error] {
	ranges := rendered.New(rendered.Config{KV: s.KV, Prefix: s.Prefix, Resources: rendered.Resources, Bytes: renderedBytes, Encryption: s.Encryption}).KV()
	return s.pages(ctx, ranges, root, revision, options...)
}

// pages yields what is below a root, at a revision, in key order.
func (s Store) pages(ctx context.Context, ranges clientv3.KV, root string, revision int64, options ...clientv3.OpOption) iter.Seq2[*mvccpb.KeyValue, error] {
	return func(yield func(*mvccpb.KeyValue, error) bool) {
		from, end := s.Prefix+root, clientv3.GetPrefixRangeEnd(s.Prefix+root)
		for {
			resp, err := ranges.Get(ctx, from, append(options, clientv3.WithRange(end), clientv3.WithLimit(pageSize), clientv3.WithRev(revision))...)
			if err != nil {
				yield(nil, fmt.Errorf("reading what is stored below %s: %w", s.Prefix+root, err))
				return
			}
			for _, kv := range resp.Kvs {
				if !yield(kv, nil) {
					return
				}
			}
			if !resp.More {
				return
			}
			from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
		}
	}
}

// missing returns the key of what k belongs to and is not there, and why k belongs to nothing; an empty reason if all is there. The
// key is empty if it is not known, or there.
func (t *there) missing(k layout.Key) (layout.Key, string) {
	if k.Resource == owners.Gates {
		owner, ok := owners.OwnerOf(k)
		if !ok || !t.has(owner) {
			return owner, fmt.Sprintf("%s %q does not exist", k.Namespace, k.Name)
		}
		return layout.Key{}, ""
	}
	if cluster := owners.ClusterKey(k.Cluster); owners.InCluster(k) && !t.has(cluster) {
		return cluster, fmt.Sprintf("LogicalCluster %q does not exist", k.Cluster)
	}
	if k.Resource == owners.Retired { // its namespace is the name of a resource
		return layout.Key{}, ""
	}
	if ns := owners.NamespaceKey(k.Cluster, k.Namespace); k.Namespace != "" && !t.has(ns) {
		return ns, fmt.Sprintf("Namespace %q does not exist", k.Namespace)
	}
	if !owners.IsServedByOwner(k) {
		return layout.Key{}, ""
	}
	scope, served := t.served[kind{k.Cluster, k.Resource, k.Bucket}]
	switch {
	case served && (scope == anyScope || scope&scopeOf(k.Namespace != "") != 0):
		return layout.Key{}, ""
	case served:
		return layout.Key{}, fmt.Sprintf("%s is served with another scope", k.Resource)
	case k.Bucket == layout.LocalBucket:
		crd := layout.Key{Resource: owners.Definitions, Cluster: k.Cluster, Name: k.Resource.String()}
		return crd, fmt.Sprintf("CustomResourceDefinition %q does not exist", crd.Name)
	}
	return layout.Key{}, fmt.Sprintf("no APIBinding binds %s with this identity", k.Resource)
}
