package integration

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/test/framework/annex"
)

// A consumer reads the schemas of what it has bound, and nothing else of the provider.
func TestSchemasOfAConsumer(t *testing.T) {
	s := start(t)
	producer := workspace(t, s)
	consumer, cluster := newWorkspace(t, s, "root", uniqueName("consumer"))
	apply(t, s.Workspace(producer), widgetSchema)
	apply(t, s.Workspace(producer), widgetExport)
	apply(t, s.Workspace(producer), strings.ReplaceAll(widgetSchema, "v1.widgets", "v2.widgets")) // nobody binds it
	apply(t, s.Workspace(consumer), binding("widgets", producer, "widgets"))
	_, untyped := annex.Clients(t, s.Workspace(consumer))
	waitCondition(t, untyped.Resource(bindings), "widgets", "Ready", "True", "")
	names := func(a answer) (all []string) {
		var list metav1.PartialObjectMetadataList
		if err := json.Unmarshal(a.body, &list); err != nil {
			t.Fatalf("%v: %s", err, a.body)
		}
		for _, item := range list.Items {
			all = append(all, item.Name)
		}
		return all
	}
	const at = "/apis/apis.kcp.io/v1alpha1/apiresourceschemas"

	admit(t, s, consumer, alice)
	user := as(t, s, alice)
	for _, base := range []string{consumer, cluster, consumer + "/clusters/*", consumer + "/clusters/" + cluster, cluster + "/clusters/" + consumer} {
		base = "/services/apiresourceschema/" + base
		a := user.get(base + at)
		if got := names(a); a.code != http.StatusOK || !slices.Contains(got, "v1.widgets.example.com") || slices.Contains(got, "v2.widgets.example.com") {
			t.Errorf("%s: %d %q", base, a.code, got)
		}
		for path, want := range map[string]int{
			at + "/v1.widgets.example.com": 200, at + "/v2.widgets.example.com": 404, at + "?limit=1": 200, "/apis": 200, "/apis/apis.kcp.io/v1alpha1": 200, "/version": 200,
			"/api/v1/secrets": 404, "/apis/apis.kcp.io/v1alpha2/apibindings": 404, at + "/v1.widgets.example.com/status": 404,
		} {
			if got := user.get(base + path).code; got != want {
				t.Errorf("%s%s: %d, want %d", base, path, got, want)
			}
		}
	}
	base := "/services/apiresourceschema/" + consumer
	for method, path := range map[string]string{http.MethodPost: at, http.MethodPut: at + "/v1.widgets.example.com", http.MethodPatch: at + "/v1.widgets.example.com", http.MethodDelete: at} {
		for _, w := range []*wire{user, asMaster(t, s)} {
			want{405, metav1.StatusReasonMethodNotAllowed, nil, ""}.check(t, w.send(request{method: method, path: base + path, body: toJSON(t, widgetSchema), headers: http.Header{"Content-Type": {"application/json"}}}))
		}
	}
	// Who may not get APIBindings there learns nothing, not even whether there is such a workspace.
	stranger := as(t, s, bob)
	missing := stranger.get("/services/apiresourceschema/root:nobody" + at)
	for _, path := range []string{base + at, base + "/apis", "/services/apiresourceschema/" + cluster + at} {
		if a := stranger.get(path); a.code != http.StatusForbidden || strings.Contains(a.status().Message, "exist") != strings.Contains(missing.status().Message, "exist") {
			t.Errorf("%s for a stranger: %d %s; for a missing workspace %s", path, a.code, a.body, missing.body)
		}
	}
	if a := user.get("/services/apiresourceschema/" + consumer + "/clusters/root" + at); a.code != http.StatusForbidden {
		t.Errorf("two workspaces in the URL: %d", a.code)
	}
	if code := user.get("/services/apiresourceschema/*" + at).code; code != http.StatusBadRequest {
		t.Errorf("all workspaces: %d", code)
	}
	// A watch shows what is bound, and ends with 410 when that changes.
	config := s.As(token(alice), consumer)
	config.Host = s.URL() + base
	_, shown := annex.Clients(t, config)
	open, err := shown.Resource(schemas).Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Stop()
	if event, ok := <-open.ResultChan(); !ok || event.Type != "ADDED" {
		t.Errorf("the watch begins with %+v", event)
	}
	s.Kubectl(producer, strings.ReplaceAll(widgetExport, "v1.widgets", "v2.widgets"), "apply", "--server-side", "--force-conflicts", "-f", "-")
	ended := false
	for event := range open.ResultChan() {
		if status, ok := event.Object.(*metav1.Status); ok {
			ended = status.Code == http.StatusGone
		}
	}
	if !ended {
		t.Error("the watch did not end with 410")
	}
	eventually(t, "the new schema is shown", func(context.Context) (bool, error) {
		got := names(user.get(base + at))
		return slices.Contains(got, "v2.widgets.example.com") && !slices.Contains(got, "v1.widgets.example.com"), nil
	})
}
