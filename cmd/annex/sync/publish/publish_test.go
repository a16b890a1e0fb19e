package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/cmd/annex/sync/config"
	"github.com/annex-dev/annex/cmd/annex/sync/names"
	"github.com/annex-dev/annex/schemas/publish"
)

// workspace is the provider's workspace.
type workspace struct {
	ctrlclient.Reader
	ctrlclient.Writer
	definition *apiextensionsv1.CustomResourceDefinition
	export     *apisv1alpha2.APIExport
	writes     []string
}

func (w *workspace) Get(_ context.Context, key ctrlclient.ObjectKey, obj ctrlclient.Object, _ ...ctrlclient.GetOption) error {
	switch obj := obj.(type) {
	case *apiextensionsv1.CustomResourceDefinition:
		if w.definition != nil && w.definition.Name == key.Name {
			w.definition.DeepCopyInto(obj)
			return nil
		}
	case *apisv1alpha2.APIExport:
		if w.export != nil && w.export.Name == key.Name {
			w.export.DeepCopyInto(obj)
			return nil
		}
	}
	return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
}

func (w *workspace) write(verb string, obj ctrlclient.Object) error {
	w.writes = append(w.writes, fmt.Sprintf("%s %T", verb, obj))
	switch obj := obj.(type) {
	case *apiextensionsv1.CustomResourceDefinition:
		w.definition = obj.DeepCopy()
	case *apisv1alpha2.APIExport:
		w.export = obj.DeepCopy()
	}
	return nil
}

func (w *workspace) Create(_ context.Context, obj ctrlclient.Object, _ ...ctrlclient.CreateOption) error {
	return w.write("create", obj)
}

func (w *workspace) Update(_ context.Context, obj ctrlclient.Object, _ ...ctrlclient.UpdateOption) error {
	return w.write("update", obj)
}

func newDefinition(description string) *apiextensionsv1.CustomResourceDefinition {
	d := &apiextensionsv1.CustomResourceDefinition{}
	d.Name = "widgets.example.com"
	d.Spec = apiextensionsv1.CustomResourceDefinitionSpec{
		Group: "example.com", Scope: apiextensionsv1.NamespaceScoped, Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Kind: "Widget"},
		Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true,
			Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", Description: description}}}},
	}
	return d
}

// offer does what the server does.
func (w *workspace) offer(t *testing.T) {
	t.Helper()
	s, err := publish.SchemaOf(w.definition)
	if err != nil {
		t.Fatal(err)
	}
	if w.export == nil {
		w.export = &apisv1alpha2.APIExport{}
		w.export.Name = w.definition.Annotations[publish.AnnotationKey]
	}
	w.export.Spec.Resources = []apisv1alpha2.ResourceSchema{{Schema: s.Name}}
}

func TestPublish(t *testing.T) {
	w := &workspace{}
	p := &Publisher{Reader: w, Writer: w, Agent: "a", Export: "widgets", Claims: Claims([]config.Resource{{Related: []config.Related{{Resource: "secrets", Origin: config.FromWorkspace}}}})}
	step := func(description string, wantDone bool, want ...string) {
		t.Helper()
		w.writes = nil
		done, err := p.Publish(t.Context(), newDefinition(description))
		if err != nil || done != wantDone {
			t.Errorf("%v, %v", done, err)
		}
		if diff := cmp.Diff(want, w.writes); diff != "" {
			t.Error(diff)
		}
	}
	step("one", false, "create *v1.CustomResourceDefinition")
	step("one", false)
	w.offer(t)
	step("one", true, "update *v1alpha2.APIExport")
	step("one", true)
	step("two", false, "update *v1.CustomResourceDefinition")
	w.offer(t)
	step("two", true)
	w.export.Spec.PermissionClaims = append(w.export.Spec.PermissionClaims, apisv1alpha2.PermissionClaim{GroupResource: apisv1alpha2.GroupResource{Resource: "configmaps"}, Verbs: []string{"get"}})
	step("two", true)
}

// What others have made in the provider's workspace stays as it is.
func TestPublish_ChangesNothingForeign(t *testing.T) {
	foreign := newDefinition("others")
	w := &workspace{definition: foreign}
	p := &Publisher{Reader: w, Writer: w, Agent: "a", Export: "widgets", Claims: Claims(nil)}
	for _, labels := range []map[string]string{nil, {names.AgentLabel: "b"}} {
		foreign.Labels = labels
		if _, err := p.Publish(t.Context(), newDefinition("one")); !errors.Is(err, ErrRefused) || len(w.writes) > 0 {
			t.Errorf("%v, %v", err, w.writes)
		}
	}
	w = &workspace{export: &apisv1alpha2.APIExport{}}
	w.export.Name = "widgets"
	w.export.Spec.PermissionClaims = []apisv1alpha2.PermissionClaim{{GroupResource: apisv1alpha2.GroupResource{Resource: "events"}, Verbs: []string{"get"}}}
	p.Reader, p.Writer = w, w
	if _, err := p.Publish(t.Context(), newDefinition("one")); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "without the verb create") || len(w.export.Spec.PermissionClaims[0].Verbs) != 1 {
		t.Errorf("%v, %v", err, w.export.Spec.PermissionClaims)
	}
}

func TestClaims_NothingMore(t *testing.T) {
	got := map[string]string{}
	for _, claim := range Claims([]config.Resource{
		{Related: []config.Related{{Resource: "secrets", Origin: config.FromWorkspace}, {Resource: "secrets", Origin: config.FromService}, {Resource: "configmaps", Origin: config.FromWorkspace}}},
	}) {
		got[claim.Resource] = strings.Join(claim.Verbs, " ")
	}
	want := map[string]string{"events": "create get update", "secrets": "get list watch create update delete", "configmaps": "get list watch"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
