package rendered

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"

	"github.com/annex-dev/annex/apis/core/limits"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/feed"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/owners"
)

var requests = flag.Int("requests", 3000, "how many requests TestSame makes")

const prefix = "/annex"

var (
	namespaces = schema.GroupResource{Resource: "namespaces"}
	crbs       = schema.GroupResource{Group: "rbac.authorization.k8s.io", Resource: "clusterrolebindings"}
	configMaps = schema.GroupResource{Resource: "configmaps"}
)

var basic = &Template{Objects: []Object{
	body(namespaces, "", "default", `"x":"y"`),
	body(namespaces, "", "kube-system", `"x":"`+SlotCluster+`"`),
	body(crbs, "", "admin", `"user":"`+SlotValue(0)+`"`),
	body(configMaps, "default", "root", `"data":"`+SlotValue(1)+`"`),
}}

func body(gr schema.GroupResource, namespace, name, more string) Object {
	o := Object{Group: gr.Group, Resource: gr.Resource, Namespace: namespace, Name: name}
	o.Body = fmt.Sprintf(`{"metadata":{"name":%q,"namespace":%q,"uid":%q,"creationTimestamp":%q},%s}`, name, namespace, SlotUID, SlotCreated, more)
	o.Body = strings.NewReplacer(`\x01`, slotMark).Replace(o.Body)
	return o
}

// server is what stock stores read, write and watch through.
type server struct {
	kubernetes.Interface
	kv    clientv3.KV
	watch clientv3.Watcher
	// make and remove make and remove a cluster, and all that it has from the beginning.
	make   func(ctx context.Context, lc string, cluster logicalcluster.Name, made Made) error
	remove func(ctx context.Context, cluster logicalcluster.Name) error
}

func noLimits(context.Context, logicalcluster.Name) (limits.Amount, error) {
	return limits.Amount{}, nil
}

func writer(etcd *kubernetes.Client, implied owners.Implied) *owners.Client {
	return owners.New(owners.Config{
		Interface: etcd.Kubernetes, KV: etcd.KV, Prefix: prefix, Stored: noLimits, Implied: implied,
		Cached: func(context.Context, layout.Key) (owners.Seen, bool) { return owners.Seen{}, false },
	})
}

func clusterPath(cluster logicalcluster.Name) string {
	return prefix + owners.ClusterKey(cluster).String()
}

func put(ctx context.Context, s kubernetes.Interface, key, value string) error {
	resp, err := s.OptimisticPut(ctx, key, []byte(value), 0, kubernetes.PutOptions{})
	if err == nil && !resp.Succeeded {
		err = errors.New("it is there already")
	}
	return err
}

// rendering returns a server that renders.
func rendering(t *testing.T) (*server, *Client) {
	return renderingIn(t, testserver.RunEtcd(t, nil))
}

// renderingIn returns a server that renders what is in etcd.
func renderingIn(t *testing.T, etcd *kubernetes.Client) (*server, *Client) {
	t.Helper()
	c := New(Config{KV: etcd.KV, Prefix: prefix, Resources: []schema.GroupResource{namespaces, crbs, configMaps}, Bytes: 1 << 20})
	c.Writer = writer(etcd, c)
	name, err := c.PutTemplate(t.Context(), basic)
	if err != nil {
		t.Fatal(err)
	}
	f := feed.New(etcd.Watcher, prefix+"/", c.Expand, c.Again)
	t.Cleanup(func() { _ = f.Close() })
	return &server{
		Interface: c, kv: c.KV(), watch: f,
		make: func(ctx context.Context, lc string, cluster logicalcluster.Name, made Made) error {
			made.Template = name
			note, err := json.Marshal(made.String())
			if err != nil {
				return err
			}
			return put(ctx, c, clusterPath(cluster), strings.Replace(lc, `"annotations":{`, `"annotations":{"`+Annotation+`":`+string(note), 1))
		},
		remove: func(ctx context.Context, cluster logicalcluster.Name) error {
			return removeCluster(ctx, etcd, c, cluster)
		},
	}, c
}

