package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

const warrantKey = "authorization.kcp.io/warrant"

// The table of spec/04 §3: what a SubjectAccessReview in the workspace w says about a user of the group system:kcp:admin.
func TestWarrants_ScopesAndWarrants(t *testing.T) {
	s := start(t)
	path, w := newWorkspace(t, s, "root", uniqueName("ws"))
	typed, _ := annex.Clients(t, s.Workspace(path))
	const (
		admins  = "system:kcp:admin"
		robot   = "system:serviceaccount:default:default"
		scopes  = "authentication.kcp.io/scopes"
		cluster = "authentication.kcp.io/cluster-name"
	)
	extra := func(pairs ...string) map[string]authorizationv1.ExtraValue {
		out := map[string]authorizationv1.ExtraValue{}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i]] = append(out[pairs[i]], pairs[i+1])
		}
		return out
	}
	for _, tc := range []struct {
		name, user string
		groups     []string
		extra      map[string]authorizationv1.ExtraValue
		want       bool
	}{
		{"plain", "u", []string{admins}, nil, true},
		{"scope of the cluster", "u", []string{admins}, extra(scopes, "cluster:"+w), true},
		{"one scope of two", "u", []string{admins}, extra(scopes, "cluster:"+w+",cluster:x"), true},
		{"two scopes", "u", []string{admins}, extra(scopes, "cluster:"+w, scopes, "cluster:x"), false},
		{"scope of another cluster", "u", []string{admins}, extra(scopes, "cluster:root"), false},
		{"no groups", "u", nil, nil, false},
		{"no groups, and a warrant", "u", nil, extra(warrantKey, `{"groups":["system:kcp:admin"]}`), true},
		{"ServiceAccount of no cluster", robot, []string{admins}, nil, true},
		{"ServiceAccount of the cluster", robot, []string{admins}, extra(cluster, w), true},
		{"ServiceAccount of another", robot, []string{admins}, extra(cluster, "other"), false},
		{"and a warrant", robot, []string{admins}, extra(cluster, "other", warrantKey, `{"user":"u","groups":["system:kcp:admin"]}`), true},
		{"a warrant of another cluster", "u", nil, extra(warrantKey, `{"groups":["system:kcp:admin"],"extra":{"authentication.kcp.io/scopes":["cluster:root"]}}`), false},
		{"a malformed warrant", "u", nil, extra(warrantKey, `{"groups":"system:kcp:admin"}`), false},
	} {
		review, err := typed.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: tc.user, Groups: tc.groups, Extra: tc.extra, ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "list", Resource: "secrets"},
		}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if review.Status.Allowed != tc.want {
			t.Errorf("%s: %+v, want allowed: %t", tc.name, review.Status, tc.want)
		}
	}
}

