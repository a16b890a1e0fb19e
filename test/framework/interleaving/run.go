package interleaving

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/test/framework/annex"
)

// atOnce is how many walks run at a time.
const atOnce = 4

// Config says where to walk.
type Config struct {
	// Servers share one etcd. Each request goes to a random one of them.
	Servers []*annex.Server
	// Check fails the test if something is stored that belongs to nothing.
	Check func(testing.TB)
}

// Run does walks with the seeds from first on. Those with an even seed delete their workspace in the middle; the others leave theirs, which
// are deleted after Check has looked at what is in them. Then Check looks again.
func (c Config) Run(t *testing.T, first uint64, walks int) {
	t.Helper()
	steps, err := follow(t.Context(), c.Servers[0])
	if err != nil {
		t.Fatal(err)
	}
	export := c.provider(t)
	var group errgroup.Group
	group.SetLimit(atOnce)
	all := make([]*walk, walks)
	for i := range all {
		seed := first + uint64(i)
		w := &walk{servers: c.Servers, export: export, name: fmt.Sprintf("walk-%d", seed), random: rand.New(rand.NewPCG(seed, 0)), endsEarly: seed%2 == 0} //nolint:gosec // repeatable
		all[i] = w
		group.Go(func() error {
			if err := w.run(t.Context()); err != nil {
				return fmt.Errorf("seed %d: %w\n%s", seed, err, w.said())
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	c.Check(t)
	for _, w := range all {
		if !w.endsEarly {
			group.Go(func() error { return w.end(t.Context()) })
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	c.Check(t)
	if err := steps.fault(workspaces, logicalClusters, bindings); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		for _, w := range all {
			t.Logf("%s is %s:\n%s", w.name, w.cluster, w.said())
		}
	}
}

// pick returns one of the choices.
func pick[T any](w *walk, choices ...T) T { return choices[w.random.IntN(len(choices))] }

// provider makes a workspace that exports widgets, and returns its path.
func (c Config) provider(t *testing.T) string {
	t.Helper()
	path, _ := c.Servers[0].NewWorkspace("root", "walk-provider", "universal")
	_, client := annex.Clients(t, c.Servers[0].Workspace(path))
	for gvr, obj := range offer() {
		if _, err := client.Resource(gvr).Create(t.Context(), obj, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return path
}
