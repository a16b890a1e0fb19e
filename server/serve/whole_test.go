package serve

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/registry/room"
)

func TestServe_SaysWhichListsAreEncodedAsAWhole(t *testing.T) {
	const table = "application/json;as=Table;v=v1;g=meta.k8s.io"
	for name, tc := range map[string]struct {
		verb, accept, query, agent string
		want                       bool
	}{
		"JSON":                            {"list", "application/json", "", "kubectl", false},
		"anything":                        {"list", "", "", "Go-http-client", false},
		"protobuf":                        {"list", "application/vnd.kubernetes.protobuf,application/json", "", "", false},
		"indented":                        {"list", "application/json", "?pretty=1", "", true},
		"for people":                      {"list", "*/*", "", "curl/8", true},
		"for people who do not want that": {"list", "*/*", "?pretty=false", "curl/8", false},
		"YAML":                            {"list", "application/yaml", "", "", true},
		"YAML if there is no other":       {"list", "application/vnd.kubernetes.protobuf,application/yaml", "", "", false},
		"table":                           {"list", table + ",application/json", "", "kubectl", false},
		"table of objects":                {"list", table, "?includeObject=Object", "", true},
		"table of cells":                  {"list", table, "?includeObject=None", "", false},
		"metadata":                        {"list", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", "", "", false},
		"what nobody can encode":          {"list", "image/png", "", "", false},
		"no list":                         {"get", "application/yaml", "", "", false},
		"a deletion":                      {"deletecollection", "application/yaml", "", "", false},
	} {
		ctx := genericapirequest.WithRequestInfo(t.Context(), &genericapirequest.RequestInfo{Verb: tc.verb, IsResourceRequest: true})
		req := httptest.NewRequestWithContext(ctx, http.MethodGet, "/"+tc.query, nil)
		req.Header.Set("Accept", tc.accept)
		req.Header.Set("User-Agent", tc.agent)
		var got bool
		server := newServer(&seen{}, "", nil)
		server.config.Codecs = serializer.NewCodecFactory(runtime.NewScheme())
		server.Serve(httptest.NewRecorder(), req, Target{Cluster: "c", Handler: http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			got = room.IsWhole(req.Context())
		})})
		if got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
