package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/annex-dev/annex/test/framework/annex"
)

// steps is how many requests the random walk makes, over all walkers.
const steps = 4000

// seed makes a walk repeatable; ANNEX_TEST_SEED names another one.
func seed(tb testing.TB) uint64 {
	text := os.Getenv("ANNEX_TEST_SEED")
	if text == "" {
		return 20261122
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		tb.Fatalf("ANNEX_TEST_SEED: %v", err)
	}
	return n
}

// listed are resources of which a room holds objects; those in namespaces hold objectName in default and team.
var listed = []string{
	"/api/v1/configmaps", "/api/v1/secrets", "/api/v1/serviceaccounts", "/api/v1/limitranges", "/api/v1/events", "/api/v1/namespaces",
	"/apis/coordination.k8s.io/v1/leases", "/apis/events.k8s.io/v1/events", "/apis/certificates.k8s.io/v1/certificatesigningrequests",
	"/apis/rbac.authorization.k8s.io/v1/roles", "/apis/rbac.authorization.k8s.io/v1/rolebindings",
	"/apis/rbac.authorization.k8s.io/v1/clusterroles", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
	"/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "/apis/example.org/v1/gadgets", "/apis/example.com/v1/widgets",
	"/apis/core.kcp.io/v1alpha1/logicalclusters", "/apis/apis.kcp.io/v1alpha2/apibindings", "/apis/apis.kcp.io/v1alpha1/apibindings",
	"/apis/apis.kcp.io/v1alpha2/apiexports", "/apis/apis.kcp.io/v1alpha1/apiresourceschemas", "/apis/apis.kcp.io/v1alpha1/apiexportendpointslices",
}

// other are paths of a cluster that list nothing.
var other = []string{
	"/api", "/apis", "/api/v1", "/apis/example.org/v1", "/apis/example.com", "/openapi/v2", "/openapi/v3", "/openapi/v3/apis/example.org/v1",
	"/version", "/healthz", "/metrics", "/debug/pprof/heap", "/debug/flags/v", "/statusz", "/flagz", "/logs", "/apis/tenancy.kcp.io/v1alpha1/workspaces",
}

