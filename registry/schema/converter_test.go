package schema

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	clientrest "k8s.io/client-go/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/storage"
)

// gizmos have an address in v1, and host and port in v2.
const gizmos = `
metadata: {name: gizmos.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: gizmos, singular: gizmo, kind: Gizmo, listKind: GizmoList}
  conversion:
    strategy: Webhook
    webhook:
      conversionReviewVersions: [v1]
      clientConfig: {url: %q, caBundle: %q}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {address: {type: string, default: "localhost:80"}}}
  - name: v2
    served: true
    storage: false
    selectableFields: [{jsonPath: .spec.host}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {host: {type: string}, port: {type: string}, zone: {type: string, default: none}}}
`

// directly are webhooks without a guard.
type directly struct{ unguarded }

func (directly) ClientConfigFor(string) (*clientrest.Config, error) { return &clientrest.Config{}, nil }

// conversions is a webhook that converts gizmos. It counts its calls and the objects in them.
type conversions struct {
	*httptest.Server
	mu      sync.Mutex
	calls   []int
	failing string
	change  func(obj map[string]any)
}

func newConversions(t *testing.T) *conversions {
	t.Helper()
	c := &conversions{}
	c.Server = httptest.NewTLSServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.Close)
	return c
}

func (c *conversions) definition(t *testing.T, change func(*apiextensionsv1.CustomResourceDefinition)) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	crd := definition(t, fmt.Sprintf(gizmos, c.URL, "")) // the bundle is bytes, which YAML has in base64
	crd.Spec.Conversion.Webhook.ClientConfig.CABundle = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate().Raw})
	if change != nil {
		change(crd)
	}
	return crd
}

func (c *conversions) serve(w http.ResponseWriter, r *http.Request) {
	var review apiextensionsv1.ConversionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, len(review.Request.Objects))
	review.Response = &apiextensionsv1.ConversionResponse{UID: review.Request.UID, Result: metav1.Status{Status: metav1.StatusSuccess}}
	if c.failing != "" {
		review.Response.Result = metav1.Status{Status: metav1.StatusFailure, Message: c.failing}
	}
	for _, raw := range review.Request.Objects {
		var obj map[string]any
		_ = json.Unmarshal(raw.Raw, &obj)
		spec, _ := obj["spec"].(map[string]any)
		switch review.Request.DesiredAPIVersion {
		case "example.com/v2":
			address, _ := spec["address"].(string)
			host, port, _ := strings.Cut(address, ":")
			obj["spec"] = map[string]any{"host": host, "port": port, "unknown": "goes"}
		case "example.com/v1":
			obj["spec"] = map[string]any{"address": fmt.Sprintf("%v:%v", spec["host"], spec["port"])}
		}
		obj["apiVersion"] = review.Request.DesiredAPIVersion
		if c.change != nil {
			c.change(obj)
		}
		data, _ := json.Marshal(obj)
		review.Response.ConvertedObjects = append(review.Response.ConvertedObjects, runtime.RawExtension{Raw: data})
	}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(&review)
}

// took returns how many objects each call had since the last time.
func (c *conversions) took() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	c.calls = nil
	return calls
}

// set changes what the webhook does.
func (c *conversions) set(failing string, change func(map[string]any)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failing, c.change = failing, change
}

func gizmo(name, version, spec string) string {
	return fmt.Sprintf(`{"apiVersion":"example.com/%s","kind":"Gizmo","metadata":{"name":%q},"spec":%s}`, version, name, spec)
}

const (
	gizmosV1 = "/apis/example.com/v1/namespaces/default/gizmos"
	gizmosV2 = "/apis/example.com/v2/namespaces/default/gizmos"
)

