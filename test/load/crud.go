package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// crudPatch changes one field and leaves the payload alone.
const crudPatch = `{"data":{"changed":"yes"}}`

// crudRest is how long a server is left alone before it is compared.
const crudRest = 3 * time.Second

// operation is one of the four calls, in the order in which an object lives.
type operation struct {
	name string
	call func(ctx context.Context, r dynamic.ResourceInterface, object string) error
}

func operations() []operation {
	return []operation{
		{"create", func(ctx context.Context, r dynamic.ResourceInterface, object string) error {
			_, err := r.Create(ctx, newConfigMap(object), metav1.CreateOptions{})
			return err
		}},
		{"get", func(ctx context.Context, r dynamic.ResourceInterface, object string) error {
			_, err := r.Get(ctx, object, metav1.GetOptions{})
			return err
		}},
		{"patch", func(ctx context.Context, r dynamic.ResourceInterface, object string) error {
			_, err := r.Patch(ctx, object, types.MergePatchType, []byte(crudPatch), metav1.PatchOptions{})
			return err
		}},
		{"delete", func(ctx context.Context, r dynamic.ResourceInterface, object string) error {
			return r.Delete(ctx, object, metav1.DeleteOptions{})
		}},
	}
}

// crudSide is one of the servers that are compared.
type crudSide struct {
	name      string // part of the figures' names
	config    *rest.Config
	url       string // where its API begins
	namespace string
	results   map[string]*crudResult
}

func newCRUDSide(name string, config *rest.Config, url, namespace string) *crudSide {
	side := &crudSide{name: name, config: config, url: url, namespace: namespace, results: map[string]*crudResult{}}
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

// measureCRUD tells how fast ConfigMaps of 1 KiB are created, read, patched and
// deleted in a workspace and in a plain kube-apiserver, and how the two compare.
// The servers take turns, round after round, so that what else goes on in the
// machine hits both.
func measureCRUD(ctx context.Context, b *bench) error {
	sides, err := b.crudSides(ctx, "crud")
	if err == nil {
		err = b.crudRounds(ctx, sides)
	}
	if err == nil {
		b.reportCRUD(sides)
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
	clients, err := crowd.ConnectAll(side.config, b.opts.clients)
	if err != nil {
		return err
	}
	defer crowd.CloseAll(clients)
	resources := make([]dynamic.ResourceInterface, len(clients))
	for i, c := range clients {
		client, err := c.At(side.url)
		if err != nil {
			return err
		}
		resources[i] = client.Resource(configMaps).Namespace(side.namespace)
		// Connect before the clock runs: a handshake costs as much as a
		// dozen calls.
		if _, err := resources[i].List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
			return fmt.Errorf("connecting: %w", err)
		}
	}
	for _, op := range operations() {
		l := make(latencies, b.opts.objects)
		elapsed, err := crowd.Parallel(ctx, len(clients), len(l), func(ctx context.Context, client, i int) error {
			object := b.id + "-" + strconv.Itoa(round) + "-" + strconv.Itoa(i)
			start := time.Now()
			if err := op.call(ctx, resources[client], object); err != nil {
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
func (b *bench) reportCRUD(sides []*crudSide) {
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
			b.report.add("crud_"+name+"_"+op.name+"_rate", result.rate(), unitRate)
			b.report.latencies("crud_"+name+"_"+op.name, result.latencies)
		}
		if len(sides) < 2 {
			continue
		}
		workspace, plain := by["workspace"].results[op.name], by["plain"].results[op.name]
		// Above 1, the workspace is faster.
		b.report.add("crud_"+op.name+"_rate_ratio", workspace.rate()/plain.rate(), unitCount)
		// Above 1, the workspace is slower.
		p50 := func(r *crudResult) float64 { return float64(r.latencies.Sorted().Percentile(0.50)) }
		b.report.add("crud_"+op.name+"_p50_ratio", p50(workspace)/p50(plain), unitCount)
	}
}
