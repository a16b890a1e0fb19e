package remote_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/client/remote"
)

func TestNew_NeedsAWildcardURL(t *testing.T) {
	for _, host := range []string{"", "https://annex", "https://annex/clusters/root", "https://annex/services/apiexport/root/widgets"} {
		if _, err := remote.New(&rest.Config{Host: host}, nil); err == nil {
			t.Errorf("%q is accepted", host)
		}
	}
	if _, err := remote.New(&rest.Config{Host: "https://annex/clusters/*/"}, nil); err != nil {
		t.Error(err)
	}
}

func TestGet(t *testing.T) {
	s, c := serve(t,
		body(configMap("one", "a", "5")),
		fails(http.StatusNotFound, metav1.StatusReasonNotFound),
		body(configMap("", "a", "5")),
		body(configMap("two", "a", "5")),
	)
	key := client.Key{Cluster: "one", Namespace: "default", Name: "a"}
	found, err := client.Find[corev1.ConfigMap](t.Context(), c, configMaps, key)
	if err != nil || found == nil || client.KeyOf(found) != key {
		t.Errorf("found %v, %v", found, err)
	}
	if found, err := client.Find[corev1.ConfigMap](t.Context(), c, configMaps, key); found != nil || err != nil {
		t.Errorf("what is not there: %v, %v", found, err)
	}
	for _, fault := range []string{"without its cluster", "of another cluster"} {
		if obj, err := c.Get(t.Context(), configMaps, key); err == nil {
			t.Errorf("%s: %v", fault, obj)
		}
	}
	s.Close()
	if obj, err := c.Get(t.Context(), configMaps, key); err == nil {
		t.Errorf("from a server that is gone: %v", obj)
	}
	if got, want := s.requests()[0], "GET /one/api/v1/namespaces/default/configmaps/a"; got != want {
		t.Errorf("asked %q, want %q", got, want)
	}
}

func TestList(t *testing.T) {
	s, c := serve(t,
		page("10", "more", configMap("one", "a", "1")), page("10", "", configMap("two", "a", "2")),
		page("10", "", configMap("one", "a", "1")),
		page("10", "more", configMap("one", "a", "1")), fails(http.StatusGone, metav1.StatusReasonExpired), page("20", "", configMap("two", "b", "2")),
		fails(http.StatusForbidden, metav1.StatusReasonForbidden),
		page("10", "", configMap("", "a", "1")),
	)
	list := func(scope client.Scope) []string {
		t.Helper()
		objects, err := c.List(t.Context(), configMaps, scope)
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, obj := range objects {
			keys = append(keys, client.KeyOf(obj).String())
		}
		return keys
	}
	if diff := cmp.Diff([]string{"one|default/a", "two|default/a"}, list(client.Scope{})); diff != "" {
		t.Error("all clusters:", diff)
	}
	narrow := client.Scope{Cluster: "one", Namespace: "default", Selector: labels.SelectorFromSet(labels.Set{"a": "b"})}
	if diff := cmp.Diff([]string{"one|default/a"}, list(narrow)); diff != "" {
		t.Error("one namespace:", diff)
	}
	if diff := cmp.Diff([]string{"two|default/b"}, list(client.Scope{})); diff != "" {
		t.Error("a list that became too old:", diff)
	}
	if _, err := c.List(t.Context(), configMaps, client.Scope{}); !apierrors.IsForbidden(err) {
		t.Errorf("a refusal: %v", err)
	}
	if objects, err := c.List(t.Context(), configMaps, client.Scope{}); err == nil {
		t.Errorf("an object of an unknown cluster: %v", objects)
	}
	want := []string{first, "GET /*/api/v1/configmaps?continue=more&limit=500", "GET /one/api/v1/namespaces/default/configmaps?labelSelector=a%3Db&limit=500"}
	if diff := cmp.Diff(want, s.requests()[:3]); diff != "" {
		t.Error(diff)
	}
}

func TestClient_RefusesWhatNamesNoCluster(t *testing.T) {
	s, c := serve(t)
	for _, key := range []client.Key{
		{Namespace: "default", Name: "a"},
		{Cluster: "*", Namespace: "default", Name: "a"},
		{Cluster: "root:org", Namespace: "default", Name: "a"},
		{Cluster: "../one", Namespace: "default", Name: "a"},
		{Cluster: "one", Namespace: "..", Name: "a"},
		{Cluster: "one", Namespace: "default", Name: "a/status"},
		{Cluster: "one", Namespace: "default"},
	} {
		obj := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
		_, get := c.Get(t.Context(), configMaps, key)
		_, update := c.Update(t.Context(), configMaps, key.Cluster, obj)
		errs := map[string]error{"get": get, "update": update, "delete": c.Delete(t.Context(), configMaps, key, nil)}
		if key.Cluster != "one" {
			_, errs["create"] = c.Create(t.Context(), configMaps, key.Cluster, obj)
			_, errs["list"] = c.List(t.Context(), configMaps, client.Scope{Cluster: key.Cluster, Namespace: key.Namespace})
		}
		for verb, err := range errs {
			if !apierrors.IsBadRequest(err) {
				t.Errorf("%s %q: %v", verb, key, err)
			}
		}
	}
	if asked := s.requests(); len(asked) > 0 {
		t.Errorf("the server was asked: %v", asked)
	}
}

