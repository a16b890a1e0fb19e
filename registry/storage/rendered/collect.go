package rendered

import (
	"context"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Holds reports whether a template is in memory: it was stored when it was last looked at.
func (c *Client) Holds(name string) bool {
	_, ok := c.templates.Get(name)
	return ok
}

// collectAttempts is how often Collect looks again because clusters were created meanwhile.
const collectAttempts = 5

// Collect removes templates that no LogicalCluster is made from, and returns how many. They are looked for at one revision. A template
// is removed only if no LogicalCluster was created since. A LogicalCluster is created only while its template exists.
func (c *Client) Collect(ctx context.Context) (removed int, err error) {
	root := c.prefix + TemplateRoot
	resp, err := c.kv.Get(ctx, root, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return 0, fmt.Errorf("reading the templates: %w", err)
	}
	unused := map[string]bool{}
	for _, kv := range resp.Kvs {
		unused[strings.TrimPrefix(string(kv.Key), root)] = true
	}
	var since int64
	for range collectAttempts {
		if since, err = c.markUsed(ctx, unused, since); err != nil {
			return removed, err
		}
		for name := range unused {
			resp, err := c.kv.Txn(ctx).
				If(clientv3.Compare(clientv3.CreateRevision(c.clusters()), "<", since+1).WithPrefix()).
				Then(clientv3.OpDelete(root + name)).Commit()
			if err != nil {
				return removed, fmt.Errorf("removing template %s: %w", name, err)
			}
			if !resp.Succeeded {
				break
			}
			c.templates.Drop(name)
			delete(unused, name)
			removed++
		}
		if len(unused) == 0 {
			break
		}
	}
	return removed, nil
}

// markUsed removes from unused what clusters are made from that were created after a revision, and returns up to which it has looked.
func (c *Client) markUsed(ctx context.Context, unused map[string]bool, since int64) (until int64, err error) {
	opts := []clientv3.OpOption{clientv3.WithRange(clientv3.GetPrefixRangeEnd(c.clusters())), clientv3.WithLimit(clustersPage)}
	if since != 0 {
		opts = append(opts, clientv3.WithMinCreateRev(since+1)) // with which etcd reads everything for each page, of which few are left
	}
	for from, more := c.clusters(), true; more; {
		page, err := c.kv.Get(ctx, from, append(opts, clientv3.WithRev(until))...)
		if err != nil {
			return 0, fmt.Errorf("reading what clusters are made from: %w", err)
		}
		if until == 0 {
			until = page.Header.Revision
		}
		for _, kv := range page.Kvs {
			made, _, _, err := c.madeFrom(ctx, kv)
			if err != nil {
				return 0, err
			}
			delete(unused, made.Template)
			from = string(kv.Key) + "\x00"
		}
		more = page.More && len(page.Kvs) > 0
	}
	return until, nil
}
