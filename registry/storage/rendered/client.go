package rendered

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/lru"
	"github.com/annex-dev/annex/registry/storage/encryption"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/owners"
	"github.com/annex-dev/annex/registry/storage/raw"
)

// Resources are those of which a cluster may contain objects that nobody has stored.
var Resources = []schema.GroupResource{
	owners.Namespaces, owners.Bindings, {Group: rbacv1.GroupName, Resource: "clusterrolebindings"},
	{Resource: "configmaps"}, {Resource: "serviceaccounts"},
}

// Config is what a Client needs.
type Config struct {
	KV     clientv3.KV
	Prefix string // what every key begins with
	// Resources are those that templates may have objects of.
	Resources []schema.GroupResource
	// Bytes bounds what is kept in memory of templates, and of what clusters are made from.
	Bytes int64
	// Encryption opens LogicalClusters and marks what is rendered; nil if nothing is encrypted.
	Encryption *encryption.Encryption
}

// Writer is what package owners has for writes.
type Writer interface {
	kubernetes.Interface
	Write(ctx context.Context, w owners.Write) (owners.Outcome, error)
}

// Client is the kubernetes.Interface that stock stores read and write through. It is safe for concurrent use.
type Client struct {
	// Writer writes what is stored. It is set before the Client is used, because it asks that what is implied.
	Writer
	kv        clientv3.KV
	prefix    string
	resources map[schema.GroupResource]bool
	templates *lru.Cache[string, *Template]
	instances *instances
	turns     turns
	// encryption opens what is stored; nil if nothing is encrypted.
	encryption *encryption.Encryption
}

var _ kubernetes.Interface = &Client{}

// New returns a Client, which needs a Writer.
func New(c Config) *Client {
	resources := map[schema.GroupResource]bool{}
	for _, r := range c.Resources {
		resources[r] = true
	}
	return &Client{
		kv: c.KV, prefix: c.Prefix, resources: resources,
		templates: lru.New[string, *Template](c.Bytes/4, nil),
		instances: newInstances(c.Bytes * 3 / 4), encryption: c.Encryption,
	}
}

// covers returns what key is of, if an object of a template may be there.
func (c *Client) covers(key string) (layout.Key, bool) {
	k, err := layout.Parse(strings.TrimPrefix(key, c.prefix))
	return k, err == nil && !k.Custom && c.resources[k.Resource] && owners.InCluster(k)
}

func (c *Client) path(k layout.Key) string { return c.prefix + k.String() }

// state is what is at a key.
type state struct {
	// stored is what etcd has there, which may be a tombstone; nil for nothing.
	stored *mvccpb.KeyValue
	// shown is what there is for the client; nil for nothing.
	shown *mvccpb.KeyValue
	// object is the object of the template that the key is for; nil for none.
	object   *Object
	instance *instance // nil for none
	revision int64     // of etcd
}

// look reads what is at k, at a revision or now.
func (c *Client) look(ctx context.Context, k layout.Key, revision int64) (state, error) {
	resp, err := c.kv.Txn(ctx).Then(
		clientv3.OpGet(c.path(k), clientv3.WithRev(revision)),
		clientv3.OpGet(c.path(owners.ClusterKey(k.Cluster)), clientv3.WithRev(revision)),
	).Commit()
	if err != nil {
		return state{}, err
	}
	s := state{revision: resp.Header.Revision}
	for _, kv := range resp.Responses[0].GetResponseRange().Kvs {
		s.stored = kv
	}
	for _, kv := range resp.Responses[1].GetResponseRange().Kvs {
		if s.instance, err = c.instance(ctx, kv); err != nil {
			return state{}, err
		}
	}
	s.object = s.instance.object(k)
	switch {
	case s.stored == nil && s.object != nil:
		s.shown = c.render(s.instance, s.object)
	case s.stored != nil && !layout.IsTombstone(s.stored.Value):
		s.shown = s.stored
	}
	return s, nil
}

// Bytes returns how many bytes templates, and what clusters are made from, take in memory, and how many they may take.
func (c *Client) Bytes() (bytes, limit int64) {
	templates, most := c.templates.Bytes()
	instances, more := c.instances.recent.Bytes()
	return templates + instances, most + more
}

// Find returns what the object at a key without prefix is made from if nobody has written it, and its number there; nil if that is not known.
func (c *Client) Find(key string) (raw.Made, int) {
	k, err := layout.Parse(key)
	if err != nil || !c.resources[k.Resource] {
		return nil, 0
	}
	i, ok := c.instances.Get(k.Cluster)
	if !ok {
		return nil, 0
	}
	if part := i.part(k); part >= 0 {
		return i, part
	}
	return nil, 0
}

// Since implements owners.Implied.
func (c *Client) Since(cluster logicalcluster.Name) int64 {
	if i, ok := c.instances.Get(cluster); ok {
		return i.revision
	}
	return 0
}

// Made returns the revision of all objects of a cluster that are rendered: no other object has it, except the LogicalCluster. It is 0 if
// there is no LogicalCluster.
func (c *Client) Made(ctx context.Context, cluster logicalcluster.Name) (int64, error) {
	if since := c.Since(cluster); since != 0 {
		return since, nil
	}
	resp, err := c.kv.Get(ctx, c.path(owners.ClusterKey(cluster)))
	if err != nil || len(resp.Kvs) == 0 {
		return 0, err
	}
	_, err = c.instance(ctx, resp.Kvs[0])
	return resp.Kvs[0].CreateRevision, err
}