var slices = apisv1alpha1.Resource("apiexportendpointslices")

func endpointSlice(resourceVersion, selector string) *apisv1alpha1.APIExportEndpointSlice {
	return clienttest.In("one", &apisv1alpha1.APIExportEndpointSlice{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apis.kcp.io/v1alpha1", Kind: "APIExportEndpointSlice"},
		ObjectMeta: metav1.ObjectMeta{Name: "a", ResourceVersion: resourceVersion},
		Status:     apisv1alpha1.APIExportEndpointSliceStatus{ShardSelector: selector},
	})
}

// sent answers like next, after it has decoded the request into obj.
func sent(t *testing.T, obj any, next answer) answer {
	return func(w http.ResponseWriter, req *http.Request) {
		if err := json.NewDecoder(req.Body).Decode(obj); err != nil {
			t.Errorf("decoding %s %s: %v", req.Method, req.URL, err)
		}
		next(w, req)
	}
}

func TestUpdate_WritesTheStatusToo(t *testing.T) {
	main, status := &unstructured.Unstructured{}, &unstructured.Unstructured{}
	stored := endpointSlice("6", "old")
	stored.Labels = map[string]string{"added-by": "admission"}
	s, c := serve(t, sent(t, main, body(stored)), sent(t, status, body(endpointSlice("7", "new"))))
	updated, err := c.Update(t.Context(), slices, "one", endpointSlice("5", "new"))
	if err != nil || updated.GetResourceVersion() != "7" {
		t.Fatalf("updated %v, %v", updated, err)
	}
	if main.GetKind() != "APIExportEndpointSlice" || main.GetResourceVersion() != "5" {
		t.Errorf("the first request: %v", main)
	}
	selector, _, _ := unstructured.NestedString(status.Object, "status", "shardSelector")
	if status.GetResourceVersion() != "6" || status.GetLabels()["added-by"] != "admission" || selector != "new" {
		t.Errorf("the second request: %v", status)
	}
	const at = "PUT /one/apis/apis.kcp.io/v1alpha1/apiexportendpointslices/a"
	if diff := cmp.Diff([]string{at, at + "/status"}, s.requests()); diff != "" {
		t.Error(diff)
	}
}

func TestUpdate_Outcomes(t *testing.T) {
	deleting := endpointSlice("6", "old")
	deleting.DeletionTimestamp = ptr.To(metav1.Now())
	for name, tc := range map[string]struct {
		script   []answer
		want     string // the resourceVersion that is returned
		fault    func(error) bool
		requests int
	}{
		"a status as it is":        {[]answer{body(endpointSlice("6", "new"))}, "6", nil, 1},
		"a conflict":               {[]answer{fails(409, metav1.StatusReasonConflict)}, "", apierrors.IsConflict, 1},
		"a refusal":                {[]answer{fails(422, metav1.StatusReasonInvalid)}, "", apierrors.IsInvalid, 1},
		"a conflict in the status": {[]answer{body(endpointSlice("6", "old")), fails(409, metav1.StatusReasonConflict)}, "", apierrors.IsConflict, 2},
		"no status subresource":    {[]answer{body(endpointSlice("6", "old")), fails(404, metav1.StatusReasonNotFound), body(endpointSlice("6", "old"))}, "6", nil, 3},
		"deleted in between":       {[]answer{body(endpointSlice("6", "old")), fails(404, metav1.StatusReasonNotFound), fails(404, metav1.StatusReasonNotFound)}, "", apierrors.IsNotFound, 3},
		"the last finalizer gone":  {[]answer{body(deleting), fails(404, metav1.StatusReasonNotFound)}, "6", nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := serve(t, tc.script...)
			updated, err := c.Update(t.Context(), slices, "one", endpointSlice("5", "new"))
			switch {
			case tc.fault != nil && !tc.fault(err):
				t.Errorf("err = %v", err)
			case tc.fault == nil && (err != nil || updated.GetResourceVersion() != tc.want):
				t.Errorf("updated %v, %v", updated, err)
			}
			if asked := s.requests(); len(asked) != tc.requests {
				t.Errorf("requests: %q", asked)
			}
		})
	}
}