func TestConversion(t *testing.T) {
	hook := newConversions(t)
	s := newServer(t, func(c *Config) { c.Webhooks = directly{} })
	crd := hook.definition(t, nil)
	resource := s.serve("c", catalog.LocalBucket, crd)
	s.must(http.StatusCreated, http.MethodPost, "c"+gizmosV1, asJSON, gizmo("a", "v1", `{"address":"one:1"}`))
	if calls := hook.took(); len(calls) != 0 {
		t.Errorf("nothing was to be converted, but the webhook was called with %v objects", calls)
	}
	created := s.must(http.StatusCreated, http.MethodPost, "c"+gizmosV2, asJSON, gizmo("b", "v2", `{"host":"two","port":"2"}`))
	if at(created, "spec", "host") != "two" || created["apiVersion"] != "example.com/v2" {
		t.Errorf("created %v", created)
	}

	t.Run("every version shows every object", func(t *testing.T) {
		if got := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV1+"/b", "", ""); at(got, "spec", "address") != "two:2" {
			t.Errorf("b in v1 is %v", got)
		}
		one := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV2+"/a", "", "")
		if at(one, "spec", "host") != "one" || at(one, "spec", "unknown") != nil || at(one, "spec", "zone") != nil {
			t.Errorf("a in v2 is %v", one)
		}
		// What is read alone, in a list, and by a watch is the same.
		cached := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV2+"/a?resourceVersion=0", "", "")
		list := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV2, "", "")
		for where, got := range map[string]any{"the cache": cached, "a list": list["items"].([]any)[0]} {
			if !reflect.DeepEqual(got, map[string]any(one)) {
				t.Errorf("a is %v, in %s %v", one, where, got)
			}
		}
	})
	t.Run("changes", func(t *testing.T) {
		s.must(http.StatusOK, http.MethodPatch, "c"+gizmosV2+"/a", asMerge, `{"spec":{"port":"11"}}`)
		s.must(http.StatusOK, http.MethodPatch, "c"+gizmosV2+"/b?fieldManager=m&force=true", asApply, gizmo("b", "v2", `{"port":"22"}`))
		for name, want := range map[string]string{"a": "one:11", "b": "two:22"} {
			if got := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV1+"/"+name, "", ""); at(got, "spec", "address") != want {
				t.Errorf("%s is %v, want %s", name, got, want)
			}
		}
		fields := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV2+"?fieldSelector=spec.host%3Dtwo", "", "")
		if items := fields["items"].([]any); len(items) != 1 {
			t.Errorf("the field selector selects %v", items)
		}
	})
	t.Run("a long list is one call", func(t *testing.T) {
		for i := range 98 {
			s.must(http.StatusCreated, http.MethodPost, "c"+gizmosV1, asJSON, gizmo(fmt.Sprintf("n%02d", i), "v1", `{"address":"many:1"}`))
		}
		hook.took()
		for _, query := range []string{"", "?resourceVersion=0", "?fieldSelector=spec.host%3Dmany"} {
			s.must(http.StatusOK, http.MethodGet, "c"+gizmosV2+query, "", "")
			if calls := hook.took(); !reflect.DeepEqual(calls, []int{100}) {
				t.Errorf("%q took calls with %v objects", query, calls)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s.expect(s.watchUntil(ctx, "c"+gizmosV2+"?watch=true&resourceVersion=0"), "ADDED a")
		if calls := hook.took(); !reflect.DeepEqual(calls, []int{100}) {
			t.Errorf("a watch took calls with %v objects", calls)
		}
	})
	t.Run("metadata stays, except labels and annotations", func(t *testing.T) {
		hook.set("", func(obj map[string]any) {
			obj["metadata"].(map[string]any)["finalizers"] = []any{"example.com/forged"}
			obj["metadata"].(map[string]any)["annotations"] = map[string]any{logicalcluster.AnnotationKey: "other", "by": "webhook"}
		})
		defer hook.set("", nil)
		got := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV2+"/a", "", "")
		if at(got, "metadata", "finalizers") != nil || at(got, "metadata", "annotations", "by") != "webhook" || at(got, "metadata", "annotations", logicalcluster.AnnotationKey) != "c" {
			t.Errorf("got %v", got)
		}
		s.must(http.StatusOK, http.MethodPatch, "c"+gizmosV2+"/a", asMerge, `{"spec":{"port":"12"}}`)
		if got := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV1+"/a", "", ""); at(got, "metadata", "annotations", logicalcluster.AnnotationKey) != "c" {
			t.Errorf("stored %v", got)
		}
		for what, change := range map[string]func(map[string]any){
			"must have the same name":                 func(m map[string]any) { m["name"] = "other" },
			"must have the same namespace":            func(m map[string]any) { m["namespace"] = "kube-system" },
			"must have the same UID":                  func(m map[string]any) { m["uid"] = "0" },
			"metadata.labels[a] must be a string":     func(m map[string]any) { m["labels"] = map[string]any{"a": 1} },
			"invalid metadata.labels of type string":  func(m map[string]any) { m["labels"] = "a" },
			"name part must consist of alphanumeric ": func(m map[string]any) { m["labels"] = map[string]any{"!": "1"} },
		} {
			hook.set("", func(obj map[string]any) { change(obj["metadata"].(map[string]any)) })
			for _, path := range []string{gizmosV2 + "/a", gizmosV2} {
				got := s.must(http.StatusInternalServerError, http.MethodGet, "c"+path, "", "")
				if message, _ := got["message"].(string); !strings.Contains(message, what) {
					t.Errorf("%s: %v, want %q", path, got, what)
				}
			}
		}
	})
	t.Run("a webhook that fails", func(t *testing.T) {
		hook.set("out of order", nil)
		defer hook.set("", nil)
		for method, path := range map[string]string{http.MethodGet: gizmosV2 + "/a", http.MethodDelete: gizmosV2 + "/a", http.MethodPost: gizmosV2} {
			body := ""
			if method == http.MethodPost {
				body = gizmo("c", "v2", `{"host":"x"}`)
			}
			got := s.must(http.StatusInternalServerError, method, "c"+path, asJSON, body)
			if message, _ := got["message"].(string); !strings.Contains(message, "conversion webhook for example.com/v") || !strings.Contains(message, "Kind=Gizmo failed: out of order") {
				t.Errorf("%s: %v", path, got)
			}
		}
		s.must(http.StatusOK, http.MethodGet, "c"+gizmosV1, "", "") // needs no conversion
	})
	t.Run("the version that is stored changes", func(t *testing.T) {
		next := s.serve("c", catalog.LocalBucket, hook.definition(t, func(crd *apiextensionsv1.CustomResourceDefinition) {
			crd.Spec.Versions[0].Storage, crd.Spec.Versions[1].Storage = false, true
		}))
		if next.Hash == resource.Hash {
			t.Fatal("the definitions are the same")
		}
		s.must(http.StatusOK, http.MethodPatch, "c"+gizmosV1+"/b", asMerge, `{"spec":{"address":"three:3"}}`)
		if got := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV2+"/b", "", ""); at(got, "spec", "host") != "three" {
			t.Errorf("b is %v", got)
		}
		hook.took()
		// a is still stored in v1, b in v2.
		s.must(http.StatusOK, http.MethodGet, "c"+gizmosV1+"/a", "", "")
		s.must(http.StatusOK, http.MethodGet, "c"+gizmosV2+"/b", "", "")
		if calls := hook.took(); len(calls) != 0 {
			t.Errorf("objects were converted: %v", calls)
		}
		ctx := genericapirequest.WithNamespace(storage.WithBucket(logicalcluster.WithCluster(t.Context(), "c"), next.Bucket), "default")
		hook.set("out of order", nil)
		for name, version := range map[string]string{"a": "v1", "b": "v2"} {
			stored, err := s.handlers.Stored(next, "c", version)
			if err != nil {
				t.Fatal(err)
			}
			obj, err := stored.Get(ctx, name, &metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			held := obj.(*unstructured.Unstructured)
			held.SetFinalizers([]string{"example.com/hold"})
			if obj, _, err = stored.Update(ctx, name, rest.DefaultUpdatedObjectInfo(held), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			if got := obj.(*unstructured.Unstructured); got.GetAPIVersion() != "example.com/"+version || len(got.GetFinalizers()) != 1 {
				t.Errorf("%s is %v", name, got.Object)
			}
			if _, _, err := stored.Delete(ctx, name, rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		}
		if none, err := s.handlers.Stored(next, "c", "v3"); none != nil || err != nil {
			t.Errorf("a version that is not there: %v, %v", none, err)
		}
		if calls := hook.took(); len(calls) != 0 {
			t.Errorf("objects were converted: %v", calls)
		}
	})
}

// Without webhooks that a guard connects, nothing is served that needs one: the stock converter would connect to anything.
func TestConversion_NeedsAGuard(t *testing.T) {
	hook := newConversions(t)
	s := newServer(t, nil)
	s.serve("c", catalog.LocalBucket, hook.definition(t, nil))
	if status, out := s.do(http.MethodGet, "c"+gizmosV1, "", ""); status != http.StatusInternalServerError {
		t.Errorf("status %d: %v", status, out)
	}
	if calls := hook.took(); len(calls) != 0 {
		t.Errorf("the webhook was called: %v", calls)
	}
}

// The server's own writes wait for a conversion for a moment only.
func TestInterfaces_ConvertBriefly(t *testing.T) {
	hook := newConversions(t)
	s := newServer(t, func(c *Config) { c.Webhooks = directly{} })
	resource := s.serve("c", catalog.LocalBucket, hook.definition(t, nil))
	objects, err := s.handlers.Interfaces(resource, "c")
	if err != nil {
		t.Fatal(err)
	}
	convert := func() error {
		in, out := &unstructured.Unstructured{}, &unstructured.Unstructured{}
		if err := json.Unmarshal([]byte(gizmo("a", "v1", `{"address":"one:1"}`)), in); err != nil {
			t.Fatal(err)
		}
		out.SetGroupVersionKind(in.GroupVersionKind().GroupKind().WithVersion("v2"))
		return objects.GetObjectConvertor().Convert(in, out, nil)
	}
	if err := convert(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	hook.set("", func(map[string]any) { <-ended })
	defer close(ended)
	began := time.Now()
	if err := convert(); err == nil || time.Since(began) > 15*briefTimeout {
		t.Errorf("got %v after %v", err, time.Since(began))
	}
}