// Only masters give somebody a warrant; it counts for what it names, and only as long as the request.
func TestWarrants_WhoGivesThem(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	admit(t, s, path, alice)
	as := func(user string, warrants ...string) *rest.Config {
		config := s.As(token(user), path)
		config.Impersonate = rest.ImpersonationConfig{UserName: stranger, Extra: map[string][]string{warrantKey: warrants}}
		return config
	}
	ofAlice, ofBob := `{"user":"alice"}`, `{"user":"bob"}`
	for _, tc := range []struct {
		name   string
		config *rest.Config
		code   int
	}{
		{"masters, of somebody who may", as("operator", ofAlice), http.StatusOK},
		{"masters, of somebody who may not", as("operator", ofBob), http.StatusForbidden},
		{"masters, of both", as("operator", ofBob, ofAlice), http.StatusOK},
		{"masters, of masters, which makes nobody all-powerful elsewhere", as("operator", `{"groups":["system:masters"],"extra":{"authentication.kcp.io/scopes":["cluster:root"]}}`), http.StatusForbidden},
		{"masters, malformed", as("operator", "alice"), http.StatusForbidden},
		{"an administrator of the workspace", as(alice, ofAlice), http.StatusForbidden},
		{"somebody without rights", as(stranger, ofAlice), http.StatusForbidden},
	} {
		if code := annex.Status(t, tc.config, http.MethodGet, "/api/v1/secrets"); code != tc.code {
			t.Errorf("%s: %d, want %d", tc.name, code, tc.code)
		}
	}
	// What is recorded about a creator has no warrant, so nobody acts by it later.
	_, client := annex.Clients(t, as("operator", ofAlice))
	ws, err := client.Resource(workspaces).Create(t.Context(), parse(t, "apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\nmetadata: {name: child}\nspec: {type: {name: universal, path: root}}"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if owner := ws.GetAnnotations()["experimental.tenancy.kcp.io/owner"]; !strings.Contains(owner, stranger) || strings.Contains(owner, "warrant") {
		t.Errorf("the owner is %s", owner)
	}
	a := newWire(t, s, s.As(token("operator"), "root")).send(request{path: "/clusters/" + path + "/api/v1/secrets", headers: http.Header{
		"Impersonate-User": {stranger}, "Impersonate-Extra-" + url.PathEscape(warrantKey): {"alice"},
	}})
	if a.code != http.StatusForbidden || !strings.Contains(string(a.body), "not a user in JSON") {
		t.Errorf("a malformed warrant: %d %s", a.code, a.body)
	}
}

// listing returns which objects a list shows, each as cluster/name.
func listing(t *testing.T, a answer) []string {
	t.Helper()
	var list struct {
		Kind, APIVersion string
		Items            []metav1.PartialObjectMetadata
	}
	if err := json.Unmarshal(a.body, &list); a.code != http.StatusOK || err != nil {
		t.Fatalf("%d %.500s: %v", a.code, a.body, err)
	}
	shown := []string{}
	for i := range list.Items {
		shown = append(shown, list.Items[i].Annotations["kcp.io/cluster"]+"/"+list.Items[i].Name)
	}
	slices.Sort(shown)
	return shown
}

// identityOf returns the identity hash of an export.
func identityOf(t *testing.T, s *annex.Server, path, export string) string {
	t.Helper()
	_, client := annex.Clients(t, s.Workspace(path))
	var hash string
	eventually(t, export+" has an identity", func(ctx context.Context) (bool, error) {
		obj, err := client.Resource(exports).Get(ctx, export, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		hash, _, _ = unstructured.NestedString(obj.Object, "status", "identityHash")
		return hash != "", nil
	})
	return hash
}

// Two providers export widgets. Masters see those of one of them in all clusters, by its identity.
func TestWildcard_WithAnIdentity(t *testing.T) {
	s := start(t)
	var hashes, shown []string
	for range 2 {
		producer, consumer := workspace(t, s), ""
		apply(t, s.Workspace(producer), widgetSchema)
		apply(t, s.Workspace(producer), widgetExport)
		consumer, cluster := newWorkspace(t, s, "root", uniqueName("ws"))
		apply(t, s.Workspace(consumer), binding("widgets", producer, "widgets"))
		_, client := annex.Clients(t, s.Workspace(consumer))
		create(t, client.Resource(widgets).Namespace("default"), parse(t, "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w, namespace: default}"))
		hashes, shown = append(hashes, identityOf(t, s, producer, "widgets")), append(shown, cluster+"/w")
	}
	const all = "/clusters/*/apis/example.com/v1/widgets"
	master := asMaster(t, s)
	for i, hash := range hashes {
		if got := listing(t, master.get(all+":"+hash)); !slices.Equal(got, []string{shown[i]}) {
			t.Errorf("widgets of identity %d: %q, want %q", i, got, shown[i])
		}
		partial := master.send(request{path: all + ":" + hash, headers: http.Header{"Accept": {"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}}})
		if got := listing(t, partial); !slices.Equal(got, []string{shown[i]}) || !strings.Contains(string(partial.body), "PartialObjectMetadataList") {
			t.Errorf("metadata of widgets of identity %d: %q", i, partial.body)
		}
	}
	// A stock dynamic client watches.
	_, client := annex.Clients(t, s.As(token("operator"), "*"))
	watch, err := client.Resource(schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets:" + hashes[0]}).Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	if event := <-watch.ResultChan(); event.Object.(*unstructured.Unstructured).GetAnnotations()["kcp.io/cluster"]+"/w" != shown[0] {
		t.Errorf("the first event is %v", event)
	}

	tenancy := identityOf(t, s, "root", "tenancy.kcp.io")
	if got := listing(t, master.get("/clusters/*/apis/tenancy.kcp.io/v1alpha1/workspaces:"+tenancy+"?limit=500")); len(got) < 4 {
		t.Errorf("workspaces of all clusters: %q", got)
	}
	for _, path := range []string{all + ":" + strings.Repeat("0", 64), all + ":", "/clusters/*/apis/tenancy.kcp.io/v1alpha1/workspaces:" + hashes[0], "/clusters/*/api/v1/secrets:" + hashes[0], "/clusters/root/apis/example.com/v1/widgets:" + hashes[0]} {
		if a := master.get(path); a.code != http.StatusNotFound {
			t.Errorf("%s: %d %.200s, want 404", path, a.code, a.body)
		}
	}
	for _, r := range []request{
		{method: http.MethodPost, path: all + ":" + hashes[0], body: "{}"}, {method: http.MethodDelete, path: all + ":" + hashes[0]}, {path: all + ":" + hashes[0] + "/w"},
	} {
		if a := master.send(r); a.code != http.StatusMethodNotAllowed {
			t.Errorf("%s %s: %d %.200s, want 405", r.method, r.path, a.code, a.body)
		}
	}
	for name, sender := range map[string]*wire{"kcp admins": asAdmin(t, s), "the provider": as(t, s, provider), "alice": as(t, s, alice), "anybody": as(t, s, "")} {
		for _, path := range []string{all + ":" + hashes[0], all, "/clusters/*/apis/tenancy.kcp.io/v1alpha1/workspaces:" + tenancy} {
			if a := sender.get(path); a.code != http.StatusForbidden && a.code != http.StatusUnauthorized || strings.Contains(string(a.body), shown[0]) {
				t.Errorf("%s as %s: %d %.200s", path, name, a.code, a.body)
			}
		}
	}
}

// Three workspaces serve sheriffs by three schemas, one of which is bound. Masters see the metadata of all of them at once.
func TestWildcard_MetadataOfAllSchemas(t *testing.T) {
	s := start(t)
	group := uniqueName("west") + ".example.com"
	crd := func(versions string) string {
		return fmt.Sprintf("apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: sheriffs.%[1]s}\n"+
			"spec: {group: %[1]s, scope: Namespaced, names: {plural: sheriffs, singular: sheriff, kind: Sheriff, listKind: SheriffList}, versions: [%[2]s]}", group, versions)
	}
	version := func(name string, storage bool, field string) string {
		return fmt.Sprintf("{name: %s, served: true, storage: %t, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {%s: {type: string}}}}}}}", name, storage, field)
	}
	const all = "/clusters/*/apis/"
	at := all + group + "/v1/sheriffs"
	accept := func(kind string) http.Header {
		return http.Header{"Accept": {"application/json;as=" + kind + ";g=meta.k8s.io;v=v1,application/json"}}
	}
	master := asMaster(t, s)
	if a := master.send(request{path: at, headers: accept("PartialObjectMetadataList")}); a.code != http.StatusNotFound {
		t.Errorf("what nobody serves: %d %s", a.code, a.body)
	}
	var want []string
	add := func(path, cluster, stored string) {
		t.Helper()
		_, client := annex.Clients(t, s.Workspace(path))
		obj := parse(t, fmt.Sprintf("apiVersion: %s/v1\nkind: Sheriff\nmetadata: {name: wyatt, namespace: default, labels: {in: %s}}\nspec: {badge: secret}", group, cluster))
		sheriffs := schema.GroupVersionResource{Group: group, Version: "v1", Resource: "sheriffs"}
		eventually(t, "a sheriff is made in "+path, func(ctx context.Context) (bool, error) {
			_, err := client.Resource(sheriffs).Namespace("default").Create(ctx, obj, metav1.CreateOptions{})
			return err == nil, nil
		})
		want = append(want, cluster+" "+group+"/"+stored)
	}
	one, oneCluster := newWorkspace(t, s, "root", uniqueName("ws"))
	apply(t, s.Workspace(one), crd(version("v1", true, "badge")))
	add(one, oneCluster, "v1")
	two, twoCluster := newWorkspace(t, s, "root", uniqueName("ws"))
	apply(t, s.Workspace(two), crd(version("v1", false, "badge")+", "+version("v1alpha1", true, "badge")))
	add(two, twoCluster, "v1alpha1")
	producer := workspace(t, s)
	apply(t, s.Workspace(producer), fmt.Sprintf("apiVersion: apis.kcp.io/v1alpha1\nkind: APIResourceSchema\nmetadata: {name: v1.sheriffs.%[1]s}\n"+
		"spec: {group: %[1]s, scope: Namespaced, names: {plural: sheriffs, singular: sheriff, kind: Sheriff, listKind: SheriffList}, versions: [{name: v1, served: true, storage: true, schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}]}", group))
	apply(t, s.Workspace(producer), fmt.Sprintf("apiVersion: apis.kcp.io/v1alpha2\nkind: APIExport\nmetadata: {name: sheriffs}\nspec: {resources: [{name: sheriffs, group: %[1]s, schema: v1.sheriffs.%[1]s, storage: {crd: {}}}]}", group))
	three, threeCluster := newWorkspace(t, s, "root", uniqueName("ws"))
	apply(t, s.Workspace(three), binding("sheriffs", producer, "sheriffs"))
	add(three, threeCluster, "v1")
	slices.Sort(want)

	read := func(a answer) (shown []string, next string) {
		t.Helper()
		var list metav1.PartialObjectMetadataList
		if err := json.Unmarshal(a.body, &list); a.code != http.StatusOK || err != nil || strings.Contains(string(a.body), "secret") || list.Kind != "PartialObjectMetadataList" {
			t.Fatalf("%d %.900s: %v", a.code, a.body, err)
		}
		for _, item := range list.Items {
			shown = append(shown, item.Annotations["kcp.io/cluster"]+" "+item.Annotations["kcp.io/original-api-version"])
		}
		slices.Sort(shown)
		return shown, list.Continue
	}
	for _, at := range []string{at, all + group + "/v1alpha1/sheriffs"} {
		if shown, _ := read(master.send(request{path: at, headers: accept("PartialObjectMetadataList")})); !slices.Equal(shown, want) {
			t.Errorf("%s shows %q, want %q", at, shown, want)
		}
	}
	var paged []string
	for next := ""; ; {
		shown, following := read(master.send(request{path: at + "?limit=1&continue=" + url.QueryEscape(next), headers: accept("PartialObjectMetadataList")}))
		if paged = append(paged, shown...); following == "" {
			break
		}
		next = following
	}
	if slices.Sort(paged); !slices.Equal(paged, want) {
		t.Errorf("the pages show %q, want %q", paged, want)
	}
	if shown, _ := read(master.send(request{path: at + "?labelSelector=in%3D" + twoCluster, headers: accept("PartialObjectMetadataList")})); len(shown) != 1 {
		t.Errorf("selected by label: %q", shown)
	}
	if shown, _ := read(master.send(request{path: at + "?fieldSelector=metadata.name%3Dnobody", headers: accept("PartialObjectMetadataList")})); len(shown) != 0 {
		t.Errorf("selected by name: %q", shown)
	}

	// A stock metadata client watches, as protobuf.
	client, err := metadata.NewForConfig(s.As(token("operator"), "*"))
	if err != nil {
		t.Fatal(err)
	}
	sheriffs := client.Resource(schema.GroupVersionResource{Group: group, Version: "v1", Resource: "sheriffs"})
	list, err := sheriffs.List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 3 {
		t.Fatalf("%d are listed: %v", len(list.Items), err)
	}
	watch, err := sheriffs.Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion, AllowWatchBookmarks: true})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	_, in := annex.Clients(t, s.Workspace(three))
	wantDone(t, "delete", in.Resource(schema.GroupVersionResource{Group: group, Version: "v1", Resource: "sheriffs"}).Namespace("default").Delete(t.Context(), "wyatt", metav1.DeleteOptions{}))
	for event := range watch.ResultChan() {
		if event.Type == "BOOKMARK" {
			continue
		}
		obj, ok := event.Object.(*metav1.PartialObjectMetadata)
		if !ok || event.Type != "DELETED" || obj.Annotations["kcp.io/cluster"] != threeCluster || obj.Annotations["kcp.io/original-api-version"] != group+"/v1" {
			t.Errorf("the first event is %+v", event)
		}
		break
	}

	for name, tc := range map[string]struct {
		r    request
		code int
	}{
		"whole objects":       {request{path: at}, http.StatusBadRequest},
		"whole objects first": {request{path: at, headers: http.Header{"Accept": {"application/json,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}}}, http.StatusBadRequest},
		"a table":             {request{path: at, headers: accept("Table")}, http.StatusBadRequest},
		"a watch of objects":  {request{path: at + "?watch=true"}, http.StatusBadRequest},
		"a version of nobody": {request{path: all + group + "/v9/sheriffs", headers: accept("PartialObjectMetadataList")}, http.StatusNotFound},
		"a field":             {request{path: at + "?fieldSelector=spec.badge%3Dsecret", headers: accept("PartialObjectMetadataList")}, http.StatusBadRequest},
		"a namespace":         {request{path: all + group + "/v1/namespaces/default/sheriffs", headers: accept("PartialObjectMetadataList")}, http.StatusBadRequest},
		"one object":          {request{path: at + "/wyatt", headers: accept("PartialObjectMetadata")}, http.StatusMethodNotAllowed},
		"a write":             {request{method: http.MethodPost, path: at, body: "{}", headers: accept("PartialObjectMetadata")}, http.StatusMethodNotAllowed},
		"a deletion":          {request{method: http.MethodDelete, path: at, headers: accept("PartialObjectMetadataList")}, http.StatusMethodNotAllowed},
		"in one workspace":    {request{path: "/clusters/root/apis/" + group + "/v1/sheriffs", headers: accept("PartialObjectMetadataList")}, http.StatusNotFound},
	} {
		if a := master.send(tc.r); a.code != tc.code || strings.Contains(string(a.body), "wyatt") && a.code == http.StatusOK {
			t.Errorf("%s: %d %.200s, want %d", name, a.code, a.body, tc.code)
		}
	}
	for name, sender := range map[string]*wire{"kcp admins": asAdmin(t, s), "the provider": as(t, s, provider), "alice": as(t, s, alice), "anybody": as(t, s, "")} {
		if a := sender.send(request{path: at, headers: accept("PartialObjectMetadataList")}); a.code != http.StatusForbidden && a.code != http.StatusUnauthorized || strings.Contains(string(a.body), oneCluster) {
			t.Errorf("as %s: %d %.200s", name, a.code, a.body)
		}
	}
}

// root provides tenancy and topology to everybody, and has an endpoint for them as all providers have.
func TestProvider_RootsOwnExports(t *testing.T) {
	s := start(t)
	consumer, cluster := newWorkspace(t, s, "root", uniqueName("ws"))
	at := func(user, target string) dynamic.Interface {
		config := s.Config(annex.ContextBase)
		if user != "" {
			config = s.As(token(user), "root")
		}
		config.Host = s.URL() + "/services/apiexport/root/tenancy.kcp.io/clusters/" + target
		_, client := annex.Clients(t, config)
		return client
	}
	child := func(name string) *unstructured.Unstructured {
		return parse(t, "apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\nmetadata: {name: "+name+"}\nspec: {type: {name: universal, path: root}}")
	}
	in := at("", cluster).Resource(workspaces)
	watch, err := at("", "*").Resource(workspaces).Watch(t.Context(), metav1.ListOptions{LabelSelector: "made=here"})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	made := child("made")
	made.SetLabels(map[string]string{"made": "here"})
	if _, err := in.Create(t.Context(), made, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if event := <-watch.ResultChan(); event.Object.(*unstructured.Unstructured).GetName() != "made" {
		t.Errorf("the first event is %v", event)
	}
	_, client := annex.Clients(t, s.Workspace(consumer))
	var status []byte
	eventually(t, "the workspace is Ready", func(ctx context.Context) (bool, error) {
		ws, err := client.Resource(workspaces).Get(ctx, "made", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		phase, _, _ := unstructured.NestedString(ws.Object, "status", "phase")
		_ = unstructured.SetNestedField(ws.Object, "Unavailable", "status", "phase")
		status, err = ws.MarshalJSON()
		return phase == "Ready", err
	})
	list, err := at("", "*").Resource(workspaces).List(t.Context(), metav1.ListOptions{})
	wantDone(t, "list over all consumers", err)
	if !slices.ContainsFunc(list.Items, func(ws unstructured.Unstructured) bool {
		return ws.GetName() == "made" && ws.GetAnnotations()["kcp.io/cluster"] == cluster
	}) {
		t.Error("the workspace does not show over all consumers")
	}
	_, err = in.Patch(t.Context(), "made", types.MergePatchType, []byte(`{"metadata":{"annotations":{"a":"b"}}}`), metav1.PatchOptions{})
	wantDone(t, "patch", err)
	_, err = in.Patch(t.Context(), "made", types.MergePatchType, status, metav1.PatchOptions{}, "status")
	wantForbidden(t, "patch of a status that only the server writes", err)
	_, err = at("", "*").Resource(workspaces).Create(t.Context(), child("everywhere"), metav1.CreateOptions{})
	if err == nil {
		t.Error("created in all consumers")
	}
	wantDone(t, "delete", in.Delete(t.Context(), "made", metav1.DeleteOptions{}))

	// Those who do not provide it reach nothing, even what they may reach in their own workspace.
	admit(t, s, consumer, alice)
	for _, target := range []string{"*", cluster} {
		_, err := at(alice, target).Resource(workspaces).List(t.Context(), metav1.ListOptions{})
		wantForbidden(t, "list as somebody else in "+target, err)
	}
	// Nor does the endpoint lead to anything but what the export has.
	_, err = at("", cluster).Resource(schema.GroupVersionResource{Version: "v1", Resource: "secrets"}).List(t.Context(), metav1.ListOptions{})
	wantNotFound(t, "secrets", err)
	documents := asAdmin(t, s).get("/services/apiexport/root/tenancy.kcp.io/clusters/*/apis/tenancy.kcp.io/v1alpha1")
	if documents.code != http.StatusOK || !strings.Contains(string(documents.body), `"workspaces"`) || !strings.Contains(string(documents.body), `"workspacetypes"`) {
		t.Errorf("discovery: %d %s", documents.code, documents.body)
	}
	sets := asAdmin(t, s).get("/services/apiexport/root/topology.kcp.io/clusters/*/apis/topology.kcp.io/v1alpha1/partitionsets")
	if sets.code != http.StatusOK || !strings.Contains(string(sets.body), "PartitionSetList") {
		t.Errorf("partitionsets: %d %s", sets.code, sets.body)
	}
}

// spec/06 §3, with the one shard that there is.
func TestPartitionSet_MakesPartitions(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	_, client := annex.Clients(t, s.Workspace(path))
	_, root := annex.Clients(t, s.Workspace("root"))
	topology := schema.GroupVersion{Group: "topology.kcp.io", Version: "v1alpha1"}
	sets, partitions := client.Resource(topology.WithResource("partitionsets")), client.Resource(topology.WithResource("partitions"))
	key := uniqueName("region")
	apply(t, s.Workspace(path), fmt.Sprintf("apiVersion: topology.kcp.io/v1alpha1\nkind: PartitionSet\nmetadata: {name: regions}\nspec: {dimensions: [%s]}", key))
	waitCondition(t, sets, "regions", "PartitionsReady", "True", "")
	label := func(value string) {
		t.Helper()
		if _, err := root.Resource(schema.GroupVersionResource{Group: "core.kcp.io", Version: "v1alpha1", Resource: "shards"}).Patch(t.Context(), "root", types.MergePatchType,
			fmt.Appendf(nil, `{"metadata":{"labels":{%q:%s}}}`, key, value), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { // the shard is shared by all tests
		_, _ = root.Resource(schema.GroupVersionResource{Group: "core.kcp.io", Version: "v1alpha1", Resource: "shards"}).Patch(context.WithoutCancel(t.Context()), "root", types.MergePatchType,
			fmt.Appendf(nil, `{"metadata":{"labels":{%q:null}}}`, key), metav1.PatchOptions{})
	})
	wants := func(values ...string) (name string) {
		t.Helper()
		eventually(t, fmt.Sprintf("there are partitions of %q", values), func(ctx context.Context) (bool, error) {
			list, err := partitions.List(ctx, metav1.ListOptions{})
			if err != nil {
				return false, err
			}
			var got []string
			for i := range list.Items {
				value, _, _ := unstructured.NestedString(list.Items[i].Object, "spec", "selector", "matchLabels", key)
				got, name = append(got, value), list.Items[i].GetName()
				if owner := metav1.GetControllerOf(&list.Items[i]); owner == nil || owner.Kind != "PartitionSet" || owner.Name != "regions" {
					t.Errorf("the owner of %s is %v", name, owner)
				}
			}
			set, err := sets.Get(ctx, "regions", metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			count, _, _ := unstructured.NestedInt64(set.Object, "status", "count")
			return slices.Equal(got, values) && int(count) == len(values), nil
		})
		return name
	}
	wants()
	label(`"North"`)
	if name := wants("North"); !strings.HasPrefix(name, "regions-north-") {
		t.Errorf("the partition is called %s", name)
	}
	label(`"south"`)
	if err := partitions.Delete(t.Context(), wants("south"), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	wants("south")
	if err := sets.Delete(t.Context(), "regions", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the partitions go with their set", func(ctx context.Context) (bool, error) {
		list, err := partitions.List(ctx, metav1.ListOptions{})
		return err == nil && len(list.Items) == 0, err
	})
}

// What was published about kcp as ways from one tenant to others, tried here by an administrator of a workspace.
func TestAdvisories(t *testing.T) {
	s := start(t)
	const hidden = "aGlkZGVu"
	own, victim := workspace(t, s), workspace(t, s)
	_, victimID, _ := strings.Cut(victim, ":")
	admit(t, s, own, alice)
	apply(t, s.Workspace(victim), "apiVersion: v1\nkind: Secret\nmetadata: {name: theirs, namespace: default}\ndata: {value: "+hidden+"}")
	sender := as(t, s, alice)
	refused := func(what string, r request) {
		t.Helper()
		if a := sender.send(r); a.code != http.StatusForbidden && a.code != http.StatusUnauthorized || strings.Contains(string(a.body), hidden) {
			t.Errorf("%s: %s %s: %d %.300s", what, r.method, r.path, a.code, a.body)
		}
	}
	secrets := "/clusters/" + victim + "/api/v1/namespaces/default/secrets"

	// Headers of a front proxy, which make their sender a member of system:masters: GHSA-c8w2-fgvx-vhv4.
	for _, path := range []string{secrets, "/clusters/system:admin/api/v1/secrets", "/clusters/*/api/v1/secrets", "/services/apiexport/root/tenancy.kcp.io/clusters/*/apis/tenancy.kcp.io/v1alpha1/workspaces"} {
		refused("headers of a proxy", request{path: path, headers: http.Header{
			"X-Remote-User": {"root"}, "X-Remote-Group": {"system:masters"}, "X-Remote-Extra-" + url.PathEscape(warrantKey): {`{"groups":["system:kcp:admin"]}`},
		}})
	}

	// Writes at a provider's own endpoint in a workspace that never bound its export: CVE-2025-29922.
	apply(t, s.Workspace(own), widgetSchema)
	apply(t, s.Workspace(own), strings.Replace(widgetExport, "spec: {", `spec: {permissionClaims: [{group: "", resource: secrets, verbs: ["*"]}], `, 1))
	identityOf(t, s, own, "widgets")
	_, client := annex.Clients(t, s.Workspace("root"))
	ws, err := client.Resource(workspaces).Get(t.Context(), strings.TrimPrefix(own, "root:"), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ownID, _, _ := unstructured.NestedString(ws.Object, "spec", "cluster")
	if ws, err = client.Resource(workspaces).Get(t.Context(), victimID, metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	theirs, _, _ := unstructured.NestedString(ws.Object, "spec", "cluster")
	for _, target := range []string{theirs, "root", "system:admin"} {
		endpoint := "/services/apiexport/" + ownID + "/widgets/clusters/" + target
		refused("creating at the endpoint", request{method: http.MethodPost, path: endpoint + "/apis/example.com/v1/namespaces/default/widgets", body: `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"mine"}}`})
		refused("creating what is claimed", request{method: http.MethodPost, path: endpoint + "/api/v1/namespaces/default/secrets", body: `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"mine"}}`})
		refused("deleting what is claimed", request{method: http.MethodDelete, path: endpoint + "/api/v1/namespaces/default/secrets/theirs"})
		refused("applying what is claimed", request{method: http.MethodPatch, path: endpoint + "/api/v1/namespaces/default/secrets/theirs?fieldManager=m&force=true", body: `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"theirs"}}`,
			headers: http.Header{"Content-Type": {"application/apply-patch+yaml"}}})
		refused("reading what is claimed", request{path: endpoint + "/api/v1/secrets"})
	}

	// Impersonation in one's own workspace, of identities that count elsewhere: GHSA-c7xh-gjv4-4jgv.
	here := "/clusters/" + own + "/apis/tenancy.kcp.io/v1alpha1/workspaces"
	for _, as := range []http.Header{
		{"Impersonate-User": {"root"}, "Impersonate-Group": {"system:masters"}},
		{"Impersonate-User": {"root"}, "Impersonate-Group": {"system:kcp:admin"}},
		{"Impersonate-User": {"root"}, "Impersonate-Group": {"system:kcp:logical-cluster-admin"}},
		{"Impersonate-User": {"root"}, "Impersonate-Group": {"system:kcp:initializer:root:universal"}},
		{"Impersonate-User": {"system:kcp:serviceaccount:" + theirs + ":default:default"}},
		{"Impersonate-User": {"x"}, "Impersonate-Extra-" + url.PathEscape(warrantKey): {`{"groups":["system:kcp:admin"]}`}},
		{"Impersonate-User": {"x"}, "Impersonate-Extra-" + url.PathEscape("authentication.kcp.io/scopes"): {"cluster:" + theirs}},
	} {
		refused(fmt.Sprintf("impersonating %v", as), request{path: here, headers: as})
	}
	// Whom one may impersonate is nobody elsewhere: bob, who may do everything in both workspaces, binds nothing of the victim's.
	apply(t, s.Workspace(victim), widgetSchema)
	apply(t, s.Workspace(victim), widgetExport)
	admit(t, s, victim, bob)
	admit(t, s, own, bob)
	refused("binding as somebody else", request{method: http.MethodPost, path: "/clusters/" + own + "/apis/apis.kcp.io/v1alpha2/apibindings", body: toJSON(t, binding("stolen", victim, "widgets")), headers: http.Header{"Impersonate-User": {bob}}})
	refused("reading as somebody else", request{path: secrets, headers: http.Header{"Impersonate-User": {bob}}})

	if a := asAdmin(t, s).get(secrets + "/theirs"); a.code != http.StatusOK {
		t.Errorf("the secret of the victim: %d", a.code)
	}
}