func TestCreate(t *testing.T) {
	s, c := serve(t, body(endpointSlice("1", "set by the server")),
		body(endpointSlice("1", "")), body(endpointSlice("2", "new")),
		fails(409, metav1.StatusReasonAlreadyExists))
	obj := endpointSlice("", "")
	obj.Name, obj.GenerateName = "", "a-"
	created, err := c.Create(t.Context(), slices, "one", obj)
	if err != nil || created.GetName() != "a" {
		t.Errorf("created %v, %v", created, err)
	}
	if created, err = c.Create(t.Context(), slices, "one", endpointSlice("", "new")); err != nil || created.GetResourceVersion() != "2" {
		t.Errorf("created with a status: %v, %v", created, err)
	}
	if _, err := c.Create(t.Context(), slices, "one", endpointSlice("", "")); !apierrors.IsAlreadyExists(err) {
		t.Errorf("created twice: %v", err)
	}
	const at = "/one/apis/apis.kcp.io/v1alpha1/apiexportendpointslices"
	if diff := cmp.Diff([]string{"POST " + at, "POST " + at, "PUT " + at + "/a/status", "POST " + at}, s.requests()); diff != "" {
		t.Error(diff)
	}
}

func TestDelete(t *testing.T) {
	options := &metav1.DeleteOptions{}
	s, c := serve(t, sent(t, options, body(&metav1.Status{Status: metav1.StatusSuccess})), fails(409, metav1.StatusReasonConflict))
	key := client.Key{Cluster: "one", Name: "a"}
	if err := c.Delete(t.Context(), slices, key, metav1.NewUIDPreconditions("u")); err != nil {
		t.Error(err)
	}
	if options.Preconditions == nil || *options.Preconditions.UID != "u" {
		t.Errorf("options: %v", options)
	}
	if err := c.Delete(t.Context(), slices, key, nil); !apierrors.IsConflict(err) {
		t.Errorf("err = %v", err)
	}
	if got, want := s.requests()[0], "DELETE /one/apis/apis.kcp.io/v1alpha1/apiexportendpointslices/a"; got != want {
		t.Errorf("asked %q, want %q", got, want)
	}
}

// Of the versions that the scheme knows, one that is stable is used before newer ones that are not.
func TestClient_Versions(t *testing.T) {
	s, c := serve(t)
	for resource, want := range map[schema.GroupResource]string{
		apisv1alpha2.Resource("apiexports"):                                              "GET /root/apis/apis.kcp.io/v1alpha2/apiexports/a",
		{Group: "admissionregistration.k8s.io", Resource: "validatingadmissionpolicies"}: "GET /root/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/a",
	} {
		if _, err := c.Get(t.Context(), resource, client.Key{Cluster: logicalcluster.Root, Name: "a"}); !apierrors.IsNotFound(err) {
			t.Error(err)
		}
		asked := s.requests()
		if got := asked[len(asked)-1]; got != want {
			t.Errorf("asked %q, want %q", got, want)
		}
	}
}

func TestClient_UnstructuredByDiscovery(t *testing.T) {
	const group = "example.com"
	version := metav1.GroupVersionForDiscovery{GroupVersion: group + "/v1", Version: "v1"}
	groups := body(&metav1.APIGroupList{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIGroupList"},
		Groups:   []metav1.APIGroup{{Name: group, Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version}},
	})
	resources := body(&metav1.APIResourceList{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"}, GroupVersion: group + "/v1",
		APIResources: []metav1.APIResource{{Name: "fish", Kind: "Fish"}, {Name: "fish/status", Kind: "Fish"}},
	})
	fish := func(cluster logicalcluster.Name, resourceVersion string) map[string]any {
		return map[string]any{"apiVersion": "example.com/v1", "kind": "Fish", "metadata": map[string]any{
			"name": "a", "resourceVersion": resourceVersion, "annotations": map[string]any{logicalcluster.AnnotationKey: string(cluster)},
		}}
	}
	list := body(map[string]any{"apiVersion": "example.com/v1", "kind": "FishList", "metadata": map[string]any{"resourceVersion": "9"},
		"items": []any{fish("one", "1"), fish("two", "2")}})
	s, c := serve(t)
	s.by = map[string]answer{
		"GET /*/apis":                               groups,
		"GET /*/apis/example.com/v1":                resources,
		"GET /*/apis/example.com/v1/fish?limit=500": list,
		"GET /*/apis/example.com/v1/fish?allowWatchBookmarks=true&resourceVersion=9&watch=true": events(
			event("BOOKMARK", map[string]any{"apiVersion": "example.com/v1", "kind": "Fish", "metadata": map[string]any{"resourceVersion": "10"}}),
			event("MODIFIED", fish("two", "11"))),
		"PUT /one/apis/example.com/v1/fish/a": body(fish("one", "12")),
	}
	resource := schema.GroupResource{Group: group, Resource: "fish"}
	follow(t, c, resource, "RESET", "ADDED one|a@1", "ADDED two|a@2", "SYNCED", "MODIFIED two|a@11")
	updated, err := c.Update(t.Context(), resource, "one", &unstructured.Unstructured{Object: fish("one", "1")})
	if err != nil || updated.GetResourceVersion() != "12" {
		t.Errorf("updated %v, %v", updated, err)
	}
	if _, err := c.Get(t.Context(), schema.GroupResource{Group: group, Resource: "birds"}, client.Key{Cluster: "one", Name: "a"}); !apierrors.IsNotFound(err) {
		t.Errorf("a resource that nobody knows: %v", err)
	}
}
