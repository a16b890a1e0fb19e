package integration

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// oddNames are names that must not upset the server, wherever they are put.
func oddNames() []string {
	names := []string{
		"a\x00b", "\x00", "a\nb", "a\x1fb", "a\x7fb", "a\u0085b", "a\u2028b", "a b", " ", "é", "a\u200bb", "a\ufffdb", "\U0001f600",
		".", "..", "...", "a/b", "/", "../a", "a%b", "%00", "%2f", "a:b", "a?b", "a#b", "a;b", "a\\b", "*", "-", "A", "system:x",
		strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("a", 253), strings.Repeat("a", 254), strings.Repeat("a", 70_000),
	}
	random, runes := rand.New(rand.NewPCG(7, 11)), []rune("a.-/%:\x00\x01\n\r\t é\u202e\ufeff")
	for range 20 {
		var b strings.Builder
		for range 1 + random.IntN(8) {
			b.WriteRune(runes[random.IntN(len(runes))])
		}
		names = append(names, b.String())
	}
	return names
}

// namedObjects are objects of every built-in kind that a workspace creates, by the path to create them at. They are valid as soon as
// they have a name.
var namedObjects = []struct{ at, object string }{
	{"/api/v1/namespaces", `{"apiVersion":"v1","kind":"Namespace"}`},
	{"/api/v1/namespaces/default/configmaps", `{"apiVersion":"v1","kind":"ConfigMap"}`},
	{"/api/v1/namespaces/default/secrets", `{"apiVersion":"v1","kind":"Secret"}`},
	{"/api/v1/namespaces/default/serviceaccounts", `{"apiVersion":"v1","kind":"ServiceAccount"}`},
	{"/api/v1/namespaces/default/limitranges", `{"apiVersion":"v1","kind":"LimitRange","spec":{"limits":[]}}`},
	{"/api/v1/namespaces/default/resourcequotas", `{"apiVersion":"v1","kind":"ResourceQuota"}`},
	{"/api/v1/namespaces/default/events", `{"apiVersion":"v1","kind":"Event","involvedObject":{"namespace":"default"}}`},
	{"/apis/coordination.k8s.io/v1/namespaces/default/leases", `{"apiVersion":"coordination.k8s.io/v1","kind":"Lease"}`},
	{rbacPath + "/namespaces/default/roles", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role"}`},
	{rbacPath + "/namespaces/default/rolebindings", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"}}`},
	{rbacPath + "/clusterroles", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole"}`},
	{rbacPath + "/clusterrolebindings", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"}}`},
	{"/apis/apiextensions.k8s.io/v1/customresourcedefinitions", `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","spec":{"group":"example.org","scope":"Cluster","names":{"plural":"odds","singular":"odd","kind":"Odd","listKind":"OddList"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}}}]}}`},
	{"/apis/tenancy.kcp.io/v1alpha1/workspaces", `{"apiVersion":"tenancy.kcp.io/v1alpha1","kind":"Workspace","spec":{"type":{"name":"universal","path":"root"}}}`},
	{"/apis/tenancy.kcp.io/v1alpha1/workspacetypes", `{"apiVersion":"tenancy.kcp.io/v1alpha1","kind":"WorkspaceType"}`},
	{"/apis/topology.kcp.io/v1alpha1/partitions", `{"apiVersion":"topology.kcp.io/v1alpha1","kind":"Partition"}`},
	{"/apis/apis.kcp.io/v1alpha2/apiexports", `{"apiVersion":"apis.kcp.io/v1alpha2","kind":"APIExport"}`},
	{"/apis/apis.kcp.io/v1alpha2/apibindings", `{"apiVersion":"apis.kcp.io/v1alpha2","kind":"APIBinding","spec":{"reference":{"export":{"path":"root","name":"topology.kcp.io"}}}}`},
	{"/apis/apis.kcp.io/v1alpha1/apiresourceschemas", `{"apiVersion":"apis.kcp.io/v1alpha1","kind":"APIResourceSchema","spec":{"group":"example.org","scope":"Cluster","names":{"plural":"odds","singular":"odd","kind":"Odd","listKind":"OddList"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"type":"object"}}]}}`},
	{"/apis/apis.kcp.io/v1alpha1/apiexportendpointslices", `{"apiVersion":"apis.kcp.io/v1alpha1","kind":"APIExportEndpointSlice","spec":{"export":{"name":"x"}}}`},
	{"/apis/example.org/v1/gadgets", `{"apiVersion":"example.org/v1","kind":"Gadget"}`},
}

const rbacPath = "/apis/rbac.authorization.k8s.io/v1"

// TestBadInput_OddNames creates objects of every kind with odd names, and puts the names into URLs and references. A name is refused
// with a status of the client's fault, or it works: the object is there and can be deleted.
func TestBadInput_OddNames(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	apply(t, s.Workspace(path), `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.example.org}
spec:
  group: example.org
  scope: Cluster
  names: {plural: gadgets, singular: gadget, kind: Gadget, listKind: GadgetList}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
`)
	sender := asAdmin(t, s)
	base := "/clusters/" + path
	// fault reports whether the answer is not one to a fault of the client.
	fault := func(a answer) bool { return a.code < 400 || a.code >= 500 || a.status().Reason == "" }
	for _, kind := range namedObjects {
		t.Run(kind.at, func(t *testing.T) {
			sender := sender.in(t)
			for _, name := range oddNames() {
				var object map[string]any
				if err := json.Unmarshal([]byte(kind.object), &object); err != nil {
					t.Fatal(err)
				}
				object["metadata"] = map[string]any{"name": name}
				body, err := json.Marshal(object)
				if err != nil {
					t.Fatal(err)
				}
				shown := name[:min(len(name), 20)]
				named := base + kind.at + "/" + strings.ReplaceAll(url.PathEscape(name), "+", "%2B")
				a := sender.send(request{method: http.MethodPost, path: base + kind.at, body: string(body)})
				created := a.code == http.StatusCreated
				if !created && fault(a) {
					t.Errorf("create %q: %d %.300s", shown, a.code, a.body)
				}
				for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete} {
					r := request{method: method, path: named}
					switch method {
					case http.MethodPut:
						r.body = string(body)
					case http.MethodPatch:
						r.body, r.headers = `{"metadata":{"labels":{"a":"b"}}}`, http.Header{"Content-Type": {"application/merge-patch+json"}}
					}
					a, ok, err := sender.do(t.Context(), r)
					if err != nil {
						t.Errorf("%s %q: %v", method, shown, err)
					}
					if !ok || err != nil {
						continue // no client can send it
					}
					if a.code >= 500 || created && a.code >= 400 && a.code != http.StatusConflict && method != http.MethodPut {
						t.Errorf("%s %q: %d %.300s", method, shown, a.code, a.body)
					}
				}
			}
		})
	}
	t.Run("namespaces in URLs", func(t *testing.T) {
		for _, name := range oddNames() {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				a, ok, err := sender.do(t.Context(), request{method: method, path: base + "/api/v1/namespaces/" + url.PathEscape(name) + "/configmaps", body: `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`})
				if err != nil || ok && a.code >= 500 {
					t.Errorf("%s in %.20q: %d %.300s, %v", method, name, a.code, a.body, err)
				}
			}
		}
	})
	t.Run("references", func(t *testing.T) {
		for _, at := range []struct{ at, object string }{
			{rbacPath + "/clusterrolebindings", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"odd"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":%s}}`},
			{rbacPath + "/clusterrolebindings", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"odd"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"},"subjects":[{"kind":"ServiceAccount","namespace":%[1]s,"name":%[1]s}]}`},
			{"/apis/apis.kcp.io/v1alpha2/apibindings", `{"apiVersion":"apis.kcp.io/v1alpha2","kind":"APIBinding","metadata":{"name":"odd"},"spec":{"reference":{"export":{"path":"root","name":%s}}}}`},
			{"/apis/apis.kcp.io/v1alpha2/apibindings", `{"apiVersion":"apis.kcp.io/v1alpha2","kind":"APIBinding","metadata":{"name":"odd"},"spec":{"reference":{"export":{"path":%s,"name":"x"}}}}`},
			{"/apis/apis.kcp.io/v1alpha1/apiexportendpointslices", `{"apiVersion":"apis.kcp.io/v1alpha1","kind":"APIExportEndpointSlice","metadata":{"name":"odd"},"spec":{"export":{"name":%[1]s,"path":%[1]s}}}`},
			{"/apis/apis.kcp.io/v1alpha2/apiexports", `{"apiVersion":"apis.kcp.io/v1alpha2","kind":"APIExport","metadata":{"name":"odd"},"spec":{"resources":[{"name":%[1]s,"group":%[1]s,"schema":%[1]s,"storage":{"crd":{}}}]}}`},
			{"/apis/tenancy.kcp.io/v1alpha1/workspaces", `{"apiVersion":"tenancy.kcp.io/v1alpha1","kind":"Workspace","metadata":{"name":"odd"},"spec":{"type":{"name":%s,"path":"root"}}}`},
			{"/apis/tenancy.kcp.io/v1alpha1/workspaces", `{"apiVersion":"tenancy.kcp.io/v1alpha1","kind":"Workspace","metadata":{"name":"odd"},"spec":{"type":{"name":"universal","path":%s}}}`},
			{"/apis/tenancy.kcp.io/v1alpha1/workspacetypes", `{"apiVersion":"tenancy.kcp.io/v1alpha1","kind":"WorkspaceType","metadata":{"name":"odd"},"spec":{"extend":{"with":[{"name":%[1]s,"path":%[1]s}]},"defaultAPIBindings":[{"path":"root","export":%[1]s}]}}`},
			{"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", `{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{"namespace":%[1]s,"verb":"get","resource":"configmaps","name":%[1]s}}}`},
		} {
			for _, name := range oddNames() {
				quoted, err := json.Marshal(name)
				if err != nil {
					t.Fatal(err)
				}
				a := sender.send(request{method: http.MethodPost, path: base + at.at, body: fmt.Sprintf(at.object, quoted)})
				if a.code >= 500 {
					t.Errorf("%s with %.20q: %d %.300s", at.object, name, a.code, a.body)
				}
				if a.code == http.StatusCreated && !strings.Contains(at.at, "reviews") {
					if a := sender.send(request{method: http.MethodDelete, path: base + at.at + "/odd"}); a.code >= 400 {
						t.Errorf("delete %s with %.20q: %d %.300s", at.object, name, a.code, a.body)
					}
				}
			}
		}
	})
}
