package owners

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/core/quota"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/raw"
)

const (
	// hardBytes bounds what is kept in memory of quotas. What is not kept is read when it is needed, after a transaction that did not know
	// of it.
	hardBytes = 16 << 20
	// hardGrowth is about how many times as much memory it takes as in etcd.
	hardGrowth = 24
)

// Quotas is the resource under which it is stored what the ResourceQuotas of a namespace or of a cluster limit, and how many objects it has. They
// are no objects.
var Quotas = schema.GroupResource{Group: "annex.dev", Resource: "quotas"}

// HardKey returns the key of what the quotas of a namespace limit, or of the cluster if it has no name.
func HardKey(cluster logicalcluster.Name, namespace string) layout.Key {
	return layout.Key{Resource: Quotas, Cluster: cluster, Namespace: namespace, Name: "hard"}
}

// namespace is one namespace of one cluster, or everything in the cluster if it has no name.
type namespace struct {
	cluster logicalcluster.Name
	name    string
}

func namespaceOf(k layout.Key) namespace { return namespace{k.Cluster, k.Namespace} }

// in returns k as it is counted in ns.
func (ns namespace) in(k layout.Key) layout.Key {
	k.Namespace = ns.name
	return k
}

// ruled returns what the quotas in a namespace are about: it, and in one of them also the cluster.
func (ns namespace) ruled() []namespace {
	if ns.name == quota.ClusterNamespace {
		return []namespace{ns, {cluster: ns.cluster}}
	}
	return []namespace{ns}
}

// rules returns what quotas of the namespace, or of the one in which they can be about the cluster, limit in ns.
func (ns namespace) rules(quotas []*corev1.ResourceQuota) quota.Rules {
	if ns.name == "" {
		return quota.ClusterRulesOf(quotas)
	}
	return quota.RulesOf(quotas)
}

// hard is what this process knows of what the quotas of a namespace limit.
type hard struct {
	hardValue
	revision int64 // of its key; 0 if it is not there
	mu       sync.Mutex
	used     map[layout.Key]*used // by a key without a name
}

// hardValue is what is stored of it.
type hardValue struct {
	// Of is the revision that it has in the main etcd; 0 there.
	Of    int64       `json:"of,omitempty"`
	Rules quota.Rules `json:"quotas"`
}

// unlimited is what is known of a namespace of which nothing is known: a transaction compares that nothing is there.
var unlimited = &hard{}

// hard returns what is in memory.
func (c *Client) hard(ns namespace) *hard {
	if h, ok := c.hards.Get(ns); ok {
		return h
	}
	return unlimited
}

// learnHard keeps in memory what is stored, unless that is known. It reports whether it was.
func (c *Client) learnHard(ns namespace, kvs []*mvccpb.KeyValue) (known bool, err error) {
	revision := revisionOf(kvs)
	if c.hard(ns).revision == revision {
		return true, nil
	}
	if revision == 0 {
		c.hards.Remove(ns)
		return false, nil
	}
	value, err := readHard(kvs[0].Value)
	if err == nil {
		c.keepHard(ns, revision, value, len(kvs[0].Value))
	}
	return false, err
}

// Forget drops what is in memory of the quotas of a cluster.
func (c *Client) Forget(cluster logicalcluster.Name) { c.hards.Drop(cluster.String()) }

func (c *Client) keepHard(ns namespace, revision int64, value hardValue, size int) {
	size = min(size*hardGrowth, hardBytes/4) // the value that is in use is kept in any case
	c.hards.Put(ns, &hard{hardValue: value, revision: revision, used: map[layout.Key]*used{}}, int64(size), ns.cluster.String())
}

func readHard(data []byte) (value hardValue, err error) {
	if err := json.Unmarshal(data, &value); err != nil {
		return value, apierrors.NewInternalError(fmt.Errorf("reading what quotas limit: %w", err))
	}
	return value, nil
}

// encode returns what is stored.
func (v hardValue) encode() string {
	data, _ := json.Marshal(v) // never fails
	return string(data)
}

// objects counts the objects of what k is of in etcd.
func (c *Client) objects(ctx context.Context, k layout.Key) (int64, error) {
	k.Name = ""
	if c.Implied != nil {
		return c.Implied.Objects(ctx, k)
	}
	resp, err := c.KV.Get(ctx, c.path(k), clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return resp.Count, nil
}

func unmoved(path string, revision int64) clientv3.Cmp {
	return clientv3.Compare(clientv3.ModRevision(path), "=", revision)
}

// hardPath returns the key of what the quotas of a namespace limit, as it is in etcd.
func (c *Client) hardPath(ns namespace) string { return c.path(HardKey(ns.cluster, ns.name)) }

// QuotasOf returns what begins the keys of all that is stored of the quotas of a cluster, in all its namespaces.
func QuotasOf(cluster logicalcluster.Name) string {
	return layout.TypedRoot(Quotas) + "/" + string(cluster) + "/"
}

// forgetQuotas deletes all that is stored of the quotas of a cluster, in all its namespaces.
func (c *Client) forgetQuotas(cluster logicalcluster.Name) clientv3.Op {
	return clientv3.OpDelete(c.Prefix+QuotasOf(cluster), clientv3.WithPrefix())
}

// forgetRules deletes all that is stored of what quotas limit in ns.
func (c *Client) forgetRules(ns namespace) []clientv3.Op {
	root := c.Prefix + QuotasOf(ns.cluster)
	if ns.name != "" {
		return []clientv3.Op{clientv3.OpDelete(root+ns.name+"/", clientv3.WithPrefix())}
	}
	// Beside these are namespaces, which have no colon in their names.
	return []clientv3.Op{clientv3.OpDelete(c.hardPath(ns)), clientv3.OpDelete(root+roomPrefix, clientv3.WithPrefix())}
}

// readQuota reads a ResourceQuota as it is stored.
func (c *Client) readQuota(ctx context.Context, kv *mvccpb.KeyValue) (*corev1.ResourceQuota, error) {
	value, err := c.Encryption.Open(ctx, quota.Resource, kv)
	if err != nil {
		return nil, err
	}
	q := &corev1.ResourceQuota{}
	body, ok := bytes.CutPrefix(value, []byte(raw.ProtobufMagic))
	if !ok {
		if err := json.Unmarshal(value, q); err != nil {
			return nil, fmt.Errorf("reading a ResourceQuota: %w", err)
		}
		return q, nil
	}
	var envelope runtime.Unknown
	err = envelope.Unmarshal(body)
	if err == nil {
		err = q.Unmarshal(envelope.Raw)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a ResourceQuota: %w", err)
	}
	return q, nil
}