// Look implements owners.Implied.
func (c *Client) Look(ctx context.Context, k layout.Key) (*mvccpb.KeyValue, bool, error) {
	if !c.resources[k.Resource] || !owners.InCluster(k) {
		return nil, false, nil
	}
	s, err := c.look(ctx, k, 0)
	return s.shown, s.shown != nil && s.stored == nil, err
}

// Objects implements owners.Implied. It reads no values but those at the keys of objects of the template.
func (c *Client) Objects(ctx context.Context, k layout.Key) (int64, error) {
	ops := []clientv3.Op{clientv3.OpGet(c.path(k), clientv3.WithPrefix(), clientv3.WithCountOnly())}
	if !k.Custom && c.resources[k.Resource] && owners.InCluster(k) {
		lc, err := c.kv.Get(ctx, c.path(owners.ClusterKey(k.Cluster)))
		if err != nil {
			return 0, err
		}
		for _, kv := range lc.Kvs {
			i, err := c.instance(ctx, kv)
			if err != nil {
				return 0, err
			}
			for o := range i.template.Objects {
				made := i.template.Objects[o].key(i.values)
				if made.Resource == k.Resource && (k.Namespace == "" || made.Namespace == k.Namespace) {
					ops = append(ops, clientv3.OpGet(c.path(made)))
				}
			}
		}
	}
	resp, err := c.kv.Txn(ctx).Then(ops...).Commit()
	if err != nil {
		return 0, err
	}
	count := resp.Responses[0].GetResponseRange().Count
	for _, r := range resp.Responses[1:] {
		kvs := r.GetResponseRange().Kvs
		switch {
		case len(kvs) == 0:
			count++
		case layout.IsTombstone(kvs[0].Value):
			count--
		}
	}
	return count, nil
}

// Keys returns the keys of a cluster at which something is stored in the place of an object of the template. They are to be deleted
// together with the LogicalCluster, or the objects appear again.
func (c *Client) Keys(ctx context.Context, cluster logicalcluster.Name) ([]string, error) {
	ops := []clientv3.Op{clientv3.OpGet(c.path(owners.ClusterKey(cluster)))}
	for gr := range c.resources {
		ops = append(ops, clientv3.OpGet(c.prefix+layout.TypedRoot(gr)+"/"+cluster.String()+"/", clientv3.WithPrefix()))
	}
	resp, err := c.kv.Txn(ctx).Then(ops...).Commit()
	if err != nil {
		return nil, fmt.Errorf("reading what is stored in %s: %w", cluster, err)
	}
	var i *instance
	for _, kv := range resp.Responses[0].GetResponseRange().Kvs {
		if i, err = c.instance(ctx, kv); err != nil {
			return nil, err
		}
	}
	var keys []string
	for _, found := range resp.Responses[1:] {
		for _, kv := range found.GetResponseRange().Kvs {
			if k, _ := c.covers(string(kv.Key)); layout.IsTombstone(kv.Value) || i.object(k) != nil {
				keys = append(keys, string(kv.Key))
			}
		}
	}
	return keys, nil
}

// Get implements kubernetes.Interface.
func (c *Client) Get(ctx context.Context, key string, opts kubernetes.GetOptions) (kubernetes.GetResponse, error) {
	k, ok := c.covers(key)
	if !ok || c.known(k) {
		return c.Writer.Get(ctx, key, opts)
	}
	s, err := c.look(ctx, k, opts.Revision)
	return kubernetes.GetResponse{KV: s.shown, Revision: s.revision}, err
}

// instance returns what the cluster of the LogicalCluster stored as kv was made from, which may be an empty template.
func (c *Client) instance(ctx context.Context, kv *mvccpb.KeyValue) (*instance, error) {
	k, err := layout.Parse(strings.TrimPrefix(string(kv.Key), c.prefix))
	if err != nil {
		return nil, err
	}
	if known, ok := c.instances.Get(k.Cluster); ok && known.revision == kv.CreateRevision && known.last == kv.ModRevision {
		return known, nil
	}
	made, lc, ok, err := c.madeFrom(ctx, kv)
	unreadable := err != nil // which a key may change that is not known yet
	t := &Template{}
	if err == nil && ok {
		t, err = c.templateAt(ctx, made.Template, kv.ModRevision)
	}
	var damage damageError
	switch {
	case errors.As(err, &damage):
		// One damaged object must not stop what serves all clusters. In its cluster, what is not stored is missing.
		klog.FromContext(ctx).Error(err, "Objects of a cluster cannot be rendered", "cluster", k.Cluster)
		t = &Template{}
	case err != nil:
		return nil, err
	}
	i := &instance{
		template: t, revision: kv.CreateRevision, last: kv.ModRevision, bytes: int64(len(kv.Key) + len(made.String())),
		values: values{cluster: k.Cluster, uid: lc.UID, created: lc.CreationTimestamp.Time, values: made.Values},
	}
	if !unreadable {
		c.instances.Put(i)
	}
	return i, nil
}