// removeCluster removes what is stored in a cluster, and in the end the LogicalCluster with what is stored in the place of rendered objects.
func removeCluster(ctx context.Context, etcd *kubernetes.Client, c *Client, cluster logicalcluster.Name) error {
	resp, err := c.Get(ctx, clusterPath(cluster), kubernetes.GetOptions{})
	if err != nil || resp.KV == nil {
		return err
	}
	for gr := range c.resources { // what was never in the template goes before
		list, err := etcd.KV.Get(ctx, prefix+layout.TypedRoot(gr)+"/"+cluster.String()+"/", clientv3.WithPrefix())
		if err != nil {
			return err
		}
		for _, kv := range list.Kvs {
			k, _ := c.covers(string(kv.Key))
			if s, err := c.look(ctx, k, 0); err != nil || s.object != nil {
				continue
			}
			if _, err := etcd.KV.Delete(ctx, string(kv.Key)); err != nil {
				return err
			}
		}
	}
	keys, err := c.Keys(ctx, cluster)
	if err != nil {
		return err
	}
	ops := []clientv3.Op{clientv3.OpDelete(clusterPath(cluster))}
	for _, key := range keys {
		ops = append(ops, clientv3.OpDelete(key))
	}
	_, err = etcd.KV.Txn(ctx).Then(ops...).Commit()
	return err
}

// storing returns a server that stores everything.
func storing(t *testing.T) *server {
	etcd := testserver.RunEtcd(t, nil)
	w := writer(etcd, nil)
	f := feed.New(etcd.Watcher, prefix+"/", nil, nil)
	t.Cleanup(func() { _ = f.Close(); _ = etcd.Close() })
	return &server{
		Interface: w, kv: etcd.KV, watch: f,
		make: func(ctx context.Context, lc string, cluster logicalcluster.Name, made Made) error {
			if err := put(ctx, w, clusterPath(cluster), lc); err != nil {
				return err
			}
			var meta metav1.PartialObjectMetadata
			if err := json.Unmarshal([]byte(lc), &meta); err != nil {
				return err
			}
			v := values{cluster: cluster, uid: meta.UID, created: meta.CreationTimestamp.Time, values: made.Values}
			for i := range basic.Objects {
				o := &basic.Objects[i]
				if err := put(ctx, w, prefix+o.key(v).String(), string(o.render(v))); err != nil {
					return err
				}
			}
			return nil
		},
		remove: func(ctx context.Context, cluster logicalcluster.Name) error {
			var made []string
			for i := range basic.Objects {
				made = append(made, prefix+basic.Objects[i].key(values{cluster: cluster}).String())
			}
			for _, gr := range []schema.GroupResource{configMaps, crbs, namespaces} {
				list, err := etcd.KV.Get(ctx, prefix+layout.TypedRoot(gr)+"/"+cluster.String()+"/", clientv3.WithPrefix())
				if err != nil {
					return err
				}
				for _, kv := range list.Kvs {
					if slices.Contains(made, string(kv.Key)) {
						continue
					}
					if _, err := etcd.KV.Delete(ctx, string(kv.Key)); err != nil {
						return err
					}
				}
			}
			for _, key := range made {
				if _, err := etcd.KV.Delete(ctx, key); err != nil {
					return err
				}
			}
			_, err := etcd.KV.Delete(ctx, clusterPath(cluster))
			return err
		},
	}
}

// seen is an event or an object without what may differ: revisions.
func seen(kv *mvccpb.KeyValue) string {
	if kv == nil {
		return "nothing"
	}
	return fmt.Sprintf("%s=%s", kv.Key, kv.Value)
}

// request is one request to a server; it returns what a client sees.
type request func(ctx context.Context, s *server) (string, error)

