package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

const floodClients = 50

// strangers are clients that a workspace refuses, and how.
var strangers = map[string]struct {
	token string
	code  int
}{
	"a token that nobody knows":   {"nobody", http.StatusUnauthorized},
	"no credentials":              {"", http.StatusForbidden},
	"a user who may not enter it": {"stranger-token", http.StatusForbidden},
}

// narrow are limits that a few clients reach.
var narrow = []string{
	"--workspace-seats=1", "--max-requests-queued=20", "--max-watches=20",
}

// startNarrow returns a server with narrow limits on what is shared, none on refusals, and workspaces where bob works on ConfigMaps, by
// path.
func startNarrow(t *testing.T, names ...string) (s *annex.Server, paths []string) {
	t.Helper()
	return startLimited(t, append([]string{"--max-refusals-per-second=0"}, narrow...), names...)
}

func startLimited(t *testing.T, limits []string, names ...string) (s *annex.Server, paths []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tokens.csv")
	if err := os.WriteFile(file, []byte(tokens), 0o600); err != nil {
		t.Fatal(err)
	}
	s = annex.Start(t, append([]string{"--token-auth-file", file}, limits...)...)
	for _, name := range names {
		path, _ := newWorkspace(t, s, "root", name)
		allow(t, s, path, enter, rule("", []string{"configmaps"}, []string{"*"}))
		eventually(t, "bob may work in "+path, func(ctx context.Context) (bool, error) {
			_, err := userClient(t, s, bob, path).CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{})
			return err == nil, nil
		})
		paths = append(paths, path)
	}
	return s, paths
}

// flood is what came back to clients that ask for a path without a pause.
type flood struct {
	stop                  func()
	codes                 [600]atomic.Int64
	withoutRetry, strange atomic.Int64
}

// startFlood lets many clients list ConfigMaps until the flood is stopped, or the test ends.
func startFlood(t *testing.T, config *rest.Config) *flood {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	f := &flood{stop: func() { cancel(); wg.Wait() }}
	t.Cleanup(f.stop)
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	for range floodClients {
		wg.Go(func() {
			for ctx.Err() == nil {
				f.send(ctx, client, config.Host+"/api/v1/configmaps")
			}
		})
	}
	return f
}

func (f *flood) send(ctx context.Context, client *http.Client, url string) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	resp, err := client.Do(r)
	if err != nil {
		return // the server closes connections of those it does not know
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		var status metav1.Status
		if after, err := strconv.Atoi(resp.Header.Get("Retry-After")); err != nil || after < 1 {
			f.withoutRetry.Add(1)
		}
		if err := json.Unmarshal(body, &status); err != nil || status.Reason != metav1.StatusReasonTooManyRequests {
			f.strange.Add(1)
		}
	}
	f.codes[resp.StatusCode].Add(1)
}

// came reports whether the flood has got so many answers with a code.
func (f *flood) came(code int, n int64) func(context.Context) (bool, error) {
	return func(context.Context) (bool, error) { return f.codes[code].Load() >= n, nil }
}

// mustWork fails the test unless a user reads and writes in a workspace, at the first attempt each time.
func mustWork(t *testing.T, config *rest.Config) {
	t.Helper()
	config = rest.CopyConfig(config)
	retries := 0
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err == nil && resp.StatusCode == http.StatusTooManyRequests {
				retries++ // client-go would hide it
			}
			return resp, err
		})
	})
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	maps := client.CoreV1().ConfigMaps("default")
	for range 30 {
		made, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "quiet-"}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatalf("a write beside the flood: %v", err)
		}
		if _, err := maps.Get(t.Context(), made.Name, metav1.GetOptions{}); err != nil {
			t.Fatalf("a read beside the flood: %v", err)
		}
		if _, err := maps.List(t.Context(), metav1.ListOptions{}); err != nil {
			t.Fatalf("a list beside the flood: %v", err)
		}
	}
	if retries > 0 {
		t.Errorf("%d requests beside the flood were answered with 429", retries)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestFairness_AFloodingWorkspaceIsTheOneThatWaits(t *testing.T) {
	s, paths := startNarrow(t, "busy", "quiet")
	f := startFlood(t, s.As("bob-token", paths[0]))
	eventually(t, "the flood is answered with 429", f.came(http.StatusTooManyRequests, floodClients))

	mustWork(t, s.As("bob-token", paths[1]))
	if code := annex.Status(t, s.Config(annex.ContextShardBase), http.MethodGet, "/clusters/"+paths[0]+"/api/v1/configmaps"); code != http.StatusOK {
		t.Errorf("the operator gets %d in the flooding workspace", code)
	}
	if code := annex.Status(t, rest.AnonymousClientConfig(s.Config(annex.ContextBase)), http.MethodGet, "/readyz"); code != http.StatusOK {
		t.Errorf("/readyz answers %d", code)
	}
	f.stop()
	if f.codes[http.StatusOK].Load() == 0 {
		t.Error("nothing of the flood is served")
	}
	if f.withoutRetry.Load() > 0 || f.strange.Load() > 0 {
		t.Errorf("of the answers 429, %d have no Retry-After and %d are no Status", f.withoutRetry.Load(), f.strange.Load())
	}
	mustWork(t, s.As("bob-token", paths[0])) // no seat is lost
}

// Workspaces below one branch of the tree share what one tenant has, however many they are.
func TestFairness_ChildrenShareThePartOfTheirTenant(t *testing.T) {
	s, paths := startNarrow(t, "busy", "quiet")
	var children []string
	for i := range 4 {
		child, _ := newWorkspace(t, s, paths[0], fmt.Sprintf("child-%d", i))
		allow(t, s, child, enter, rule("", []string{"configmaps"}, []string{"*"}))
		eventually(t, "bob may work in "+child, func(ctx context.Context) (bool, error) {
			_, err := userClient(t, s, bob, child).CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{})
			return err == nil, nil
		})
		children = append(children, child)
	}
	var floods []*flood
	for _, child := range children {
		floods = append(floods, startFlood(t, s.As("bob-token", child)))
	}
	for _, f := range floods {
		eventually(t, "every flood is answered with 429", f.came(http.StatusTooManyRequests, 1))
	}
	mustWork(t, s.As("bob-token", paths[1]))
	for _, f := range floods {
		eventually(t, "no child is left out", f.came(http.StatusOK, 1))
		f.stop()
	}
}

