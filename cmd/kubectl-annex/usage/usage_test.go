package usage

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
)

// serve is a workspace with so many objects of each resource. It says how many remain, and how many bytes it stores, only if tells is set, and forbids
// secrets.
func serve(t *testing.T, tells bool, objects map[string]int) *rest.Config {
	t.Helper()
	var names []string
	for name := range objects {
		names = append(names, name)
	}
	slices.Sort(names)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		write := func(obj any) {
			_ = json.NewEncoder(w).Encode(obj)
		}
		switch req.URL.Path {
		case "/api", "/apis":
			w.Header().Set("Content-Type", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
			list := apidiscoveryv2.APIGroupDiscoveryList{TypeMeta: metav1.TypeMeta{APIVersion: "apidiscovery.k8s.io/v2", Kind: "APIGroupDiscoveryList"}}
			if req.URL.Path == "/api" && len(names) > 0 {
				version := apidiscoveryv2.APIVersionDiscovery{Version: "v1"}
				for _, name := range append([]string{"bindings"}, names...) {
					r := apidiscoveryv2.APIResourceDiscovery{Resource: name, ResponseKind: &metav1.GroupVersionKind{Version: "v1", Kind: name}, Verbs: []string{"get", "list"}, Scope: apidiscoveryv2.ScopeNamespace}
					if name == "bindings" {
						r.Verbs = []string{"create"}
					}
					version.Resources = append(version.Resources, r)
				}
				list.Items = append(list.Items, apidiscoveryv2.APIGroupDiscovery{Versions: []apidiscoveryv2.APIVersionDiscovery{version}})
			}
			write(list)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if req.URL.Path == "/usage" && tells {
			_, _ = w.Write([]byte("{\"objects\":2474,\"bytes\":123456}\n"))
			return
		}
		name := req.URL.Path[strings.LastIndex(req.URL.Path, "/")+1:]
		if name == "secrets" || name == "usage" {
			w.WriteHeader(http.StatusForbidden)
			write(metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden})
			return
		}
		limit, _ := strconv.Atoi(req.URL.Query().Get("limit"))
		from, _ := strconv.Atoi(req.URL.Query().Get("continue"))
		list := metav1.PartialObjectMetadataList{TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadataList"}}
		until := min(from+limit, objects[name])
		for i := from; i < until; i++ {
			list.Items = append(list.Items, metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(i)}})
		}
		if rest := int64(objects[name] - until); rest > 0 {
			list.Continue = strconv.Itoa(until)
			if tells {
				list.RemainingItemCount = &rest
			}
		}
		write(list)
	}))
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL}
}

func TestCount(t *testing.T) {
	objects := map[string]int{"configmaps": 1, "events": 700, "namespaces": 0, "pods": 1234, "services": 1234, "secrets": 5}
	want := &Usage{Objects: 2469, Events: 700, Hidden: []string{"secrets"}, Resources: []Resource{
		{Resource: "pods", Objects: 1234}, {Resource: "services", Objects: 1234}, {Resource: "configmaps", Objects: 1},
	}}
	for _, tells := range []bool{true, false} {
		want.Bytes = nil
		if tells {
			want.Bytes = ptr.To[int64](123456)
		}
		got, err := Count(t.Context(), serve(t, tells, objects))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("a server that says how many remain: %t: -want +got\n%s", tells, diff)
		}
	}
}

func TestCount_Closed(t *testing.T) {
	for name, objects := range map[string]map[string]int{"nothing is served": {}, "nothing may be listed": {"secrets": 1}} {
		if got, err := Count(t.Context(), serve(t, true, objects)); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
