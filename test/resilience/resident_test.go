package resilience

import (
	"bufio"
	"context"
	"errors"
	"flag"
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
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

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

// resident is what a server has however many workspaces there are.
type resident struct {
	t      *testing.T
	client *http.Client
	host   string
	// as they were when the server was calm
	goroutines int
	series     map[string]bool
}

// newResident returns the server as it is now; see calm.
func newResident(t *testing.T, server *annex.Server) *resident {
	masters := server.Config(annex.ContextShardBase)
	// All clients of the test share a transport while one of them is in use. Otherwise client-go makes another one now and then, and
	// leaves the connections of the old one open, each with goroutines of the server.
	client, err := rest.HTTPClientFor(masters)
	if err != nil {
		t.Fatal(err)
	}
	return &resident{t: t, client: client, host: masters.Host}
}

func (r *resident) count() (goroutines int, series map[string]bool) {
	goroutines, series, err := scrape(r.t.Context(), r.client, r.host)
	if err != nil {
		r.t.Fatal(err)
	}
	return goroutines, series
}

// calm waits until the goroutines of requests and of idle connections have ended, and keeps what is left.
func (r *resident) calm() {
	r.goroutines = 1 << 30
	settle(r.t, 3*time.Second, func() int {
		now, _ := r.count()
		r.goroutines = min(r.goroutines, now)
		return r.goroutines
	})
	_, r.series = r.count()
}

// awaitBack waits until the server has as much as it had when it was calm, although there were workspaces since.
func (r *resident) awaitBack(workspaces int) {
	const slack = 20
	var goroutines int
	var series map[string]bool
	annex.Eventually(r.t, func(context.Context) error {
		goroutines, series = r.count()
		if d := goroutines - r.goroutines; d > slack {
			return fmt.Errorf("%d goroutines more for %d workspaces", d, workspaces)
		}
		// One label set of a histogram is dozens of series, and may be first used at any time. So: fewer than one for each workspace.
		if d := len(series) - len(r.series); d >= workspaces {
			maps.DeleteFunc(series, func(name string, _ bool) bool { return r.series[name] })
			return fmt.Errorf("%d metric series more for %d workspaces: %q", d, workspaces, slices.Sorted(maps.Keys(series))[:3])
		}
		return nil
	})
	r.t.Logf("before %d workspaces %d goroutines, %d series; after them %d goroutines, %d series", workspaces, r.goroutines, len(r.series), goroutines, len(series))
}

func TestResident_NothingPerWorkspace(t *testing.T) {
	const few, many = 20, 150
	server := annex.Start(t)
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
	r := newResident(t, server)
	// The same requests once before the first count, as series appear with their first use.
	grow(0, 5)
	grow(5, few)
	r.calm()
	grow(few, many)
	r.awaitBack(many - few)
}

var churned = flag.Int("churn", 300, "how many workspaces are made, used and deleted")

func TestResident_NothingOfWorkspacesThatWereDeleted(t *testing.T) {
	few, many := 20, max(*churned, 100)
	etcd := annex.StartEtcd(t)
	server := annex.Start(t, "--etcd-servers", etcd.URL())
	providerPath, _ := server.NewWorkspace("root", "provider", "")
	_, provider := annex.Clients(t, server.Workspace(providerPath))
	export(t, provider)
	_, root := annex.Clients(t, server.Workspace("root"))
	// A rolling window: sixteen clients, each with one workspace at a time.
	live := func(from, to int) {
		each(to-from, func(i int) {
			name := fmt.Sprintf("team-%d", from+i)
			if _, err := annex.NewWorkspace(t.Context(), root, name, "universal"); err != nil {
				t.Error(err)
				return
			}
			typed, untyped := annex.Clients(t, server.Workspace("root:"+name))
			configMaps := typed.CoreV1().ConfigMaps("default")
			made, err := configMaps.Create(t.Context(), configMap("same", name), metav1.CreateOptions{})
			if err == nil {
				made.Data["owner"] = "changed"
				_, err = configMaps.Update(t.Context(), made, metav1.UpdateOptions{})
			}
			if err != nil {
				t.Error(err)
			}
			if i%10 == 0 {
				if err := useWidgets(t.Context(), untyped, providerPath, name); err != nil {
					t.Error(err)
				}
			}
			if err := remove(t.Context(), root, name); err != nil {
				t.Error(err)
			}
		})
	}
	// What is stored, without what goes by itself.
	keys := func() string {
		all, _ := etcd.Mentions("")
		return strings.Join(slices.DeleteFunc(all, func(key string) bool {
			return strings.Contains(key, "/events/") || strings.Contains(key, "/leases/")
		}), "\n")
	}
	r := newResident(t, server)
	live(0, few)
	r.calm()
	before := settle(t, time.Second, keys)
	live(few, many)
	r.awaitBack(many - few)
	annex.Eventually(t, func(context.Context) error {
		if after := keys(); after != before {
			return fmt.Errorf("the keys before were\n%s\nand are\n%s", before, after)
		}
		return nil
	})
}

// useWidgets binds the export at path and makes an object.
func useWidgets(ctx context.Context, client dynamic.Interface, path, owner string) error {
	if _, err := client.Resource(bindings).Create(ctx, newBinding(path), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("binding: %w", err)
	}
	var last error
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 2*time.Minute, true, func(ctx context.Context) (bool, error) {
		_, last = client.Resource(widgets).Namespace("default").Create(ctx, newWidget("same", owner), metav1.CreateOptions{})
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("using what is bound: %w: %w", err, last)
	}
	return nil
}

// remove deletes a workspace and returns when it is gone.
func remove(ctx context.Context, parent dynamic.Interface, name string) error {
	if err := parent.Resource(workspaces).Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("deleting workspace %s: %w", name, err)
	}
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 2*time.Minute, true, func(ctx context.Context) (bool, error) {
		_, err := parent.Resource(workspaces).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
	if err != nil {
		return fmt.Errorf("waiting for the end of workspace %s: %w", name, err)
	}
	return nil
}
