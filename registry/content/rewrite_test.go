package content

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/storage/head"
	"github.com/annex-dev/annex/schemas/crd"
)

// twoVersions returns a definition of widgets that stores v2 and converts from v1.
func twoVersions(t *testing.T, cluster logicalcluster.Name) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	d := definition(cluster, "widgets.example.com")
	spec := func(properties map[string]apiextensionsv1.JSONSchemaProps, required ...string) *apiextensionsv1.CustomResourceValidation {
		return &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
			Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": {Type: "object", Properties: properties, Required: required}},
		}}
	}
	integer, text := apiextensionsv1.JSONSchemaProps{Type: "integer"}, apiextensionsv1.JSONSchemaProps{Type: "string", MaxLength: ptr.To[int64](2)}
	d.Spec.Versions = []apiextensionsv1.CustomResourceDefinitionVersion{
		{Name: "v1", Served: true, Schema: spec(map[string]apiextensionsv1.JSONSchemaProps{"size": integer, "color": {Type: "string"}})},
		{Name: "v2", Served: true, Storage: true, Schema: spec(map[string]apiextensionsv1.JSONSchemaProps{"width": text, "color": {Type: "string"}}, "depth")},
	}
	rules := func(from, to, field, destination, transformation string) apisv1alpha1.APIVersionConversion {
		return apisv1alpha1.APIVersionConversion{From: from, To: to, Rules: []apisv1alpha1.APIConversionRule{
			{Field: field, Destination: destination, Transformation: transformation}, {Field: ".spec.color", Destination: ".spec.color"},
		}}
	}
	conversion := &apisv1alpha1.APIConversion{Spec: apisv1alpha1.APIConversionSpec{Conversions: []apisv1alpha1.APIVersionConversion{
		rules("v1", "v2", ".spec.size", ".spec.width", "string(100 / self)"), rules("v2", "v1", ".spec.width", ".spec.size", "int(self)"),
	}}}
	if err := crd.SetConversion(d, conversion); err != nil {
		t.Fatal(err)
	}
	return d
}

const storedWidget = `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"a","namespace":"default","uid":"uid-a","generation":7,
	"creationTimestamp":"2026-01-01T00:00:00Z","deletionTimestamp":"2026-01-02T00:00:00Z","deletionGracePeriodSeconds":0,
	"finalizers":["example.com/hold"],"labels":{"l":"1"},"annotations":{"n":"2"},
	"managedFields":[{"manager":"kubectl","operation":"Apply","apiVersion":"example.com/v1","time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:size":{}}}}]},
	"spec":{"size":4,"color":"red"}}`

// stored returns what is in etcd.
func (h *house) stored(name string) (object map[string]any, revision int64) {
	h.t.Helper()
	resp, err := h.etcd.KV.Get(h.t.Context(), "/annex/cr/8/example.com/widgets/crd/c1/default/"+name)
	if err != nil || len(resp.Kvs) != 1 {
		h.t.Fatal(err)
	}
	if err := json.Unmarshal(resp.Kvs[0].Value, &object); err != nil {
		h.t.Fatal(err)
	}
	return object, resp.Kvs[0].ModRevision
}

func (h *house) headOf(cluster logicalcluster.Name, name string) head.Head {
	h.t.Helper()
	found, err := h.Find(h.t.Context(), client.Kind{Resource: widgets, Bucket: client.LocalBucket, Namespaced: true}, client.Key{Cluster: cluster, Namespace: "default", Name: name}, true)
	if err != nil || found == nil {
		h.t.Fatalf("%s is not found: %v", name, err)
	}
	return *found
}

// Nothing but the version of an object changes, and what follows from that: it need not be valid, and it may be about to be deleted.
func TestRewrite(t *testing.T) {
	h := newHouse(t, twoVersions(t, "c1"))
	h.write("crd/c1/default", "a", storedWidget)
	want, before := h.stored("a")
	if err := h.Rewrite(t.Context(), h.headOf("c1", "a"), "v2"); err != nil {
		t.Fatal(err)
	}
	want["apiVersion"], want["spec"] = "example.com/v2", map[string]any{"width": "25", "color": "red"}
	got, after := h.stored("a")
	if diff := cmp.Diff(want, got); diff != "" || after == before {
		t.Errorf("(-want +stored):\n%s", diff)
	}
	// It is harmless to do it again.
	if err := h.Rewrite(t.Context(), h.headOf("c1", "a"), "v2"); err != nil {
		t.Error(err)
	}
	if got, again := h.stored("a"); again != after || cmp.Diff(want, got) != "" {
		t.Errorf("it is stored again: %v", got)
	}
}

func TestRewrite_LeavesAloneWhatItCannotConvert(t *testing.T) {
	h := newHouse(t, twoVersions(t, "c1"))
	for name, data := range map[string]string{
		"zero":    strings.NewReplacer(`"name":"a"`, `"name":"zero"`, `"size":4`, `"size":0`).Replace(storedWidget),
		"unknown": strings.NewReplacer(`"name":"a"`, `"name":"unknown"`, `"apiVersion":"example.com/v1","kind"`, `"apiVersion":"example.com/v0","kind"`).Replace(storedWidget),
		"text":    strings.NewReplacer(`"name":"a"`, `"name":"text"`, `"size":4`, `"size":"secret"`).Replace(storedWidget),
	} {
		h.write("crd/c1/default", name, data)
		_, before := h.stored(name)
		err := h.Rewrite(t.Context(), h.headOf("c1", name), "v2")
		var reason *client.NotRewrittenError
		if !errors.As(err, &reason) || strings.Contains(reason.Reason, "secret") || strings.Contains(reason.Reason, "zero") {
			t.Errorf("%s: %v", name, err)
		}
		if name == "zero" && reason != nil && !strings.Contains(reason.Reason, "spec.size") {
			t.Errorf("the field is not named: %v", reason)
		}
		if _, after := h.stored(name); after != before {
			t.Errorf("%s has changed", name)
		}
	}
}

func TestRewrite_Refuses(t *testing.T) {
	h := newHouse(t, twoVersions(t, "c1"))
	h.write("crd/c1/default", "a", storedWidget)
	h.write("crd/c2/default", "a", storedWidget)
	h.write("crd/c1", "a", strings.Replace(storedWidget, `"namespace":"default",`, "", 1))
	a, unserved := h.headOf("c1", "a"), h.headOf("c2", "a")
	another, gone, scoped := a, a, a
	another.UID, gone.Name, scoped.Namespace = "another", "gone", ""
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	var reason *client.NotRewrittenError
	for name, tc := range map[string]struct {
		ctx     context.Context
		h       head.Head
		version string
		is      func(error) bool
	}{
		"another version than the one that is stored": {t.Context(), a, "v1", apierrors.IsConflict},
		"what nothing serves":                         {t.Context(), unserved, "v2", apierrors.IsNotFound},
		"another object of that name":                 {t.Context(), another, "v2", apierrors.IsNotFound},
		"what is gone":                                {t.Context(), gone, "v2", apierrors.IsNotFound},
		"what has another scope":                      {t.Context(), scoped, "v2", func(err error) bool { return errors.As(err, &reason) }},
		"when nobody waits any more":                  {canceled, a, "v2", func(err error) bool { return err != nil && !errors.As(err, &reason) }},
	} {
		t.Run(name, func(t *testing.T) {
			if err := h.Rewrite(tc.ctx, tc.h, tc.version); !tc.is(err) {
				t.Errorf("got %v", err)
			}
		})
	}
	if got, _ := h.stored("a"); got["apiVersion"] != "example.com/v1" {
		t.Errorf("it is rewritten: %v", got)
	}
}
