package serve

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

func TestAcceptable(t *testing.T) {
	const (
		protobuf = "application/vnd.kubernetes.protobuf"
		metadata = protobuf + ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
	)
	s := New(Config{Plain: func(gr schema.GroupResource) bool { return gr.Resource == "workspaces" }})
	for name, tc := range map[string]struct{ resource, accept, want string }{
		"as the namespace controller asks": {"workspaces", protobuf + ",application/json", "application/json"},
		"with spaces":                      {"workspaces", protobuf + " ; q=1, application/json", " application/json"},
		"a watch":                          {"workspaces", protobuf + ";stream=watch,application/json;stream=watch", "application/json;stream=watch"},
		"metadata":                         {"workspaces", metadata + "," + protobuf + ",application/json", metadata + ",application/json"},
		"nothing else":                     {"workspaces", protobuf, protobuf},
		"JSON":                             {"workspaces", "application/json, */*", "application/json, */*"},
		"anything":                         {"workspaces", "", ""},
		"of a kind that has it":            {"configmaps", protobuf + ",application/json", protobuf + ",application/json"},
	} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		if tc.accept != "" {
			req.Header.Set("Accept", tc.accept)
		}
		got := s.acceptable(req, &genericapirequest.RequestInfo{Resource: tc.resource})
		if accept := got.Header.Get("Accept"); accept != tc.want {
			t.Errorf("%s: %q, want %q", name, accept, tc.want)
		}
		if req.Header.Get("Accept") != tc.accept {
			t.Errorf("%s: the request of the caller has changed", name)
		}
	}
}
