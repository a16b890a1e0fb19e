package integration

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/test/framework/annex"
)

const throwawayCRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: "zthings%[1]d.zgroup%[1]d.example"}
spec:
  group: "zgroup%[1]d.example"
  scope: Namespaced
  names: {plural: "zthings%[1]d", singular: "zthing%[1]d", kind: "Zthing%[1]d", listKind: "Zthing%[1]dList"}
  versions:
  - name: "v7%[1]d"
    served: true
    storage: true
    deprecated: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// useKinds uses the kinds with the numbers [from, to) in every way. workspace is the address of a workspace that has them.
func useKinds(t *testing.T, sender *wire, workspace string, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		kind := schema.GroupVersionResource{Group: fmt.Sprintf("zgroup%d.example", i), Version: fmt.Sprintf("v7%d", i), Resource: fmt.Sprintf("zthings%d", i)}
		path := workspace + "/apis/" + kind.Group + "/" + kind.Version + "/namespaces/default/" + kind.Resource
		body := func(more string) string {
			return fmt.Sprintf(`{"apiVersion":%q,"kind":"Zthing%d","metadata":{"name":"one"}%s}`, kind.GroupVersion(), i, more)
		}
		eventually(t, kind.Resource+" are served", func(context.Context) (bool, error) { return sender.get(path).code == http.StatusOK, nil })
		for _, r := range []request{
			{method: http.MethodPost, path: path, body: body("")},
			{path: path + "/one"},
			{path: workspace + "/apis/" + kind.Group + "/" + kind.Version + "/" + kind.Resource},
			{path: path + "?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan", patience: 100 * time.Millisecond},
			{method: http.MethodPatch, path: path + "/one", body: `{"spec":{"a":"b"}}`, headers: http.Header{"Content-Type": {"application/merge-patch+json"}}},
			{method: http.MethodPatch, path: path + "/one?fieldManager=z", body: body(`,"x":"y"`), headers: http.Header{"Content-Type": {"application/apply-patch+yaml"}}},
			{method: http.MethodPatch, path: path + "/one/status", body: `{"status":{"a":"b"}}`, headers: http.Header{"Content-Type": {"application/merge-patch+json"}}},
			{method: http.MethodPost, path: path + "?dryRun=All", body: strings.Replace(body(""), `"one"`, `"two"`, 1)},
			{method: http.MethodDelete, path: path + "/one"},
			{method: http.MethodDelete, path: path},
		} {
			if a := sender.send(r); a.code >= 300 {
				t.Fatalf("%s %s: %d: %s", r.method, r.path, a.code, a.body)
			}
		}
	}
}

var resourceLabels = regexp.MustCompile(`[{,](group|version|resource)="([^"]*)"`)

// series returns how many series /metrics shows, and the combinations of group, version and resource in them.
func series(sender *wire) (count int, combinations map[string]bool) {
	combinations = map[string]bool{}
	for line := range strings.Lines(string(sender.get("/metrics").body)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		count++
		var combination []string
		for _, label := range resourceLabels.FindAllStringSubmatch(line, -1) {
			combination = append(combination, label[1]+"="+label[2])
		}
		combinations[strings.Join(combination, ",")] = true
	}
	return count, combinations
}

func TestMetrics_DoNotGrowWithCustomResources(t *testing.T) {
	// Even if each of the kinds left but ten series, the second count would be higher than this.
	const few, many, slack = 10, 40, 300
	s := annex.Start(t)
	path, _ := s.NewWorkspace("root", "kinds", "")
	config := s.Workspace(path)
	_, client := annex.Clients(t, config)
	masters := asMaster(t, s)
	use := func(from, to int) {
		for i := from; i < to; i++ {
			apply(t, config, fmt.Sprintf(throwawayCRD, i))
		}
		useKinds(t, masters, "/clusters/"+path, from, to)
		for i := from; i < to; i++ {
			name := fmt.Sprintf("zthings%d.zgroup%[1]d.example", i)
			if err := client.Resource(crds).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			eventually(t, name+" is gone", func(ctx context.Context) (bool, error) {
				_, err := client.Resource(crds).Get(ctx, name, metav1.GetOptions{})
				return apierrors.IsNotFound(err), nil
			})
		}
	}
	use(0, few)
	before, known := series(masters)
	use(few, many)
	after, combinations := series(masters)
	t.Logf("%d series after %d kinds, %d after %d", before, few, after, many)
	if after > before+slack {
		t.Errorf("%d series after %d kinds, %d after %d", before, few, after, many)
	}
	for combination := range combinations {
		if strings.Contains(combination, "zgroup") || strings.Contains(combination, "zthing") || strings.Contains(combination, "=v7") {
			t.Errorf("a custom resource in the labels: %s", combination)
		} else if !known[combination] && strings.Contains(combination, "unexpected") {
			t.Errorf("%s came with later kinds", combination)
		}
	}
	for line := range strings.Lines(string(masters.get("/metrics").body)) {
		if strings.Contains(line, "zgroup") || strings.Contains(line, "zthing") || strings.Contains(line, "Zthing") {
			t.Errorf("a custom resource in the metrics: %s", line)
		}
	}
}

