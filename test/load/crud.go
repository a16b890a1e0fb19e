package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// crudRest is how long a server is left alone before it is compared.
const crudRest = 3 * time.Second

// objectsPerList is for how many objects there is one list, which costs as much
// as dozens of other calls.
const objectsPerList = 50

// crudKind is what is created, read and so on.
type crudKind struct {
	resource schema.GroupVersionResource
	object   func(name string) *unstructured.Unstructured
	// patch changes one field and leaves the payload alone.
	patch string
}

func configMapKind() crudKind {
	return crudKind{resource: configMaps, object: newConfigMap, patch: `{"data":{"changed":"yes"}}`}
}

// crudClient is one of the clients of a side.
type crudClient struct {
	dynamic.ResourceInterface
	connection *crowd.Connection
	collection string // its URL
	kind       crudKind
}

// operation is one of the calls, in the order in which an object lives.
type operation struct {
	name string
	// per is for how many objects there is one call.
	per  int
	call func(ctx context.Context, c crudClient, object string) error
}

func operations() []operation {
	return []operation{
		{"create", 1, func(ctx context.Context, c crudClient, object string) error {
			_, err := c.Create(ctx, c.kind.object(object), metav1.CreateOptions{})
			return err
		}},
		{"get", 1, func(ctx context.Context, c crudClient, object string) error {
			_, err := c.Get(ctx, object, metav1.GetOptions{})
			return err
		}},
		{"patch", 1, func(ctx context.Context, c crudClient, object string) error {
			_, err := c.Patch(ctx, object, types.MergePatchType, []byte(c.kind.patch), metav1.PatchOptions{})
			return err
		}},
		// Not decoded, as that would take longer than the server does.
		{"list", objectsPerList, func(ctx context.Context, c crudClient, _ string) error {
			return fetch(ctx, c.connection, c.collection+"?limit="+strconv.Itoa(chunkSize), "application/json", discard)
		}},
		{"delete", 1, func(ctx context.Context, c crudClient, object string) error {
			return c.Delete(ctx, object, metav1.DeleteOptions{})
		}},
	}
}

// crudSide is one of the servers that are compared.
type crudSide struct {
	name      string // part of the figures' names
	config    *rest.Config
	url       string // where its API begins
	namespace string
	kind      crudKind
	results   map[string]*crudResult
}

// newCRUDSide returns a side on which there are ConfigMaps.
func newCRUDSide(name string, config *rest.Config, url, namespace string) *crudSide {
	side := &crudSide{name: name, config: config, url: url, namespace: namespace, kind: configMapKind(), results: map[string]*crudResult{}}
	for _, op := range operations() {
		side.results[op.name] = &crudResult{}
	}
	return side
}

// crudResult is what one operation took, over all rounds.
type crudResult struct {
	latencies latencies
	elapsed   time.Duration
}

func (r *crudResult) rate() float64 { return rate(len(r.latencies), r.elapsed) }

// collection returns the URL of the objects of a side.
func (s *crudSide) collection() string {
	prefix := "/apis/" + s.kind.resource.Group
	if s.kind.resource.Group == "" {
		prefix = "/api"
	}
	return s.url + prefix + "/" + s.kind.resource.Version + "/namespaces/" + s.namespace + "/" + s.kind.resource.Resource
}

// connect returns so many clients of a side, for its kind.
func (s *crudSide) connect(n int) ([]crudClient, func(), error) {
	connections, err := crowd.ConnectAll(s.config, n)
	if err != nil {
		return nil, nil, err
	}
	clients := make([]crudClient, n)
	for i, c := range connections {
		client, err := c.At(s.url)
		if err != nil {
			return nil, nil, err
		}
		clients[i] = crudClient{
			ResourceInterface: client.Resource(s.kind.resource).Namespace(s.namespace), connection: c, collection: s.collection(), kind: s.kind,
		}
	}
	return clients, func() { crowd.CloseAll(connections) }, nil
}

