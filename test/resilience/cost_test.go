package resilience

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

const (
	// maxRevisions is what a universal workspace may cost in etcd, and maxDeletionRevisions what its deletion may.
	maxRevisions         = 3
	maxDeletionRevisions = 4
	// maxDeletionReads is how often etcd may look for keys until a workspace is gone, also to compare them before a write. It
	// takes 50 or so, and a few more each time that a slow machine makes a controller look again.
	maxDeletionReads = 100
)

// settle waits until value has not changed for a while, and returns it.
func settle[T comparable](t *testing.T, quiet time.Duration, value func() T) T {
	t.Helper()
	last, since := value(), time.Now()
	annex.Eventually(t, func(context.Context) error {
		if now := value(); now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) < quiet {
			return fmt.Errorf("the value %v still changes", last)
		}
		return nil
	})
	return last
}

func TestCost_RevisionsOfAWorkspace(t *testing.T) {
	etcd := annex.StartEtcd(t)
	// A leader renews its lease every two seconds, whatever workspaces cost.
	server := annex.Start(t, "--etcd-servers", etcd.URL(), "--leader-elect=false")
	// The first one also makes what all share.
	server.NewWorkspace("root", "first", "universal")
	before := settle(t, 3*time.Second, etcd.Revision)
	const count = 5
	for i := range count {
		_, cluster := server.NewWorkspace("root", fmt.Sprintf("team-%d", i), "universal")
		// What a busy machine writes later than that is counted with the next one, or at the end.
		cost := settle(t, time.Second, etcd.Revision) - before
		if limit := int64(i+1) * maxRevisions; cost > limit {
			keys, _ := etcd.Mentions(cluster)
			t.Errorf("%d workspaces cost %d revisions, want at most %d; the keys of the last:\n%s", i+1, cost, limit, strings.Join(keys, "\n"))
		}
	}
	// And nothing while nobody does anything: an idle workspace is no heartbeat. With one, this would never settle.
	if cost := settle(t, 3*time.Second, etcd.Revision) - before; cost > count*maxRevisions {
		t.Errorf("%d workspaces cost %d revisions, want at most %d", count, cost, count*maxRevisions)
	}
	before = etcd.Revision()
	_, root := annex.Clients(t, server.Workspace("root"))
	for i := range count {
		reads, name := etcd.Reads(), fmt.Sprintf("team-%d", i)
		if err := root.Resource(workspaces).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		annex.Eventually(t, func(ctx context.Context) error {
			_, err := root.Resource(workspaces).Get(ctx, name, metav1.GetOptions{})
			if err == nil {
				return errors.New("it is still there")
			}
			if apierrors.IsNotFound(err) {
				return nil
			}
			return err
		})
		cost := settle(t, time.Second, etcd.Revision) - before
		if limit := int64(i+1) * maxDeletionRevisions; cost > limit {
			t.Errorf("deleting %d workspaces costs %d revisions, want at most %d", i+1, cost, limit)
		}
		if n := etcd.Reads() - reads; n > maxDeletionReads {
			t.Errorf("deleting a workspace takes %d reads of etcd, want at most %d", n, maxDeletionReads)
		}
	}
}

// scrape returns the number of goroutines, and the metric series.
func scrape(ctx context.Context, client *http.Client, host string) (goroutines int, series map[string]bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, host+"/metrics", nil)
	if err != nil {
		return 0, nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return 0, nil, errors.New(response.Status)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	series = map[string]bool{}
	for lines.Scan() {
		if line := lines.Text(); line != "" && line[0] != '#' {
			series[line[:max(0, strings.LastIndexByte(line, ' '))]] = true
			if value, found := strings.CutPrefix(line, "go_goroutines "); found {
				if goroutines, err = strconv.Atoi(value); err != nil {
					return 0, nil, err
				}
			}
		}
	}
	return goroutines, series, lines.Err()
}

func TestCost_NothingIsResidentPerWorkspace(t *testing.T) {
	const few, many, slack = 20, 150, 20
	server := annex.Start(t)
	masters := server.Config(annex.ContextShardBase)
	// All clients of the test share a transport while one of them is in use. Otherwise client-go makes another one now and then, and
	// leaves the connections of the old one open, each with goroutines of the server.
	client, err := rest.HTTPClientFor(masters)
	if err != nil {
		t.Fatal(err)
	}
	_, root := annex.Clients(t, server.Workspace("root"))
	grow := func(from, to int) {
		each(to-from, func(i int) {
			if _, err := annex.NewWorkspace(t.Context(), root, fmt.Sprintf("team-%d", from+i), "universal"); err != nil {
				t.Error(err)
				return
			}
			// Each is used: discovery, a write, a list, a review.
			typed, _ := annex.Clients(t, server.Workspace(fmt.Sprintf("root:team-%d", from+i)))
			if _, err := typed.Discovery().ServerPreferredResources(); err != nil {
				t.Error(err)
			}
			if err := complete(t.Context(), typed); err != nil {
				t.Error(err)
			}
		})
	}
	count := func() (goroutines int, series map[string]bool) {
		goroutines, series, err := scrape(t.Context(), client, masters.Host)
		if err != nil {
			t.Fatal(err)
		}
		return goroutines, series
	}
	// The same requests once before the first count, as series appear with their first use.
	grow(0, 5)
	grow(5, few)
	// Goroutines of requests and of idle connections end soon after them.
	goroutines20 := 1 << 30
	settle(t, 3*time.Second, func() int {
		now, _ := count()
		goroutines20 = min(goroutines20, now)
		return goroutines20
	})
	_, series20 := count()
	grow(few, many)
	var goroutines150 int
	var series150 map[string]bool
	annex.Eventually(t, func(context.Context) error {
		goroutines150, series150 = count()
		if d := goroutines150 - goroutines20; d > slack {
			return fmt.Errorf("%d goroutines more for %d workspaces more", d, many-few)
		}
		// One label set of a histogram is dozens of series, and may be first used at any time. So: fewer than one for each workspace.
		if d := len(series150) - len(series20); d >= many-few {
			maps.DeleteFunc(series150, func(name string, _ bool) bool { return series20[name] })
			return fmt.Errorf("%d metric series more for %d workspaces more: %q", d, many-few, slices.Sorted(maps.Keys(series150))[:3])
		}
		return nil
	})
	t.Logf("at %d workspaces %d goroutines, %d series; at %d workspaces %d goroutines, %d series", few, goroutines20, len(series20), many, goroutines150, len(series150))
}
