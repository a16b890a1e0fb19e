package schema

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/utils/ptr"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

// freeWidgets are widgets with all names, except what their schema says of them.
func freeWidgets(t *testing.T) *apiextensionsv1.CustomResourceDefinition {
	crd := definition(t, widgetsA)
	crd.Annotations = map[string]string{apisv1alpha2.AnnotationNameValidationKey: "PathSegmentName"}
	for i := range crd.Spec.Versions {
		s := crd.Spec.Versions[i].Schema.OpenAPIV3Schema.DeepCopy()
		s.Properties["metadata"] = apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{
			"name": {Type: "string", MaxLength: ptr.To[int64](20)},
		}}
		s.XValidations = apiextensionsv1.ValidationRules{{Rule: "!self.metadata.name.startsWith('Never')", Message: "never"}}
		crd.Spec.Versions[i].Schema.OpenAPIV3Schema = s
	}
	return crd
}

func TestNames_PathSegments(t *testing.T) {
	s := newServer(t, nil)
	s.serve("free", "identity", freeWidgets(t))
	s.serve("strict", "identity", definition(t, widgetsA))
	const v2 = "/apis/example.com/v2/namespaces/default/widgets"
	inV2 := func(body string) string { return strings.Replace(body, "example.com/v1", "example.com/v2", 1) }
	events := s.watch("free" + widgets + "?watch=true")
	for i, name := range []string{"system:admin", "Upper", "a b", "ü*@", ".hidden", "-", "plain"} {
		first, second := "free"+widgets+"/"+url.PathEscape(name), "free"+v2+"/"+url.PathEscape(name)
		// By each version, and by server-side apply, which creates by an update.
		switch i % 3 {
		case 0:
			s.must(http.StatusCreated, "POST", "free"+widgets, asJSON, widget(name, `{}`))
		case 1:
			s.must(http.StatusCreated, "POST", "free"+v2, asJSON, inV2(widget(name, `{}`)))
		default:
			s.must(http.StatusCreated, "PATCH", first+"?fieldManager=m", asApply, widget(name, `{"color":"blue"}`))
		}
		s.expect(events, "ADDED "+name)
		s.must(http.StatusConflict, "POST", "free"+widgets, asJSON, widget(name, `{}`))
		if got := s.must(http.StatusOK, "PATCH", second, asMerge, `{"spec":{"color":"red"}}`); got["apiVersion"] != "example.com/v2" {
			t.Errorf("%s: %v", name, got)
		}
		s.expect(events, "MODIFIED "+name)
		s.must(http.StatusOK, "PATCH", first+"/status", asMerge, `{"status":{"phase":"x"}}`)
		s.expect(events, "MODIFIED "+name)
		got := s.must(http.StatusOK, "GET", first, "", "")
		if at(got, "metadata", "name") != name || at(got, "spec", "color") != "red" || at(got, "status", "phase") != "x" {
			t.Errorf("%s is %v", name, got)
		}
		s.must(http.StatusOK, "PUT", first, asJSON, strings.Replace(widget(name, `{"color":"green"}`), `"name"`, `"resourceVersion":"`+at(got, "metadata", "resourceVersion").(string)+`","name"`, 1))
		s.expect(events, "MODIFIED "+name)
		if i%2 == 0 {
			s.must(http.StatusOK, "DELETE", first, "", "")
			s.expect(events, "DELETED "+name)
		}
		if want := http.StatusUnprocessableEntity; name != "plain" {
			got := s.must(want, "POST", "strict"+widgets, asJSON, widget(name, `{}`))
			if message, _ := got["message"].(string); !strings.Contains(message, "metadata.name") {
				t.Errorf("%s elsewhere: %v", name, got)
			}
		}
	}
	if items, _ := s.must(http.StatusOK, "GET", "free"+widgets, "", "")["items"].([]any); len(items) != 3 {
		t.Errorf("%d are left", len(items))
	}
	made := s.must(http.StatusCreated, "POST", "free"+widgets, asJSON, strings.Replace(widget("x", `{}`), `"name":"x"`, `"generateName":"Made:"`, 1))
	if name, _ := at(made, "metadata", "name").(string); !strings.HasPrefix(name, "Made:") {
		t.Errorf("%s was made", name)
	}
	// What a URL cannot have, and what the schema refuses.
	for name, want := range map[string]string{
		".": "may not be '.'", "..": "may not be '..'", "a/b": "may not contain '/'", "a%b": "may not contain '%'", "": "name or generateName is required",
		"Never:this": "never", "Longer-than-twenty-characters": "Too long",
	} {
		got := s.must(http.StatusUnprocessableEntity, "POST", "free"+widgets, asJSON, widget(name, `{}`))
		if message, _ := got["message"].(string); !strings.Contains(message, want) || strings.Contains(message, "RFC 1123") {
			t.Errorf("%q: %v, want %s", name, got["message"], want)
		}
	}
	got := s.must(http.StatusUnprocessableEntity, "POST", "free"+widgets, asJSON, strings.Replace(widget("x", `{}`), `"name":"x"`, `"generateName":"a/"`, 1))
	if message, _ := got["message"].(string); !strings.Contains(message, "metadata.generateName") {
		t.Errorf("%v", got)
	}
	// Everything else of an object is checked as before.
	if got := s.must(http.StatusUnprocessableEntity, "POST", "free"+widgets, asJSON, widget("A:b", `{"replicas":9}`)); got["message"] != `Widget.example.com "A:b" is invalid: spec: Invalid value: at most five` {
		t.Errorf("%v", got["message"])
	}
	s.must(http.StatusUnprocessableEntity, "POST", "free"+widgets, asJSON, strings.Replace(widget("A:c", `{}`), `"name"`, `"labels":{"a":"b c"},"name"`, 1))
}

// The strategy is wrapped while other requests use it.
func TestNames_ManyAtOnce(t *testing.T) {
	s := newServer(t, nil)
	s.serve("free", "identity", freeWidgets(t))
	var all sync.WaitGroup
	codes := make([]int, 24)
	for i := range codes {
		all.Go(func() {
			name := fmt.Sprintf("N:%d", i)
			if i%2 == 0 {
				codes[i], _ = s.do("POST", "free"+widgets, asJSON, widget(name, `{}`))
				return
			}
			codes[i], _ = s.do("PATCH", "free"+widgets+"/"+name+"?fieldManager=m", asApply, widget(name, `{}`))
		})
	}
	all.Wait()
	if slices.ContainsFunc(codes, func(code int) bool { return code != http.StatusCreated }) {
		t.Errorf("codes %v", codes)
	}
}

// If the stock handler does not show admission its storage any more, nothing is created by another rule.
func TestNames_UnknownScope(t *testing.T) {
	f := &creating{Interface: admission.NewChainHandler(), freelyNamed: true}
	a := admission.NewAttributesRecord(nil, nil, schema.GroupVersionKind{}, "", "a:b", schema.GroupVersionResource{}, "", admission.Create, nil, false, nil)
	if err := f.Admit(t.Context(), a, admission.NewObjectInterfacesFromScheme(nil)); err == nil {
		t.Error("it is admitted")
	}
}
