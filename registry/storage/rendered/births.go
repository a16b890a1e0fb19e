package rendered

import (
	"context"
	"fmt"
	"strings"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/owners"
)

// bornKept is how many births are remembered. A watch cache remembers fewer events.
const bornKept = 1 << 16

// births knows the revisions in which clusters with rendered objects were created lately: all of these objects came in that revision.
type births struct {
	lock      sync.Mutex
	clusters  map[int64]logicalcluster.Name
	order     []int64
	forgotten int64 // the newest revision that is not remembered any more
}

func (b *births) add(revision int64, cluster logicalcluster.Name) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if _, known := b.clusters[revision]; known {
		return
	}
	if b.clusters == nil {
		b.clusters = map[int64]logicalcluster.Name{}
	}
	b.clusters[revision] = cluster
	b.order = append(b.order, revision)
	if len(b.order) > bornKept {
		delete(b.clusters, b.order[0])
		b.forgotten = max(b.forgotten, b.order[0])
		b.order = b.order[1:]
	}
}

// at returns the cluster that was born in a revision, empty for none. It is not known if the events since that revision were not seen,
// or are forgotten.
func (b *births) at(revision, seenSince int64) (cluster logicalcluster.Name, known bool) {
	b.lock.Lock()
	defer b.lock.Unlock()
	cluster, born := b.clusters[revision]
	return cluster, born || seenSince != 0 && seenSince <= revision && revision > b.forgotten
}

// BornAt returns the cluster all of whose rendered objects came in a revision; empty if there is none. SeenSince is the revision from
// which on Expand was called for every event; 0 if for none.
func (c *Client) BornAt(ctx context.Context, revision, seenSince int64) (logicalcluster.Name, error) {
	if cluster, known := c.births.at(revision, seenSince); known {
		return cluster, nil
	}
	resp, err := c.kv.Get(ctx, c.clusters(), clientv3.WithPrefix(), clientv3.WithKeysOnly(),
		clientv3.WithMinCreateRev(revision), clientv3.WithMaxCreateRev(revision))
	if err != nil {
		return "", fmt.Errorf("finding the cluster that was created in revision %d: %w", revision, err)
	}
	if len(resp.Kvs) == 0 {
		return "", nil
	}
	k, err := layout.Parse(strings.TrimPrefix(string(resp.Kvs[0].Key), c.prefix))
	return k.Cluster, err
}

// Again implements feed.Again: it returns the rendered objects that came in a revision, if it is remembered that any did. A process that
// does not remember it has read a list since.
func (c *Client) Again(ctx context.Context, prefix string, revision int64) ([]*clientv3.Event, error) {
	s, ok := c.spanOf(prefix, "")
	cluster, _ := c.births.at(revision, 0)
	if !ok || cluster.Empty() || !s.cluster.Empty() {
		return nil, nil
	}
	i, ok := c.instances.Get(cluster)
	if !ok || i.revision != revision {
		resp, err := c.kv.Get(ctx, c.path(owners.ClusterKey(cluster)), clientv3.WithRev(revision))
		if err != nil || len(resp.Kvs) == 0 {
			return nil, err
		}
		if i, err = c.instance(ctx, resp.Kvs[0]); err != nil {
			return nil, err
		}
	}
	var events []*clientv3.Event
	for o := range i.template.Objects {
		if o := &i.template.Objects[o]; o.GroupResource() == s.resource {
			events = append(events, &clientv3.Event{Type: clientv3.EventTypePut, Kv: i.render(c.prefix, o)})
		}
	}
	return events, nil
}