// kinds is how many kinds of requests draw knows, and removing the one that takes several writes.
const (
	kinds    = 12
	removing = 1
)

// draw returns a random request of a kind.
func draw(random *rand.Rand, n, kind int) request {
	cluster := logicalcluster.Name(fmt.Sprintf("c%d", random.IntN(5)))
	gr := []schema.GroupResource{namespaces, crbs, configMaps}[random.IntN(3)]
	k := layout.Key{Resource: gr, Cluster: cluster, Name: []string{"default", "kube-system", "admin", "root", "other"}[random.IntN(5)]}
	if gr == configMaps {
		k.Namespace = []string{"default", "kube-system"}[random.IntN(2)]
	}
	key := prefix + k.String()
	value := fmt.Sprintf(`{"metadata":{"name":%q,"uid":"u%d"},"n":%d}`, k.Name, n, n)
	root := prefix + layout.TypedRoot(gr) + "/"
	stale := random.IntN(8) == 0
	expected := func(ctx context.Context, s *server) (int64, error) {
		resp, err := s.Get(ctx, key, kubernetes.GetOptions{})
		if err != nil || resp.KV == nil {
			return 0, err
		}
		if stale {
			return resp.KV.ModRevision - 1, nil
		}
		return resp.KV.ModRevision, nil
	}
	limit := int64(1 + random.IntN(6))
	reveal := random.IntN(2) == 0
	switch kind {
	case 0:
		uid := fmt.Sprintf("00000000-0000-0000-0000-%012d", n)
		lc := fmt.Sprintf(`{"metadata":{"name":"cluster","uid":%q,"creationTimestamp":"2026-01-01T00:00:00Z","annotations":{}}}`, uid)
		made := Made{Values: []string{fmt.Sprintf("user \"%d\"", n), "line\n"}}
		return func(ctx context.Context, s *server) (string, error) {
			resp, err := s.Get(ctx, clusterPath(cluster), kubernetes.GetOptions{})
			if err != nil || resp.KV != nil {
				return "", err
			}
			return "", s.make(ctx, lc, cluster, made)
		}
	case removing:
		gone := random.IntN(3) == 0
		return func(ctx context.Context, s *server) (string, error) {
			if !gone {
				return "", nil
			}
			return "", s.remove(ctx, cluster)
		}
	case 2, 3:
		return func(ctx context.Context, s *server) (string, error) {
			resp, err := s.Get(ctx, key, kubernetes.GetOptions{})
			return seen(resp.KV), err
		}
	case 4, 5, 6:
		return func(ctx context.Context, s *server) (string, error) {
			at, err := expected(ctx, s)
			if err != nil {
				return "", err
			}
			resp, err := s.OptimisticPut(ctx, key, []byte(value), at, kubernetes.PutOptions{GetOnFailure: reveal})
			return fmt.Sprint("put ", resp.Succeeded, " ", seen(resp.KV)), err
		}
	case 7:
		return func(ctx context.Context, s *server) (string, error) {
			resp, err := s.OptimisticPut(ctx, key, []byte(value), 0, kubernetes.PutOptions{GetOnFailure: reveal})
			return fmt.Sprint("create ", resp.Succeeded, " ", seen(resp.KV)), err
		}
	case 8, 9:
		return func(ctx context.Context, s *server) (string, error) {
			at, err := expected(ctx, s)
			if err != nil || at == 0 {
				return "", err
			}
			resp, err := s.OptimisticDelete(ctx, key, at, kubernetes.DeleteOptions{GetOnFailure: reveal})
			return fmt.Sprint("delete ", resp.Succeeded, " ", seen(resp.KV)), err
		}
	case 10:
		below := root
		if random.IntN(2) == 0 {
			below += cluster.String() + "/"
		}
		return func(ctx context.Context, s *server) (string, error) { return pages(ctx, s, below, limit) }
	}
	return func(ctx context.Context, s *server) (string, error) {
		resp, err := s.List(ctx, root, kubernetes.ListOptions{})
		var all []string
		for _, kv := range resp.Kvs {
			all = append(all, seen(kv))
		}
		count, countErr := s.Count(ctx, root, kubernetes.CountOptions{})
		return fmt.Sprint(resp.Count, count, all), errors.Join(err, countErr)
	}
}