var cacheBytes = regexp.MustCompile(`(?m)^annex_cache_bytes\{cache="(\w+)"\} (\S+)$`)

// What a workspace has filled caches with goes with it.
func TestMetrics_NothingIsKeptOfADeletedWorkspace(t *testing.T) {
	s := annex.Start(t)
	masters := asMaster(t, s)
	caches := func() map[string]float64 {
		bytes := map[string]float64{}
		for _, cache := range cacheBytes.FindAllStringSubmatch(string(masters.get("/metrics").body), -1) {
			value, err := strconv.ParseFloat(cache[2], 64)
			if err != nil {
				t.Fatal(err)
			}
			bytes[cache[1]] = value
		}
		return bytes
	}
	path, _ := s.NewWorkspace("root", "kept", "")
	before := caches()
	apply(t, s.Workspace(path), fmt.Sprintf(throwawayCRD, 1))
	useKinds(t, masters, "/clusters/"+path, 1, 2)
	if a := masters.get("/clusters/" + path + "/openapi/v3/apis/zgroup1.example/v71"); a.code != http.StatusOK {
		t.Fatalf("OpenAPI: %d %s", a.code, a.body)
	}
	with := caches()
	_, root := annex.Clients(t, s.Workspace("root"))
	if err := root.Resource(workspaces).Delete(t.Context(), "kept", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, cache := range []string{"handlers", "documents", "decoded"} {
		if with[cache] <= before[cache] {
			t.Errorf("%s: %v bytes before and %v with the workspace", cache, before[cache], with[cache])
		}
		eventually(t, cache+" forget the workspace", func(context.Context) (bool, error) { return caches()[cache] <= before[cache], nil })
	}
}

var phases = regexp.MustCompile(`(?m)^(kcp_(?:workspace_count|logicalcluster_count|apibinding_phase|apibinding_condition_status|apiexport_condition_status)\{.*\}) (\S+)$`)

// The metrics of phases follow what happens, and workspaces add no series.
func TestMetrics_OfPhases(t *testing.T) {
	s := start(t)
	masters := asMaster(t, s)
	read := func() map[string]float64 {
		values := map[string]float64{}
		for _, m := range phases.FindAllStringSubmatch(string(masters.get("/metrics").body), -1) {
			value, err := strconv.ParseFloat(m[2], 64)
			if err != nil {
				t.Fatal(err)
			}
			values[m[1]] = value
		}
		return values
	}
	workspace(t, s)
	before := read()
	for range 3 {
		workspace(t, s)
	}
	grown := map[string]float64{
		`kcp_workspace_count{phase="Ready",shard="root"}`: 3, `kcp_logicalcluster_count{phase="Ready",shard="root"}`: 3,
		`kcp_apibinding_phase{phase="Bound",shard="root"}`: 3, `kcp_apibinding_condition_status{condition="Ready",shard="root",status="True"}`: 3,
		`kcp_apiexport_condition_status{condition="IdentityValid",shard="root",status="True"}`: 0,
	}
	eventually(t, "the workspaces are counted", func(context.Context) (bool, error) {
		after := read()
		for series, by := range grown {
			// Other tests may make some at the same time.
			if is, ok := after[series]; !ok || is < before[series]+by {
				return false, nil
			}
		}
		return len(after) == len(before) && before[`kcp_apiexport_condition_status{condition="IdentityValid",shard="root",status="True"}`] > 0, nil
	})
}
