package schema

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/registry/catalog"
)

// A definition that was stored before somebody looked closely can be one that no handler can be made of.
func TestHandlers_DefinitionThatCannotBeServed(t *testing.T) {
	s := newServer(t, nil)
	crd := growingDefinition(t, 0)
	crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["list"] = apiextensionsv1.JSONSchemaProps{
		Type: "array", Items: &apiextensionsv1.JSONSchemaPropsOrArray{JSONSchemas: []apiextensionsv1.JSONSchemaProps{{Type: "string"}}},
	}
	s.serve("c1", catalog.LocalBucket, crd)
	for _, tc := range []struct{ method, path, body string }{
		{"GET", "", ""}, {"GET", "/a", ""}, {"POST", "", widget("a", "{}")}, {"PUT", "/a", widget("a", "{}")}, {"DELETE", "/a", ""},
	} {
		got := s.must(http.StatusInternalServerError, tc.method, "c1"+widgets+tc.path, asJSON, tc.body)
		message, _ := got["message"].(string)
		if got["kind"] != "Status" || !strings.Contains(message, "the definition of widgets.example.com cannot be served: finding the storage of widgets.example.com") ||
			at(got, "details", "kind") != "widgets" {
			t.Errorf("%s %s: %v", tc.method, tc.path, got)
		}
	}
}

// A second try needs a handler of its own.
func TestServeTwice_WithoutASecondHandler(t *testing.T) {
	ctx := genericapirequest.WithRequestInfo(t.Context(), &genericapirequest.RequestInfo{Verb: "delete", APIGroup: "example.com", APIVersion: "v1", Resource: "widgets", Name: "w"})
	w, req := httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodDelete, "/", http.NoBody)
	first := http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { tooCostly(req.Context(), nil) })
	serveTwice(w, req, &body{ReadCloser: req.Body}, first, func() (http.Handler, error) { return nil, errors.New("changing it without its schema: no storage") })
	var status metav1.Status
	if err := json.Unmarshal(w.Body.Bytes(), &status); err != nil {
		t.Fatalf("%q is no Status: %v", w.Body, err)
	}
	if w.Code != http.StatusInternalServerError || status.Reason != metav1.StatusReasonInternalError || status.Details.Name != "w" ||
		!strings.Contains(status.Message, "the definition of widgets.example.com cannot be served: changing it without its schema: no storage") {
		t.Errorf("%d %+v", w.Code, status)
	}
}