// Anybody can write a workspace into a URL. Who is not let in uses nobody's share.
func TestFairness_StrangersUseNobodysShare(t *testing.T) {
	s, paths := startNarrow(t, "besieged")
	for name, tc := range strangers {
		t.Run(name, func(t *testing.T) {
			f := startFlood(t, s.As(tc.token, paths[0]))
			eventually(t, "the flood is refused", f.came(tc.code, floodClients))
			mustWork(t, s.As("bob-token", paths[0]))
			f.stop()
			if n := f.codes[http.StatusTooManyRequests].Load() + f.codes[http.StatusOK].Load(); n > 0 {
				t.Errorf("%d requests of strangers got as far as the workspace's share", n)
			}
		})
	}
}

// A flood of refusals is limited; whoever is let in and sits behind the same address as the flood does not notice.
func TestFairness_RefusalsAreLimited(t *testing.T) {
	s, paths := startLimited(t, []string{"--max-refusals-per-second=3"}, "besieged")
	for name, tc := range strangers {
		t.Run(name, func(t *testing.T) {
			f := startFlood(t, s.As(tc.token, paths[0]))
			eventually(t, "the flood gets 429", f.came(http.StatusTooManyRequests, 10*floodClients))
			mustWork(t, s.As("bob-token", paths[0]))
			f.stop()
			if n := f.codes[tc.code].Load(); n > 10*floodClients {
				t.Errorf("%d requests of the flood were looked at", n)
			}
			if f.withoutRetry.Load() > 0 || f.strange.Load() > 0 {
				t.Errorf("of the answers 429, %d have no Retry-After and %d are no Status", f.withoutRetry.Load(), f.strange.Load())
			}
		})
	}
}

func TestFairness_OpenWatchesAreSharedOut(t *testing.T) {
	s, paths := startNarrow(t, "watching", "quiet")
	open := func(workspace string) (code int, retryAfter string, end func()) {
		config := s.As("bob-token", workspace)
		client, err := rest.HTTPClientFor(config)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, config.Host+"/api/v1/configmaps?watch=true", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header.Get("Retry-After"), func() { _ = resp.Body.Close() }
	}
	var ends []func()
	for range 10 {
		code, _, end := open(paths[0])
		if code != http.StatusOK {
			t.Fatalf("watch %d is answered with %d", len(ends)+1, code)
		}
		ends = append(ends, end)
	}
	code, retryAfter, end := open(paths[0])
	end()
	if code != http.StatusTooManyRequests || retryAfter == "" {
		t.Errorf("beyond half of all watches: %d with Retry-After %q, want 429", code, retryAfter)
	}
	if code, _, end := open(paths[1]); code != http.StatusOK {
		t.Errorf("a watch in another workspace: %d", code)
	} else {
		end()
	}
	mustWork(t, s.As("bob-token", paths[0])) // open watches hold no seat
	for _, end := range ends {
		end()
	}
	eventually(t, "watches that have ended are not counted", func(context.Context) (bool, error) {
		code, _, end := open(paths[0])
		end()
		return code == http.StatusOK, nil
	})
}
