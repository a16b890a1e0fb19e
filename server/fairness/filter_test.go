package fairness

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/util/flowcontrol"
	basemetrics "k8s.io/component-base/metrics"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// world is a server with the filter in front of serve.
type world struct {
	*testing.T
	limiter  *Limiter
	registry basemetrics.KubeRegistry
	server   *httptest.Server
}

// newWorld returns a server that takes who asks, for what cluster and with what verb from headers.
func newWorld(t *testing.T, c Config, serve http.HandlerFunc) *world {
	t.Helper()
	if c.Wait == 0 {
		c.Wait = time.Minute
	}
	metrics, registry := NewMetrics(), basemetrics.NewKubeRegistry()
	if err := metrics.Register(registry.Register); err != nil {
		t.Fatal(err)
	}
	limiter := New(c, unknownPath, metrics)
	limiter.HasRivals()
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	scheme.AddUnversionedTypes(schema.GroupVersion{Version: "v1"}, &metav1.Status{})
	filter := With(serve, limiter, serializer.NewCodecFactory(scheme))
	outer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if verb := r.Header.Get("Verb"); verb != "" {
			info := &genericapirequest.RequestInfo{IsResourceRequest: true, Verb: verb}
			if verb == "who am I" {
				info.Verb, info.APIGroup, info.Resource = "create", "authentication.k8s.io", "selfsubjectreviews"
			}
			if verb == "profile" {
				info = &genericapirequest.RequestInfo{Verb: "get", Path: "/debug/pprof/trace"}
			}
			ctx = genericapirequest.WithRequestInfo(ctx, info)
			ctx = genericapirequest.WithUser(ctx, &user.DefaultInfo{Name: r.Header.Get("User"), Groups: r.Header.Values("Group")})
			ctx = logicalcluster.WithCluster(ctx, logicalcluster.Name(r.Header.Get("Cluster")))
		}
		filter.ServeHTTP(w, r.WithContext(ctx))
	})
	w := &world{T: t, limiter: limiter, registry: registry, server: httptest.NewServer(outer)}
	t.Cleanup(w.server.Close)
	return w
}

// gate holds requests up until it is opened.
type gate struct {
	once   sync.Once
	opened chan struct{}
}

func newGate() *gate { return &gate{opened: make(chan struct{})} }

func (g *gate) open() { g.once.Do(func() { close(g.opened) }) }

func (g *gate) pass(http.ResponseWriter, *http.Request) { <-g.opened }

type answer struct {
	code       int
	retryAfter string
	body       string
}

// ask sends one request as a user of a cluster.
func (w *world) ask(verb, cluster, name string, groups ...string) answer {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), http.MethodGet, w.server.URL+"/api/v1/configmaps", nil)
	if err != nil {
		w.Error(err)
		return answer{}
	}
	r.Header.Set("Verb", verb)
	r.Header.Set("Cluster", cluster)
	r.Header.Set("User", name)
	for _, group := range groups {
		r.Header.Add("Group", group)
	}
	resp, err := w.server.Client().Do(r)
	if err != nil {
		return answer{}
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header.Get("Retry-After"), string(body)}
}