// TestIsolation_NoAnswerHoldsAnotherClustersObject walks at random over everything a client controls in a request, as users
// who may see little, and looks for what they may not see in the raw bytes of every answer.
func TestIsolation_NoAnswerHoldsAnotherClustersObject(t *testing.T) {
	s := start(t)
	w := build(t, s)
	before := snapshot(t, s, w)
	t.Logf("seed %d", seed(t))

	const walkers = 4
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		codes = map[int]int{}
		own   int
	)
	senders := map[string]*wire{"": as(t, s, "")}
	for _, user := range []string{alice, stranger, provider} {
		senders[user] = as(t, s, user)
	}
	for i := range walkers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(seed(t), uint64(i)))
			for range steps / walkers {
				user := []string{alice, alice, alice, alice, provider, provider, stranger, ""}[random.IntN(8)]
				r := w.wander(random, user)
				a, sent, err := senders[user].do(t.Context(), r)
				if err != nil {
					t.Errorf("%s %s as %q: %v", r.method, r.path, user, err)
					continue
				}
				if !sent || a.code == 0 {
					continue
				}
				if leaked, is := w.leak(user, a.body); is {
					t.Errorf("%s %s as %q with %v and body %q answers with what belongs to %s:\n%d %.2000s",
						r.method, r.path, user, r.headers, r.body, leaked.path, a.code, a.body)
				}
				if a.code >= 500 && !excused(a) {
					t.Errorf("%s %s as %q with %v and body %q: %d %.500s", r.method, r.path, user, r.headers, r.body, a.code, a.body)
				}
				if a.code >= 300 && a.code < 400 {
					t.Errorf("%s %s as %q: %d, which a host turns into 502", r.method, r.path, user, a.code)
				}
				mu.Lock()
				codes[a.code]++
				if strings.Contains(string(a.body), w.own.secret) {
					own++
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	t.Logf("answers by code: %v, with objects of the walker's own: %d", codes, own)
	if own < steps/50 || codes[http.StatusOK] < steps/10 || codes[http.StatusForbidden] < steps/10 {
		t.Errorf("the walk proves little: %d answers with objects of the walker's own, by code %v", own, codes)
	}
	for path, want := range before {
		if path == w.own.path || path == w.provided.path {
			continue // those the walkers may write
		}
		if got := snapshot(t, s, w)[path]; !maps.Equal(got, want) {
			t.Errorf("objects of %s changed:\nbefore %v\nafter  %v", path, want, got)
		}
	}
}

// excused reports whether an answer of 500 and above is one that a kube-apiserver gives as well.
func excused(a answer) bool {
	switch a.code {
	case http.StatusNotImplemented, http.StatusGatewayTimeout:
		return true
	}
	text := string(a.body)
	// A single object with a malformed resourceVersion, one asked for as a list, and a new one with a resourceVersion.
	return strings.Contains(text, "strconv.ParseUint") || strings.Contains(text, "content is not a list") ||
		strings.Contains(text, "resourceVersion should not be set on objects to be created")
}

// snapshot returns the resource version of every object of every room, bound objects apart, which a provider may write.
func snapshot(tb testing.TB, s *annex.Server, w *world) map[string]map[string]string {
	tb.Helper()
	admin, all := asAdmin(tb, s), map[string]map[string]string{}
	for _, r := range w.rooms {
		objects := map[string]string{}
		for _, resource := range listed {
			if strings.Contains(resource, "widgets") || strings.Contains(resource, "kcp.io") {
				continue // written by the provider, and by controllers
			}
			a := admin.get("/clusters/" + r.path + resource)
			var list unstructured.UnstructuredList
			if err := json.Unmarshal(a.body, &list); err != nil || a.code != http.StatusOK {
				tb.Fatalf("listing %s in %s: %d %v", resource, r.path, a.code, err)
			}
			for _, item := range list.Items {
				objects[resource+" "+item.GetNamespace()+"/"+item.GetName()] = item.GetResourceVersion()
			}
		}
		all[r.path] = objects
	}
	return all
}

// wander makes up a request. Most are for the walker's own room, as far as the address says.
func (w *world) wander(random *rand.Rand, user string) request {
	target := pick(random, w.rooms)
	mine := w.own
	if user == provider {
		mine = w.provided
	}
	if random.IntN(4) > 0 {
		target = mine
	}
	foreign := pick(random, w.rooms)
	for foreign == mine {
		foreign = pick(random, w.rooms)
	}
	r := request{method: http.MethodGet, headers: http.Header{}}
	query := url.Values{}
	path := w.address(random, target, foreign)
	resource, objects := w.resource(random, foreign)
	path += resource

	switch verb := random.IntN(20); {
	case !objects || verb < 12:
	case verb < 14:
		query.Set("watch", pick(random, []string{"true", "1"}))
		if random.IntN(2) == 0 {
			query.Set("sendInitialEvents", "true")
			query.Set("resourceVersionMatch", "NotOlderThan")
			query.Set("allowWatchBookmarks", "true")
		}
		query.Set("timeoutSeconds", "1")
	case verb < 15:
		r.method = pick(random, []string{http.MethodPost, http.MethodPut})
		r.body = body(random, resource, foreign)
	case verb < 17:
		r.method = http.MethodPatch
		r.headers.Set("Content-Type", pick(random, []string{
			"application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml", "application/json-patch+json",
		}))
		r.body = body(random, resource, foreign)
		if strings.Contains(r.headers.Get("Content-Type"), "json-patch") {
			r.body = fmt.Sprintf(`[{"op":"add","path":"/metadata/annotations/kcp.io~1cluster","value":%q}]`, foreign.cluster)
		}
		query.Set("fieldManager", "walker")
		query.Set("force", "true")
	case verb < 18:
		r.method = http.MethodDelete
		if strings.Contains(resource, "kcp.io") || strings.Contains(resource, "rbac") || strings.Contains(resource, "customres") ||
			strings.HasSuffix(resource, "namespaces") || strings.Contains(resource, "namespaces/") && strings.Count(resource, "/") < 5 {
			query.Set("dryRun", "All") // the walkers need these
		}
	default:
		r.method = pick(random, []string{http.MethodHead, http.MethodOptions, "TRACE", "CONNECTED", http.MethodPut, http.MethodPost})
	}
	w.decorate(random, foreign, query)
	w.disguise(random, foreign, r.headers)
	if query.Get("watch") != "" {
		r.patience = 150 * time.Millisecond
	}
	r.path = path
	if len(query) > 0 {
		r.path += "?" + query.Encode()
	}
	return r
}

// address returns the part of a path that names the cluster.
func (w *world) address(random *rand.Rand, target, foreign *room) string {
	name := pick(random, []string{target.path, target.cluster})
	if random.IntN(5) > 0 {
		return "/clusters/" + name
	}
	export := w.rooms[random.IntN(2)] // the providers come first
	if random.IntN(3) == 0 {
		export = w.provided
	}
	virtual := "/services/apiexport/" + pick(random, []string{export.cluster, export.path, name}) + "/" + pick(random, []string{"widgets", "same", "*"}) + "/clusters/"
	return pick(random, []string{
		"/clusters/" + foreign.path, "/clusters/" + foreign.cluster, "/clusters/*", "/clusters/%2A", "/clusters/" + name + ":*",
		"/clusters/" + strings.ToUpper(name), "/clusters/" + name + ":", "/clusters/:" + name, "/clusters/" + name + "%00", "/clusters/" + name + "%20",
		"/clusters/" + name + "/..", "/clusters/" + name + "/../" + foreign.path, "/clusters/" + name + "%2F..%2F" + foreign.path,
		"/clusters/" + name + "/clusters/" + foreign.path, "/clusters/" + name + "//clusters/" + foreign.cluster,
		"/clusters/" + name + "/apis/tenancy.kcp.io/v1alpha1/workspaces/" + foreign.path + "/proxy",
		"/apis/tenancy.kcp.io/v1alpha1/workspaces/" + foreign.path + "/proxy",
		"//clusters/" + name, "/clusters//" + name, "/./clusters/" + name, "/clusters/" + name + "/", "/clusters/" + name + "/.",
		"/clusters/root", "/clusters/system:admin", "/clusters/system:bound-crds", "/clusters/system:shard", "/clusters/~", "",
		virtual + foreign.cluster, virtual + target.cluster, virtual + "*", virtual + "%2A", virtual + foreign.path, virtual + "..", virtual + "*/clusters/" + foreign.cluster,
		"/clusters/" + name + virtual + foreign.cluster, virtual + target.cluster + "/..", "/services/..%2Fclusters%2F" + foreign.cluster,
	})
}

// resource returns the rest of a path, and whether it is of objects.
func (w *world) resource(random *rand.Rand, foreign *room) (string, bool) {
	if random.IntN(10) == 0 {
		return pick(random, other), false
	}
	resource := pick(random, listed)
	if random.IntN(3) == 0 {
		// Custom resources more often: all of them share a few caches.
		resource = pick(random, []string{"/apis/example.org/v1/gadgets", "/apis/example.com/v1/widgets"})
	}
	if random.IntN(3) == 0 {
		return resource, true
	}
	cut := strings.LastIndex(resource, "/")
	namespace := "default"
	if random.IntN(3) == 0 {
		namespace = pick(random, []string{
			"team", "", ".", "..", "%2E%2E", "..%2F" + foreign.cluster + "%2Fdefault", "%2E%2E%2F" + foreign.cluster, foreign.cluster, "default%2F..%2Fteam",
			foreign.cluster + "%2Fdefault", "*", "%2A", "default%00", "DEFAULT", "default%2F", foreign.path,
		})
	}
	if !strings.Contains("namespaces clusterroles clusterrolebindings customresourcedefinitions logicalclusters apibindings apiexports apiresourceschemas apiexportendpointslices", resource[cut+1:]) {
		resource = resource[:cut] + "/namespaces/" + namespace + resource[cut:]
	}
	switch random.IntN(4) {
	case 0:
		return resource, true
	case 1, 2:
		return resource + "/" + objectName, true
	}
	return resource + "/" + pick(random, []string{
		"second", "..", "%2E%2E", "..%2F..%2F" + foreign.cluster + "%2Fdefault%2Fsame", "%2e%2e%2f%2e%2e%2f" + foreign.cluster + "%2fdefault%2fsame",
		"..%5C" + foreign.cluster, "same%2F..%2Fsecond", foreign.cluster, "same%00", "SAME", "", "same/", "same/status", "same/scale", "same/../same", "*",
		"cluster", "cluster/status", "gadgets.example.org", "widgets", "..%252F..%252F" + foreign.cluster,
	}), true
}

// decorate adds query parameters.
func (w *world) decorate(random *rand.Rand, foreign *room, query url.Values) {
	for range random.IntN(3) {
		switch random.IntN(9) {
		case 0:
			query.Set("continue", pick(random, foreign.tokens))
			query.Set("limit", "2")
		case 1:
			query.Set("limit", pick(random, []string{"1", "500", "-1", "x"}))
		case 2:
			query.Set("labelSelector", pick(random, []string{"tag=" + foreign.tag, "tag", "tag!=" + foreign.tag, "tag in (" + foreign.tag + ")", "kcp.io/cluster=" + foreign.cluster, "=", "(("}))
		case 3:
			query.Set("fieldSelector", pick(random, []string{
				"metadata.name=same", "metadata.namespace=team", "metadata.namespace=" + foreign.cluster, "metadata.namespace=../" + foreign.cluster + "/default",
				"metadata.name=" + foreign.cluster, "spec.field0=x", "spec.field1!=x", "metadata.cluster=" + foreign.cluster, "metadata.name=../../" + foreign.cluster,
			}))
		case 4:
			query.Set("resourceVersion", pick(random, append([]string{"0", "1", "", "-1", "99999999999", "x"}, foreign.versions...)))
			query.Set("resourceVersionMatch", pick(random, []string{"", "Exact", "NotOlderThan", "x"}))
		case 5:
			query.Set("timeoutSeconds", "1")
		case 6:
			query.Set(pick(random, []string{"cluster", "clusterName", "namespace", "watch", "path", "pretty", "shard"}), pick(random, []string{foreign.cluster, foreign.path, "*", "false", "true"}))
		case 7:
			query.Set("includeObject", pick(random, []string{"Object", "Metadata", "None"}))
		case 8:
			query.Set("fieldValidation", pick(random, []string{"Strict", "Warn", "Ignore"}))
		}
	}
	if query.Get("resourceVersion") == "99999999999" && query.Get("watch") == "" {
		query.Set("timeoutSeconds", "1")
	}
}

// disguise adds headers in which a client says that it is somebody else, or somewhere else.
func (w *world) disguise(random *rand.Rand, foreign *room, headers http.Header) {
	if random.IntN(2) == 0 {
		headers.Set("Accept", pick(random, []string{
			"application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "*/*", "text/html",
			"application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json",
			"application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json",
			"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf", "application/cbor",
		}))
	}
	if random.IntN(5) > 0 {
		return
	}
	for range 1 + random.IntN(3) {
		switch random.IntN(6) {
		case 0:
			headers.Set("X-Remote-User", pick(random, []string{"kcp-admin", "shard-admin", "system:apiserver", "system:admin"}))
			headers.Set("X-Remote-Group", pick(random, []string{"system:masters", "system:kcp:admin"}))
		case 1:
			headers.Set("Impersonate-User", pick(random, []string{"kcp-admin", "shard-admin", "system:apiserver", provider, alice, "system:kcp:serviceaccount:" + foreign.cluster + ":default:same", "system:serviceaccount:default:same"}))
		case 2:
			headers.Set("Impersonate-User", alice)
			headers.Set("Impersonate-Group", pick(random, []string{"system:masters", "system:kcp:admin", "system:kcp:logical-cluster-admin", "system:kcp:external-logical-cluster-admin"}))
		case 3:
			headers.Set("Impersonate-User", alice)
			headers.Set(pick(random, []string{"Impersonate-Extra-Authentication.kcp.io%2Fscopes", "Impersonate-Extra-Authentication.kcp.io%2Fcluster-Name", "Impersonate-Uid"}),
				pick(random, []string{"cluster:" + foreign.cluster, foreign.cluster, "1"}))
		case 4:
			headers.Set(pick(random, []string{"X-Kcp-Cluster", "X-Kcp-Logical-Cluster", "X-Kcp-Path", "X-Kubernetes-Cluster", "X-Kcp-Canonical-Path", "X-Kcp-Workspace"}),
				pick(random, []string{foreign.cluster, foreign.path, "*", "root"}))
		case 5:
			headers.Set(pick(random, []string{"X-Original-Url", "X-Rewrite-Url", "X-Forwarded-Prefix", "X-Forwarded-Uri", "X-Forwarded-Host"}), "/clusters/"+foreign.path+"/api/v1/secrets")
		}
	}
}

// body returns an object that says it belongs to foreign.
func body(random *rand.Rand, resource string, foreign *room) string {
	kinds := map[string][2]string{
		"configmaps": {"v1", "ConfigMap"}, "secrets": {"v1", "Secret"}, "serviceaccounts": {"v1", "ServiceAccount"}, "leases": {"coordination.k8s.io/v1", "Lease"},
		"gadgets": {"example.org/v1", "Gadget"}, "widgets": {"example.com/v1", "Widget"}, "namespaces": {"v1", "Namespace"},
	}
	parts := strings.Split(resource, "/")
	kind, known := [2]string{"v1", "ConfigMap"}, false
	for _, part := range slices.Backward(parts) {
		if kind, known = kinds[part]; known {
			break
		}
	}
	if !known {
		kind = kinds["configmaps"]
	}
	object := map[string]any{
		"apiVersion": kind[0], "kind": kind[1],
		"metadata": map[string]any{
			"name":        pick(random, []string{"same", "new-" + strconv.Itoa(random.IntN(50)), "../../" + foreign.cluster + "/default/same", foreign.cluster}),
			"labels":      map[string]any{"tag": foreign.tag},
			"annotations": map[string]any{"kcp.io/cluster": foreign.cluster, "kcp.io/path": foreign.path, "written": "by-walker"},
		},
	}
	if random.IntN(3) == 0 {
		object["metadata"].(map[string]any)["namespace"] = pick(random, []string{"team", "../" + foreign.cluster + "/default", foreign.cluster})
	}
	if random.IntN(3) == 0 {
		object["metadata"].(map[string]any)["uid"] = "00000000-0000-0000-0000-000000000000"
		object["metadata"].(map[string]any)["resourceVersion"] = pick(random, foreign.versions)
	}
	data, err := json.Marshal(object)
	if err != nil {
		return ""
	}
	return string(data)
}

func pick[T any](random *rand.Rand, from []T) T { return from[random.IntN(len(from))] }

// FuzzURL sends any path and query as a user with rights in one workspace. `go test -fuzz FuzzURL ./test/integration` searches;
// without -fuzz the corpus is run.
func FuzzURL(f *testing.F) {
	s := start(f)
	w := build(f, s)
	sender := as(f, s, alice)
	// Names of clusters are made anew for each run: in inputs, A stands for the walker's own and B for another's.
	foreign := w.rooms[3]
	expand := strings.NewReplacer("{own}", w.own.path, "{OWN}", w.own.cluster, "{foreign}", foreign.path, "{FOREIGN}", foreign.cluster,
		"{provider}", foreign.export.cluster, "{token}", url.QueryEscape(foreign.tokens[0]))
	for _, path := range []string{
		"/clusters/{own}/api/v1/namespaces/default/configmaps/same",
		"/clusters/{OWN}/api/v1/secrets?limit=1&continue={token}",
		"/clusters/{foreign}/api/v1/secrets",
		"/clusters/{FOREIGN}/api/v1/namespaces/default/secrets/same",
		"/clusters/{own}/../{foreign}/api/v1/secrets",
		"/clusters/{own}%2f..%2f{foreign}/api/v1/secrets",
		"/clusters/{own}/clusters/{foreign}/api/v1/secrets",
		"/clusters/{own}//clusters/{foreign}/api/v1/secrets",
		"/clusters/{own}/api/v1/namespaces/..%2f{FOREIGN}%2fdefault/configmaps/same",
		"/clusters/{own}/api/v1/namespaces/default/configmaps/..%2f..%2f{FOREIGN}%2fdefault%2fsame",
		"/clusters/{own}/apis/example.org/v1/gadgets?fieldSelector=metadata.namespace=../{FOREIGN}/default",
		"/clusters/{own}/apis/example.com/v1/widgets?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1",
		"/clusters/*/api/v1/secrets", "/clusters/%2a/api/v1/secrets", "/clusters/", "/clusters", "/clusters//", "/clusters/%", "/clusters/%2",
		"/clusters/{own}/openapi/v3/apis/example.org/v1", "/clusters/{own}/apis", "/clusters/{own}/metrics", "/clusters/{own}/debug/pprof/heap",
		"/services/apiexport/{provider}/widgets/clusters/*/apis/example.com/v1/widgets",
		"/services/apiexport/{provider}/widgets/clusters/{FOREIGN}/apis/example.com/v1/namespaces/default/widgets/same",
		"/services/apiexport/{OWN}/widgets/clusters/{FOREIGN}/api/v1/secrets", "/services/", "/services/apiexport", "/services/initializingworkspaces/x",
		"/apis/tenancy.kcp.io/v1alpha1/workspaces/{foreign}/proxy/api/v1/secrets", "/api/v1/secrets", "/",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r := request{method: http.MethodGet, path: expand.Replace(path)}
		if strings.Contains(path, "watch") {
			r.patience = 500 * time.Millisecond
		}
		a, sent, err := sender.do(context.WithoutCancel(t.Context()), r)
		if err != nil {
			t.Fatalf("GET %s: %v", r.path, err)
		}
		if !sent {
			return
		}
		if leaked, is := w.leak(alice, a.body); is {
			t.Errorf("GET %s answers with what belongs to %s:\n%d %.2000s", r.path, leaked.path, a.code, a.body)
		}
		if a.code >= 500 && !excused(a) || a.code >= 300 && a.code < 400 {
			t.Errorf("GET %s: %d %.500s", r.path, a.code, a.body)
		}
	})
}
