package integration

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/annex-dev/annex/test/framework/annex"
)

const asTable = "application/json;as=Table;v=v1;g=meta.k8s.io"

func TestDiscovery_LegacyAndAggregatedAgree(t *testing.T) {
	s := start(t)
	producer := workspace(t, s)
	apply(t, s.Workspace(producer), widgetSchema)
	apply(t, s.Workspace(producer), widgetExport)
	path, config := gadgetClient(t, s)
	apply(t, config, binding("widgets", producer, "widgets"))
	_, untyped := annex.Clients(t, config)
	waitCondition(t, untyped.Resource(bindings), "widgets", "Ready", "True", "")
	_, parent := annex.Clients(t, s.Workspace("root"))
	ws, err := parent.Resource(workspaces).Get(t.Context(), strings.TrimPrefix(path, "root:"), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cluster, _, _ := unstructured.NestedString(ws.Object, "spec", "cluster")

	resources := func(address string, legacy bool) map[schema.GroupVersionResource]string {
		t.Helper()
		c := s.Workspace(address)
		client, err := discovery.NewDiscoveryClientForConfig(c)
		if err != nil {
			t.Fatal(err)
		}
		client.UseLegacyDiscovery = legacy
		_, lists, err := client.ServerGroupsAndResources()
		if err != nil {
			t.Fatal(err)
		}
		all := map[schema.GroupVersionResource]string{}
		for _, list := range lists {
			gv, err := schema.ParseGroupVersion(list.GroupVersion)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range list.APIResources {
				verbs := slices.Sorted(slices.Values(r.Verbs))
				all[gv.WithResource(r.Name)] = r.Kind + " " + strings.Join(verbs, ",") + " " + strings.Join(r.ShortNames, ",")
			}
		}
		return all
	}
	byPath := resources(path, false)
	for name, other := range map[string]map[schema.GroupVersionResource]string{"legacy": resources(path, true), "by name": resources(cluster, false)} {
		if !maps.Equal(byPath, other) {
			t.Errorf("discovery differs from %s:\n%v\n%v", name, byPath, other)
		}
	}
	for _, want := range []schema.GroupVersionResource{
		gadgets, gadgets.GroupVersion().WithResource("gadgets/status"), gadgets.GroupVersion().WithResource("gadgets/scale"), widgets, workspaces,
		{Version: "v1", Resource: "configmaps"}, {Version: "v1", Resource: "namespaces/finalize"}, exports, bindings, crds,
		{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"}, {Group: "authorization.k8s.io", Version: "v1", Resource: "selfsubjectrulesreviews"},
		{Group: "events.k8s.io", Version: "v1", Resource: "events"}, {Group: "coordination.k8s.io", Version: "v1", Resource: "leases"},
	} {
		if _, ok := byPath[want]; !ok {
			t.Errorf("%v is not discovered", want)
		}
	}
	other := workspace(t, s)
	for gvr := range resources(other, false) {
		if gvr.Group == gadgets.Group || gvr.Group == widgets.Group {
			t.Errorf("another workspace discovers %v", gvr)
		}
	}
}

func TestDiscovery_OpenAPI(t *testing.T) {
	s := start(t)
	path, _ := gadgetClient(t, s)
	other := workspace(t, s)
	admin := asAdmin(t, s)
	a := admin.get("/clusters/" + path + "/openapi/v2")
	var v2 struct {
		Definitions map[string]json.RawMessage
		Paths       map[string]json.RawMessage
	}
	if err := json.Unmarshal(a.body, &v2); err != nil || a.code != http.StatusOK {
		t.Fatalf("v2: %d %v", a.code, err)
	}
	if !strings.Contains(string(v2.Definitions["org.example.v1.Gadget"]), "How many wheels") || v2.Definitions["io.k8s.api.core.v1.ConfigMap"] == nil {
		t.Errorf("v2 has no gadgets: %v", slices.Sorted(maps.Keys(v2.Definitions)))
	}
	if _, ok := v2.Paths["/apis/example.org/v1/namespaces/{namespace}/gadgets"]; !ok {
		t.Errorf("v2 has no path of gadgets")
	}
	if a := admin.send(request{path: "/clusters/" + path + "/openapi/v2", headers: http.Header{"Accept": {"application/com.github.proto-openapi.spec.v2@v1.0+protobuf"}}}); a.code != http.StatusOK || !strings.Contains(string(a.body), "How many wheels") {
		t.Errorf("v2 in protobuf: %d", a.code)
	}
	if a := admin.get("/clusters/" + other + "/openapi/v2"); strings.Contains(string(a.body), "Gadget") {
		t.Error("v2 of another workspace has gadgets")
	}
	var v3 struct {
		Paths map[string]struct {
			ServerRelativeURL string `json:"serverRelativeURL"`
		}
	}
	a = admin.get("/clusters/" + path + "/openapi/v3")
	if err := json.Unmarshal(a.body, &v3); err != nil {
		t.Fatal(err)
	}
	group, ok := v3.Paths["apis/example.org/v1"]
	if !ok {
		t.Fatalf("v3 has no gadgets: %s", a.body)
	}
	at := group.ServerRelativeURL
	if !strings.HasPrefix(at, "/clusters/") {
		at = "/clusters/" + path + at
	}
	if a := admin.get(at); a.code != http.StatusOK || !strings.Contains(string(a.body), "How many wheels") {
		t.Errorf("v3 at %s: %d %.300s", at, a.code, a.body)
	}
	if a := admin.get("/clusters/" + other + "/openapi/v3/apis/example.org/v1"); a.code != http.StatusNotFound {
		t.Errorf("v3 of another workspace: %d", a.code)
	}
	a = admin.get("/clusters/" + path + "/openapi/v2")
	if again := admin.send(request{path: "/clusters/" + path + "/openapi/v2", headers: http.Header{"If-None-Match": {a.header.Get("Etag")}}}); a.header.Get("Etag") == "" || again.code != http.StatusNotModified {
		t.Errorf("with etag %q: %d", a.header.Get("Etag"), again.code)
	}
}

func TestDiscovery_FollowsDefinitions(t *testing.T) {
	s := start(t)
	path, config := gadgetClient(t, s)
	_, untyped := annex.Clients(t, config)
	if err := untyped.Resource(crds).Delete(t.Context(), "gadgets.example.org", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	admin := asAdmin(t, s)
	eventually(t, "gadgets are gone", func(context.Context) (bool, error) {
		return admin.get("/clusters/"+path+"/apis/example.org").code == http.StatusNotFound &&
			admin.get("/clusters/"+path+"/apis/example.org/v1/gadgets").code == http.StatusNotFound, nil
	})
}

func TestTables(t *testing.T) {
	s := start(t)
	path, config := gadgetClient(t, s)
	apply(t, config, "apiVersion: example.org/v1\nkind: Gadget\nmetadata: {name: a, namespace: default}\nspec: {wheels: 3}")
	apply(t, config, "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: default}\nstringData: {x: a}")
	newWorkspace(t, s, path, "child")
	for at, want := range map[string][]string{
		"/apis/example.org/v1/gadgets": {"Name", "Wheels"},
		"/api/v1/configmaps":           {"Name", "Data", "Age"},
		"/api/v1/secrets":              {"Name", "Type", "Data", "Age"},
		"/api/v1/namespaces":           {"Name", "Status", "Age"},
		"/api/v1/serviceaccounts":      {"Name", "Age"},
		"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings":                                      {"Name", "Role", "Age", "Users", "Groups", "ServiceAccounts"},
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions":                                     {"Name", "Created At"},
		"/apis/tenancy.kcp.io/v1alpha1/workspaces":                                                    {"Name", "Type", "Region", "Phase", "URL", "Age"},
		"/apis/core.kcp.io/v1alpha1/logicalclusters":                                                  {"Name", "Phase", "URL", "Age"},
		"/apis/coordination.k8s.io/v1/leases":                                                         {"Name", "Holder", "Age"},
		"/apis/certificates.k8s.io/v1/certificatesigningrequests":                                     {"Name", "Age", "SignerName", "Requestor", "RequestedDuration", "Condition"},
		"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations":                       {"Name", "Webhooks", "Age"},
		"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies":                           {"Name", "Validations", "ParamKind", "Age"},
		"/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings":                       {"Name", "PolicyName", "ParamRef", "Age"},
		"/apis/apis.kcp.io/v1alpha2/apibindings":                                                      {"Name"},
		"/apis/rbac.authorization.k8s.io/v1/clusterroles?limit=1&includeObject=None&resourceVersion=": {"Name", "Created At"},
	} {
		a := asAdmin(t, s).send(request{path: "/clusters/" + path + at, headers: http.Header{"Accept": {asTable}}})
		var table metav1.Table
		if err := json.Unmarshal(a.body, &table); err != nil || a.code != http.StatusOK || table.Kind != "Table" {
			t.Errorf("%s: %d %v %.200s", at, a.code, err, a.body)
			continue
		}
		var got []string
		for _, column := range table.ColumnDefinitions {
			got = append(got, column.Name)
		}
		for _, column := range want {
			if !slices.Contains(got, column) {
				t.Errorf("%s has columns %v, want %v", at, got, want)
				break
			}
		}
		for _, row := range table.Rows {
			if len(row.Cells) != len(table.ColumnDefinitions) {
				t.Errorf("%s: a row of %d cells for %d columns", at, len(row.Cells), len(table.ColumnDefinitions))
			}
		}
	}
}