// measureCRUD tells how fast ConfigMaps of 1 KiB are created, read, patched,
// listed and deleted in a workspace and in a plain kube-apiserver, and how the
// two compare.
// The servers take turns, round after round, so that what else goes on in the
// machine hits both.
func measureCRUD(ctx context.Context, b *bench) error {
	sides, err := b.crudSides(ctx, "crud")
	if err == nil {
		err = b.crudRounds(ctx, sides)
	}
	if err == nil {
		b.reportCRUD("crud", sides)
	}
	return err
}

// crudRounds takes all sides through all rounds.
func (b *bench) crudRounds(ctx context.Context, sides []*crudSide) error {
	// The comparison is between servers with one busy tenant: ours shall have
	// forgotten who made the workspace.
	if err := crowd.Sleep(ctx, min(crudRest, b.opts.settle)); err != nil {
		return err
	}
	for round := range b.opts.rounds {
		// Who goes first changes, too.
		if round > 0 {
			slices.Reverse(sides)
		}
		for _, side := range sides {
			if err := b.crudRound(ctx, side, round); err != nil {
				return fmt.Errorf("in %s: %w", side.name, err)
			}
		}
	}
	return nil
}

func (b *bench) crudSides(ctx context.Context, name string) ([]*crudSide, error) {
	var sides []*crudSide
	if b.target != nil {
		names, _, _, err := b.makeWorkspaces(ctx, name, 1, nil)
		if err != nil {
			return nil, err
		}
		url := crowd.ClusterURL(b.target.admin.Host, workspacePath(names[0]))
		sides = append(sides, newCRUDSide("workspace", b.target.admin, url, metav1.NamespaceDefault))
	}
	if b.plain != nil {
		sides = append(sides, newCRUDSide("plain", b.plain, b.plain.Host, metav1.NamespaceDefault))
	}
	return sides, nil
}

// crudRound takes all objects through each operation: all are created, then all
// are read, and so on.
func (b *bench) crudRound(ctx context.Context, side *crudSide, round int) error {
	clients, closeAll, err := side.connect(b.opts.clients)
	if err != nil {
		return err
	}
	defer closeAll()
	for _, c := range clients {
		// Connect before the clock runs: a handshake costs as much as a
		// dozen calls.
		if _, err := c.List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
			return fmt.Errorf("connecting: %w", err)
		}
	}
	for _, op := range operations() {
		l := make(latencies, (b.opts.objects+op.per-1)/op.per)
		elapsed, err := crowd.Parallel(ctx, len(clients), len(l), func(ctx context.Context, client, i int) error {
			object := b.id + "-" + strconv.Itoa(round) + "-" + strconv.Itoa(i)
			start := time.Now()
			if err := op.call(ctx, clients[client], object); err != nil {
				return fmt.Errorf("%s of %q: %w", op.name, object, err)
			}
			l[i] = time.Since(start)
			return nil
		})
		if err != nil {
			return err
		}
		result := side.results[op.name]
		result.latencies = append(result.latencies, l...)
		result.elapsed += elapsed
	}
	return nil
}

// reportCRUD prints each side, and the ratios when there are two.
func (b *bench) reportCRUD(figure string, sides []*crudSide) {
	by := map[string]*crudSide{}
	for _, side := range sides {
		by[side.name] = side
	}
	for _, op := range operations() {
		for _, name := range []string{"workspace", "plain"} {
			side, ok := by[name]
			if !ok {
				continue
			}
			result := side.results[op.name]
			b.report.add(figure+"_"+name+"_"+op.name+"_rate", result.rate(), unitRate)
			b.report.latencies(figure+"_"+name+"_"+op.name, result.latencies)
		}
		if len(sides) < 2 {
			continue
		}
		workspace, plain := by["workspace"].results[op.name], by["plain"].results[op.name]
		// Above 1, the workspace is faster.
		b.report.add(figure+"_"+op.name+"_rate_ratio", workspace.rate()/plain.rate(), unitCount)
		// Above 1, the workspace is slower.
		p50 := func(r *crudResult) float64 { return float64(r.latencies.Sorted().Percentile(0.50)) }
		b.report.add(figure+"_"+op.name+"_p50_ratio", p50(workspace)/p50(plain), unitCount)
	}
}