// pages reads a list page by page.
func pages(ctx context.Context, s *server, below string, limit int64) (string, error) {
	var all []string
	var opts kubernetes.ListOptions
	for {
		opts.Limit = limit
		resp, err := s.List(ctx, below, opts)
		if err != nil {
			return "", err
		}
		for _, kv := range resp.Kvs {
			all = append(all, seen(kv))
		}
		all = append(all, fmt.Sprintf("and %d", resp.Count-int64(len(resp.Kvs))))
		if resp.Count <= int64(len(resp.Kvs)) {
			return strings.Join(all, "\n"), nil
		}
		opts.Continue, opts.Revision = string(resp.Kvs[len(resp.Kvs)-1].Key)+"\x00", resp.Revision
	}
}

// A server that renders shows clients what one shows that stores everything: in answers, and in watches.
func TestSame(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	one, _ := rendering(t)
	other := storing(t)
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(t.Context()))
	defer cancel()
	watched := []string{prefix + "/core/namespaces/", prefix + "/rbac.authorization.k8s.io/clusterrolebindings/", prefix + "/core/configmaps/", prefix + "/core/namespaces/c1/"}
	watch := func(s *server) (all []clientv3.WatchChan) {
		for _, key := range watched {
			all = append(all, s.watch.Watch(ctx, key, clientv3.WithPrefix(), clientv3.WithRev(1), clientv3.WithPrevKV()))
		}
		return all
	}
	ones, others := watch(one), watch(other)
	for n := range *requests {
		r := draw(random, n, random.IntN(kinds))
		got, err := r(ctx, one)
		want, wantErr := r(ctx, other)
		if got != want || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Fatalf("request %d: got\n%s, %v\nwant\n%s, %v", n, got, err, want, wantErr)
		}
	}
	for i := range watched {
		got, want := follow(t, one, ones[i]), follow(t, other, others[i])
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %d events, want %d", watched[i], len(got), len(want))
			for e := range min(len(got), len(want)) {
				if got[e] != want[e] {
					t.Fatalf("event %d: got\n%s\nwant\n%s\nafter\n%s", e, got[e], want[e], strings.Join(want[max(0, e-5):e], "\n"))
				}
			}
		}
	}
}

// follow returns the events up to now.
func follow(t *testing.T, s *server, responses clientv3.WatchChan) []string {
	t.Helper()
	now, err := s.kv.Get(t.Context(), "now")
	if err != nil {
		t.Fatal(err)
	}
	var events []string
	there := map[string]*mvccpb.KeyValue{} // what a watch cache holds
	ask := time.NewTicker(20 * time.Millisecond)
	defer ask.Stop()
	for {
		select {
		case response := <-responses:
			if err := response.Err(); err != nil {
				t.Fatal(err)
			}
			if response.IsProgressNotify() && response.Header.Revision >= now.Header.Revision {
				return events
			}
			for _, e := range response.Events {
				before := there[string(e.Kv.Key)]
				if e.Type == clientv3.EventTypePut {
					if e.IsCreate() != (before == nil) {
						t.Errorf("an event says created=%t of %s, which was %s", e.IsCreate(), seen(e.Kv), seen(before))
					}
					there[string(e.Kv.Key)] = e.Kv
				} else if before == nil {
					continue // a watch cache ignores it
				} else {
					delete(there, string(e.Kv.Key))
				}
				events = append(events, fmt.Sprintf("%s %s, was %s", e.Type, seen(e.Kv), seen(before)))
			}
		case <-ask.C:
			_ = s.watch.RequestProgress(t.Context())
		}
	}
}
