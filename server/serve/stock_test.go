package serve

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/warning"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

type told struct{ texts []string }

// AddWarning implements warning.Recorder.
func (t *told) AddWarning(_, text string) { t.texts = append(t.texts, text) }

// asking is a request for all clusters.
type asking struct {
	verb, query, resource, user, agent, address string
	header                                      http.Header
	cluster                                     logicalcluster.Name // not all of them
}

func (q asking) of(a *advised, t *testing.T) int {
	t.Helper()
	w := &told{}
	ctx := warning.WithWarningRecorder(logicalcluster.WithWildcard(t.Context()), w)
	if q.cluster != "" {
		ctx = logicalcluster.WithCluster(ctx, q.cluster)
	}
	ctx = genericapirequest.WithUser(ctx, &user.DefaultInfo{Name: q.user})
	req := httptest.NewRequestWithContext(ctx, http.MethodGet, "/apis/example.com/v1/"+q.resource+"?"+q.query, nil)
	req.RemoteAddr = q.address
	for name, values := range q.header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", q.agent)
	a.advise(req, &genericapirequest.RequestInfo{Verb: q.verb, APIGroup: "example.com", Resource: q.resource, IsResourceRequest: true})
	for _, text := range w.texts {
		if text != Advice {
			t.Errorf("the warning is %q", text)
		}
	}
	return len(w.texts)
}

// Who would mix up objects is told what to use; nobody else is bothered.
func TestAdvised_StockInformers(t *testing.T) {
	aware := http.Header{http.CanonicalHeaderKey(client.AwareHeader): {"true"}}
	for name, test := range map[string]struct {
		asking
		want int
	}{
		"the list of a reflector":        {asking{verb: "list", query: "limit=500&resourceVersion=0"}, 1},
		"the watch of a reflector":       {asking{verb: "watch", query: "watch=true&allowWatchBookmarks=true&resourceVersion=7"}, 1},
		"a watch that begins with all":   {asking{verb: "watch", query: "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"}, 1},
		"in one cluster":                 {asking{verb: "list", query: "resourceVersion=0", cluster: "one"}, 0},
		"kubectl get":                    {asking{verb: "list", query: "limit=500", agent: "kubectl/v1.37.2"}, 0},
		"kubectl get --watch":            {asking{verb: "watch", query: "watch=true&resourceVersion=7", agent: "kubectl/v1.37.2"}, 0},
		"a page":                         {asking{verb: "list", query: "limit=500&continue=x"}, 0},
		"our client":                     {asking{verb: "watch", query: "allowWatchBookmarks=true", header: aware}, 0},
		"a client that says it is stock": {asking{verb: "watch", query: "allowWatchBookmarks=true", header: http.Header{http.CanonicalHeaderKey(client.AwareHeader): {"no"}}}, 1},
		"a controller of kcp":            {asking{verb: "watch", query: "allowWatchBookmarks=true", agent: "kcp/v0.30.0 (linux/amd64) kubernetes/1234567/kcp-apibinder"}, 0},
		"an option that is no boolean":   {asking{verb: "watch", query: "allowWatchBookmarks=perhaps"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			test.resource = "widgets"
			if got := test.of(newAdvised(testingclock.NewFakePassiveClock(time.Now())), t); got != test.want {
				t.Errorf("%d warnings, want %d", got, test.want)
			}
		})
	}
}

func TestAdvised_OnceForEachConnectionAndKind(t *testing.T) {
	clock := testingclock.NewFakePassiveClock(time.Now())
	a := newAdvised(clock)
	first := asking{verb: "list", query: "resourceVersion=0", resource: "widgets", user: "provider", agent: "operator/1", address: "10.0.0.1:1234"}
	then := first
	then.verb, then.query = "watch", "allowWatchBookmarks=true"
	other, somebody, reconnected := first, first, first
	other.resource, somebody.user, reconnected.address = "gadgets", "other", "10.0.0.1:1235"
	for i, step := range []struct {
		asking
		after time.Duration
		want  int
	}{{first, 0, 1}, {then, 0, 0}, {first, time.Minute, 0}, {other, 0, 1}, {somebody, 0, 1}, {reconnected, 0, 1}, {first, 0, 0}, {then, time.Hour, 1}} {
		clock.SetTime(clock.Now().Add(step.after))
		if got := step.of(a, t); got != step.want {
			t.Errorf("step %d: %d warnings, want %d", i, got, step.want)
		}
	}
}