// metric returns the value of a series, summed over all labels but the kind; without one that of a series without labels.
func (w *world) metric(name, kind string) float64 {
	w.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.Fatal(err)
	}
	var sum float64
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var of string
			for _, label := range metric.GetLabel() {
				switch label.GetName() {
				case "kind":
					of = label.GetValue()
				case "reason":
				default:
					w.Errorf("%s has the label %s", family.GetName(), label.GetName())
				}
			}
			if family.GetName() == name && of == kind {
				sum += metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func TestFilter_AnswersTooManyRequests(t *testing.T) {
	hold := newGate()
	w := newWorld(t, Config{Reads: 10, Seats: 1, Waiting: 2}, hold.pass)
	t.Cleanup(hold.open)
	results := make(chan answer, 2)
	for i, state := range []string{"executing", "waiting"} {
		go func() { results <- w.ask("get", "busy", "mallory") }()
		eventually(t, fmt.Sprintf("request %d is %s", i, state), func() bool {
			return w.metric("annex_fairness_requests_"+state, kindRead) == 1 && w.metric("annex_fairness_requests_executing", kindRead) == 1
		})
	}
	got := w.ask("get", "busy", "mallory")
	if got.code != http.StatusTooManyRequests || got.retryAfter != "1" {
		t.Errorf("%+v, want 429 with Retry-After", got)
	}
	var status metav1.Status
	if err := json.Unmarshal([]byte(got.body), &status); err != nil || status.Reason != metav1.StatusReasonTooManyRequests || status.Kind != "Status" {
		t.Errorf("body %s (%v), want a Status", got.body, err)
	}
	hold.open()
	for range 2 {
		if got := <-results; got.code != http.StatusOK {
			t.Errorf("%+v, want 200", got)
		}
	}
	if got := w.metric("annex_fairness_rejected_total", kindRead); got != 1 {
		t.Errorf("%v are counted as rejected, want 1", got)
	}
	eventually(t, "no seat is in use", func() bool {
		return w.metric("annex_fairness_seats_in_use", "") == 0 && w.metric("annex_fairness_workspaces_active", "") == 0
	})
}

func TestFilter_OneFloodStopsNobodyElse(t *testing.T) {
	hold := newGate()
	w := newWorld(t, Config{Reads: 100, Writes: 100, Seats: 2, Waiting: 40}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User") == "mallory" {
			hold.pass(w, r)
		}
	})
	t.Cleanup(hold.open)
	for range 50 {
		go w.ask("list", "busy", "mallory")
	}
	eventually(t, "the flood is full", func() bool { return w.metric("annex_fairness_rejected_total", kindRead) > 0 })
	for name, ask := range map[string]func() answer{
		"another cluster":          func() answer { return w.ask("list", "quiet", "alice") },
		"a write elsewhere":        func() answer { return w.ask("create", "quiet", "alice") },
		"the operator in the busy": func() answer { return w.ask("get", "busy", "operator", user.SystemPrivilegedGroup) },
		"the server itself in it":  func() answer { return w.ask("get", "busy", user.APIServerUser, user.SystemPrivilegedGroup) },
	} {
		for range 20 {
			if got := ask(); got.code != http.StatusOK {
				t.Errorf("%s: %+v, want 200", name, got)
			}
		}
	}
}

// Those who ask who they are may be strangers. They do not wait for the cluster that they name, and nobody in it waits for them.
func TestFilter_WhoAmIUsesNobodysShare(t *testing.T) {
	hold := newGate()
	w := newWorld(t, Config{Reads: 10, Writes: 10, Seats: 1, Waiting: 10}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cluster") == "busy" && r.Header.Get("Verb") == "get" {
			hold.pass(w, r)
		}
	})
	t.Cleanup(hold.open)
	result := make(chan answer, 1)
	go func() { result <- w.ask("get", "busy", "alice") }()
	eventually(t, "the seat is taken", func() bool { return w.metric("annex_fairness_requests_executing", kindRead) == 1 })
	if got := w.ask("who am I", "busy", "mallory"); got.code != http.StatusOK {
		t.Errorf("%+v, want 200", got)
	}
	hold.open()
	if got := <-result; got.code != http.StatusOK {
		t.Errorf("%+v, want 200", got)
	}
}

// Operators who read profiles go on reading metrics.
func TestFilter_ProfilesOfOperatorsHoldNoSeat(t *testing.T) {
	hold := newGate()
	var profiles atomic.Int32
	w := newWorld(t, Config{Reads: 1, Seats: 1, Waiting: 1, Wait: time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Verb") == "profile" {
			profiles.Add(1)
			hold.pass(w, r)
		}
	})
	t.Cleanup(hold.open)
	results := make(chan answer, 2)
	for range cap(results) {
		go func() { results <- w.ask("profile", "", "operator", user.SystemPrivilegedGroup) }()
	}
	eventually(t, "the profiles have begun", func() bool { return profiles.Load() == 2 })
	if got := w.ask("get", "", "operator", user.SystemPrivilegedGroup); got.code != http.StatusOK {
		t.Errorf("%+v, want 200", got)
	}
	hold.open()
	for range cap(results) {
		if got := <-results; got.code != http.StatusOK {
			t.Errorf("a profile: %+v, want 200", got)
		}
	}
	// Nobody else is let off.
	hold = newGate()
	t.Cleanup(hold.open)
	go func() { results <- w.ask("profile", "busy", "mallory") }()
	eventually(t, "the seat is taken", func() bool { return w.metric("annex_fairness_requests_executing", kindRead) == 1 })
	hold.open()
	<-results
}

func TestFilter_APanicGivesTheSeatBack(t *testing.T) {
	w := newWorld(t, Config{Reads: 1, Seats: 1}, func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User") == "mallory" {
			panic(http.ErrAbortHandler)
		}
	})
	for range 5 {
		w.ask("get", "busy", "mallory")
	}
	if got := w.ask("get", "busy", "alice"); got.code != http.StatusOK {
		t.Errorf("%+v, want 200", got)
	}
}

func TestFilter_WatchesHoldASeatUntilTheyHaveBegun(t *testing.T) {
	begin, end := newGate(), newGate()
	w := newWorld(t, Config{Reads: 10, Seats: 1, Watches: 4}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Verb") == "watch" {
			begin.pass(w, r)
			flowcontrol.WatchInitialized(r.Context())
			end.pass(w, r)
		}
	})
	t.Cleanup(end.open)
	t.Cleanup(begin.open)
	results := make(chan answer, 2)
	for range 2 {
		go func() { results <- w.ask("watch", "busy", "mallory") }()
	}
	eventually(t, "the second watch waits for the first", func() bool {
		return w.metric("annex_fairness_requests_executing", kindRead) == 1 && w.metric("annex_fairness_requests_waiting", kindRead) == 1
	})
	begin.open()
	if got := w.ask("get", "busy", "mallory"); got.code != http.StatusOK {
		t.Errorf("beside open watches: %+v, want 200", got)
	}
	eventually(t, "both watches are open", func() bool { return w.limiter.watches.total() == 2 })
	if got := w.ask("watch", "busy", "mallory"); got.code != http.StatusTooManyRequests || got.retryAfter == "" {
		t.Errorf("a third watch of 4: %+v, want 429", got)
	}
	end.open()
	if got := w.ask("watch", "quiet", "alice"); got.code != http.StatusOK {
		t.Errorf("a watch elsewhere: %+v, want 200", got)
	}
	for range 2 {
		if got := <-results; got.code != http.StatusOK {
			t.Errorf("%+v, want 200", got)
		}
	}
	eventually(t, "no watch is counted", func() bool { return w.limiter.watches.total() == 0 })
}

func TestFilter_WithoutLimits(t *testing.T) {
	hold := newGate()
	w := newWorld(t, Config{}, hold.pass)
	t.Cleanup(hold.open)
	results := make(chan answer, 100)
	for range cap(results) {
		go func() { results <- w.ask("watch", "busy", "mallory") }()
	}
	eventually(t, "all are served", func() bool {
		return w.metric("annex_fairness_requests_executing", kindRead) == float64(cap(results))
	})
	hold.open()
	for range cap(results) {
		if got := <-results; got.code != http.StatusOK {
			t.Errorf("%+v, want 200", got)
		}
	}
}

func TestFilter_RefusesToWorkInAnIncompleteChain(t *testing.T) {
	w := newWorld(t, Config{}, func(http.ResponseWriter, *http.Request) { t.Error("it was served") })
	if got := w.ask("", "busy", "mallory"); got.code != http.StatusInternalServerError {
		t.Errorf("%+v, want 500", got)
	}
}
