package apibinding

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/tenancy/typeresolution"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

func TestReconcile_Binds(t *testing.T) {
	widgets, gadgets := schemaOf("v1", "widgets", "Widget", "wd"), schemaOf("v1", "gadgets", "Gadget")
	export := exportOf("things", widgets, gadgets)
	export.Annotations["extra.apis.kcp.io/team"] = "blue"
	f := newFixture(t, widgets, gadgets, export, bindingTo("b", "root:org:provider", "things"))
	binding := f.run("b")

	want := []apisv1alpha2.BoundAPIResource{
		{Group: "example.com", Resource: "widgets", StorageVersions: []string{"v1"},
			Schema: apisv1alpha2.BoundAPIResourceSchema{Name: widgets.Name, UID: string(widgets.UID), IdentityHash: "hash-things"}},
		{Group: "example.com", Resource: "gadgets", StorageVersions: []string{"v1"},
			Schema: apisv1alpha2.BoundAPIResourceSchema{Name: gadgets.Name, UID: string(gadgets.UID), IdentityHash: "hash-things"}},
	}
	if diff := cmp.Diff(want, binding.Status.BoundResources); diff != "" {
		t.Error(diff)
	}
	if binding.Status.Phase != apisv1alpha2.APIBindingPhaseBound || binding.Status.APIExportClusterName != string(provider) {
		t.Errorf("phase %q, cluster of the export %q", binding.Status.Phase, binding.Status.APIExportClusterName)
	}
	for _, c := range []conditionsv1alpha1.ConditionType{
		conditionsv1alpha1.ReadyCondition, apisv1alpha2.APIExportValid, apisv1alpha2.InitialBindingCompleted, apisv1alpha2.BindingUpToDate,
		apisv1alpha2.PermissionClaimsValid, apisv1alpha2.PermissionClaimsApplied,
	} {
		if got := condition(binding, c); got != "True" {
			t.Errorf("%s = %s", c, got)
		}
	}
	if got := binding.Annotations["extra.apis.kcp.io/team"]; got != "blue" {
		t.Errorf("extra annotation = %q", got)
	}
	definition, err := f.definition(t.Context(), string(widgets.UID))
	if err != nil || definition == nil {
		t.Fatalf("definition: %v, %v", definition, err)
	}
	if definition.Annotations[apisv1alpha2.AnnotationSchemaClusterKey] != string(provider) ||
		definition.Annotations[apisv1alpha2.AnnotationSchemaNameKey] != widgets.Name || definition.Status.AcceptedNames.ShortNames[0] != "wd" {
		t.Errorf("definition: %+v", definition)
	}
	// Two definitions and the status, nothing else.
	if writes := f.fake.Writes(); len(writes) != 3 {
		t.Errorf("writes: %v", writes)
	}
}

func TestReconcile_SharesDefinitions(t *testing.T) {
	widgets := schemaOf("v1", "widgets", "Widget")
	f := newFixture(t, widgets, exportOf("things", widgets), bindingTo("a", "provider", "things"))
	f.run("a")
	f.create(bindings, "other", bindingTo("a", "provider", "things"))
	if _, err := f.reconcile(t.Context(), client.Key{Cluster: "other", Name: "a"}); err != nil {
		t.Fatal(err)
	}
	all, err := f.fake.List(t.Context(), definitions, client.Scope{})
	if err != nil || len(all) != 1 {
		t.Errorf("definitions: %v, %v", all, err)
	}
}

func TestReconcile_Faults(t *testing.T) {
	widgets := schemaOf("v1", "widgets", "Widget")
	noIdentity := exportOf("things", widgets)
	noIdentity.Status.IdentityHash = ""
	broken := schemaOf("v1", "widgets", "Widget")
	broken.Spec.Versions[0].Schema.Raw = []byte(`"no schema"`)
	misnamed := exportOf("things", widgets)
	misnamed.Spec.Resources[0].Name = "gizmos"
	noReference := bindingTo("b", "", "")
	noReference.Spec.Reference.Export = nil
	for name, tc := range map[string]struct {
		binding           *apisv1alpha2.APIBinding
		objects           []client.Object
		export            string
		initial, upToDate string
	}{
		"no reference":           {noReference, nil, "False APIExportInvalidReference", "False APIExportInvalidReference", ""},
		"no such workspace":      {bindingTo("b", "root:nowhere", "things"), nil, "False APIExportNotFound", "False APIExportNotFound", ""},
		"no such export":         {bindingTo("b", "provider", "things"), nil, "False APIExportNotFound", "False APIExportNotFound", ""},
		"export without a hash":  {bindingTo("b", "provider", "things"), []client.Object{noIdentity, widgets}, "False MissingIdentityHash", "False MissingIdentityHash", ""},
		"no such schema":         {bindingTo("b", "provider", "things"), []client.Object{exportOf("things", widgets)}, "True", "False APIResourceSchemaInvalid", "False APIResourceSchemaInvalid"},
		"no schema at all":       {bindingTo("b", "provider", "things"), []client.Object{exportOf("things", broken), broken}, "True", "False APIResourceSchemaInvalid", "False APIResourceSchemaInvalid"},
		"schema of another name": {bindingTo("b", "provider", "things"), []client.Object{misnamed, widgets}, "True", "False APIResourceSchemaInvalid", "False APIResourceSchemaInvalid"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, append(tc.objects, tc.binding)...)
			binding := f.run("b")
			if got := condition(binding, apisv1alpha2.APIExportValid); got != tc.export {
				t.Errorf("APIExportValid = %s", got)
			}
			if got := condition(binding, apisv1alpha2.InitialBindingCompleted); got != tc.initial {
				t.Errorf("InitialBindingCompleted = %s", got)
			}
			if got := condition(binding, apisv1alpha2.BindingUpToDate); got != tc.upToDate {
				t.Errorf("BindingUpToDate = %s", got)
			}
			if condition(binding, conditionsv1alpha1.ReadyCondition) == "True" || binding.Status.Phase != apisv1alpha2.APIBindingPhaseBinding || len(binding.Status.BoundResources) > 0 {
				t.Errorf("status: %+v", binding.Status)
			}
		})
	}
}

func TestReconcile_LookupThatFailsIsTriedAgain(t *testing.T) {
	f := newFixture(t, bindingTo("b", "broken", "things"))
	if _, err := f.reconcile(t.Context(), client.Key{Cluster: consumer, Name: "b"}); err == nil {
		t.Error("no error")
	}
	if writes := f.fake.Writes(); len(writes) > 0 {
		t.Errorf("writes: %v", writes)
	}
}

func TestReconcile_NamingConflicts(t *testing.T) {
	widgets, gadgets := schemaOf("v1", "widgets", "Widget", "wd"), schemaOf("v1", "gadgets", "Gadget")
	local := func(change func(*apiextensionsv1.CustomResourceDefinition)) *apiextensionsv1.CustomResourceDefinition {
		crd := clienttest.In(consumer, &apiextensionsv1.CustomResourceDefinition{
			ObjectMeta: metav1.ObjectMeta{Name: "locals.example.com"},
			Spec: apiextensionsv1.CustomResourceDefinitionSpec{
				Group: "example.com", Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "locals", Kind: "Local"},
			},
		})
		change(crd)
		return crd
	}
	refused := func(crd *apiextensionsv1.CustomResourceDefinition) {
		crd.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.NamesAccepted, Status: apiextensionsv1.ConditionFalse}}
	}
	for name, tc := range map[string]struct {
		other    []client.Object
		conflict string // what the message names; empty for none
	}{
		"nothing else": {},
		"same resource in another group": {other: []client.Object{local(func(crd *apiextensionsv1.CustomResourceDefinition) {
			crd.Spec.Group, crd.Spec.Names.Plural = "other.example.com", "widgets"
		})}},
		"same definition elsewhere": {other: []client.Object{clienttest.In("elsewhere", local(func(crd *apiextensionsv1.CustomResourceDefinition) { crd.Spec.Names.Plural = "widgets" }))}},
		"a local definition, not looked at yet": {conflict: `CustomResourceDefinition "locals.example.com"`,
			other: []client.Object{local(func(crd *apiextensionsv1.CustomResourceDefinition) { crd.Spec.Names.Plural = "widgets" })}},
		"a local definition of the same kind": {conflict: `CustomResourceDefinition "locals.example.com"`,
			other: []client.Object{local(func(crd *apiextensionsv1.CustomResourceDefinition) { crd.Spec.Names.Kind = "Widget" })}},
		"a local definition with the short name": {conflict: `CustomResourceDefinition "locals.example.com"`,
			other: []client.Object{local(func(crd *apiextensionsv1.CustomResourceDefinition) { crd.Spec.Names.ShortNames = []string{"wd"} })}},
		"a local definition that was refused the name": {other: []client.Object{local(func(crd *apiextensionsv1.CustomResourceDefinition) {
			crd.Spec.Names.Plural = "widgets"
			refused(crd)
		})}},
		"a local definition that was refused another name": {conflict: `CustomResourceDefinition "locals.example.com"`,
			other: []client.Object{local(func(crd *apiextensionsv1.CustomResourceDefinition) {
				crd.Status.AcceptedNames = apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets"}
				refused(crd)
			})}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, append(tc.other, widgets, gadgets, exportOf("things", widgets, gadgets), bindingTo("b", "provider", "things"))...)
			binding := f.run("b")
			if tc.conflict == "" {
				if got := condition(binding, apisv1alpha2.BindingUpToDate); got != "True" || len(binding.Status.BoundResources) != 2 {
					t.Errorf("BindingUpToDate = %s, bound %v", got, boundTo(binding))
				}
				return
			}
			for _, c := range []conditionsv1alpha1.ConditionType{apisv1alpha2.BindingUpToDate, apisv1alpha2.InitialBindingCompleted, conditionsv1alpha1.ReadyCondition} {
				if got := condition(binding, c); got != "False NamingConflicts" {
					t.Errorf("%s = %s", c, got)
				}
			}
			if message := conditionsv1alpha1.GetMessage(binding, apisv1alpha2.BindingUpToDate); !strings.Contains(message, tc.conflict) {
				t.Errorf("message = %q", message)
			}
			// The other resource of the export is bound all the same.
			if diff := cmp.Diff([]string{"gadgets=v1.gadgets.example.com"}, boundTo(binding)); diff != "" {
				t.Error(diff)
			}
			if binding.Status.Phase != apisv1alpha2.APIBindingPhaseBinding {
				t.Errorf("phase = %s", binding.Status.Phase)
			}
		})
	}
}

func TestReconcile_TakesOverFromADefinitionOfTheSameName(t *testing.T) {
	widgets := schemaOf("v1", "widgets", "Widget")
	const name = "widgets.example.com"
	local := clienttest.In(consumer, &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.com", Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Kind: "Widget"},
		},
	})
	f := newFixture(t, widgets, local, exportOf("things", widgets), bindingTo(name, "provider", "things"))
	f.start()
	f.await(name, apisv1alpha2.BindingUpToDate, "False NamingConflicts")
	f.delete(definitions, client.Key{Cluster: consumer, Name: name})
	f.await(name, conditionsv1alpha1.ReadyCondition, "True")
}

func TestReconcile_FirstBindingWins(t *testing.T) {
	widgets, others := schemaOf("v1", "widgets", "Widget"), schemaOf("v2", "widgets", "Widget")
	f := newFixture(t, widgets, others, exportOf("things", widgets), exportOf("others", others),
		bindingTo("z-first", "provider", "things"), bindingTo("a-second", "provider", "others"))
	first := f.run("z-first")
	second := f.run("a-second")
	if got := condition(second, apisv1alpha2.BindingUpToDate); got != "False NamingConflicts" {
		t.Errorf("second: %s", got)
	}
	if message := conditionsv1alpha1.GetMessage(second, apisv1alpha2.BindingUpToDate); !strings.Contains(message, `APIBinding "z-first"`) {
		t.Errorf("message = %q", message)
	}
	if again := f.run("z-first"); condition(again, apisv1alpha2.BindingUpToDate) != "True" || again.ResourceVersion != first.ResourceVersion {
		t.Error("the first binding was touched")
	}

	// When the first goes, the second is told and takes over.
	f.start()
	f.delete(bindings, client.Key{Cluster: consumer, Name: "z-first"})
	f.await("a-second", conditionsv1alpha1.ReadyCondition, "True")
	if f.binding("z-first") != nil {
		t.Error("the first binding is still there")
	}
}

func TestReconcile_ConflictInsideOneExport(t *testing.T) {
	widgets, gadgets := schemaOf("v1", "widgets", "Widget", "x"), schemaOf("v1", "gadgets", "Gadget", "x")
	f := newFixture(t, widgets, gadgets, exportOf("things", widgets, gadgets), bindingTo("b", "provider", "things"))
	binding := f.run("b")
	if diff := cmp.Diff([]string{"widgets=v1.widgets.example.com"}, boundTo(binding)); diff != "" {
		t.Error(diff)
	}
	if got := condition(binding, apisv1alpha2.BindingUpToDate); got != "False NamingConflicts" {
		t.Errorf("BindingUpToDate = %s", got)
	}
}

func TestReconcile_ExportChanges(t *testing.T) {
	widgets, newer, gadgets := schemaOf("v1", "widgets", "Widget"), schemaOf("v2", "widgets", "Widget"), schemaOf("v1", "gadgets", "Gadget")
	newer.Spec.Versions[0].Storage = false
	newer.Spec.Versions = append(newer.Spec.Versions, apisv1alpha1.APIResourceVersion{Name: "v2", Storage: true, Schema: newer.Spec.Versions[0].Schema})
	newer.Spec.Conversion = &apisv1alpha1.CustomResourceConversion{Strategy: apisv1alpha1.NoneConverter}
	unreadable, elsewhere, renamed := schemaOf("v4", "widgets", "Widget"), schemaOf("v5", "widgets", "Widget"), schemaOf("v6", "widgets", "Gizmo")
	unreadable.Spec.Versions[0].Name = "v2"
	elsewhere.Spec.Scope = apiextensionsv1.ClusterScoped
	for name, tc := range map[string]struct {
		change   func(*apisv1alpha2.APIExport)
		bound    []string
		versions []string // of widgets
		upToDate string
		export   string
	}{
		"a resource more": {
			change: func(e *apisv1alpha2.APIExport) {
				e.Spec.Resources = exportOf("things", widgets, gadgets).Spec.Resources
			},
			bound: []string{"widgets=v1.widgets.example.com", "gadgets=v1.gadgets.example.com"}, versions: []string{"v1"}, upToDate: "True", export: "True",
		},
		"a newer schema": {
			change: func(e *apisv1alpha2.APIExport) {
				e.Spec.Resources = exportOf("things", newer).Spec.Resources
			},
			bound: []string{"widgets=v2.widgets.example.com"}, versions: []string{"v1", "v2"}, upToDate: "True", export: "True",
		},
		"a resource less": {
			change:   func(e *apisv1alpha2.APIExport) { e.Spec.Resources = nil },
			upToDate: "True", export: "True",
		},
		"a schema that is not there": {
			change: func(e *apisv1alpha2.APIExport) {
				e.Spec.Resources[0].Schema = "v3.widgets.example.com"
			},
			bound: []string{"widgets=v1.widgets.example.com"}, versions: []string{"v1"}, upToDate: "False APIResourceSchemaInvalid", export: "True",
		},
		"a schema without the version of the objects": {
			change: func(e *apisv1alpha2.APIExport) { e.Spec.Resources = exportOf("things", unreadable).Spec.Resources },
			bound:  []string{"widgets=v1.widgets.example.com"}, versions: []string{"v1"}, upToDate: "False APIResourceSchemaInvalid", export: "True",
		},
		"a schema of another scope": {
			change: func(e *apisv1alpha2.APIExport) { e.Spec.Resources = exportOf("things", elsewhere).Spec.Resources },
			bound:  []string{"widgets=v1.widgets.example.com"}, versions: []string{"v1"}, upToDate: "False APIResourceSchemaInvalid", export: "True",
		},
		"a schema of another kind": {
			change: func(e *apisv1alpha2.APIExport) { e.Spec.Resources = exportOf("things", renamed).Spec.Resources },
			bound:  []string{"widgets=v1.widgets.example.com"}, versions: []string{"v1"}, upToDate: "False APIResourceSchemaInvalid", export: "True",
		},
		"another identity": {
			change: func(e *apisv1alpha2.APIExport) { e.Status.IdentityHash = "other" },
			bound:  []string{"widgets=v1.widgets.example.com"}, versions: []string{"v1"}, upToDate: "False APIExportInvalidReference", export: "True",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, widgets, newer, unreadable, elsewhere, renamed, gadgets, exportOf("things", widgets), bindingTo("b", "provider", "things"))
			f.run("b")
			key := client.Key{Cluster: provider, Name: "things"}
			export, err := client.Find[apisv1alpha2.APIExport](t.Context(), f.fake, exports, key)
			if err != nil {
				t.Fatal(err)
			}
			export = export.DeepCopy()
			tc.change(export)
			f.update(exports, provider, export)
			if diff := cmp.Diff([]client.Key{{Cluster: consumer, Name: "b"}}, clienttest.Keys(t)(f.forExport(t.Context(), client.Event{Type: client.Modified, Object: export}))); diff != "" {
				t.Error("the binding is not told:", diff)
			}
			binding := f.run("b")
			if diff := cmp.Diff(tc.bound, boundTo(binding)); diff != "" {
				t.Error(diff)
			}
			var versions []string
			if len(binding.Status.BoundResources) > 0 {
				versions = binding.Status.BoundResources[0].StorageVersions
			}
			if diff := cmp.Diff(tc.versions, versions); diff != "" {
				t.Error(diff)
			}
			if got := condition(binding, apisv1alpha2.BindingUpToDate); got != tc.upToDate {
				t.Errorf("BindingUpToDate = %s", got)
			}
			if got := condition(binding, apisv1alpha2.APIExportValid); got != tc.export {
				t.Errorf("APIExportValid = %s", got)
			}
			// What was complete once stays so.
			if condition(binding, apisv1alpha2.InitialBindingCompleted) != "True" || condition(binding, conditionsv1alpha1.ReadyCondition) != "True" ||
				binding.Status.Phase != apisv1alpha2.APIBindingPhaseBound {
				t.Errorf("status: %+v", binding.Status)
			}
		})
	}
}

func TestReconcile_ExportIsDeleted(t *testing.T) {
	widgets := schemaOf("v1", "widgets", "Widget")
	f := newFixture(t, widgets, exportOf("things", widgets), bindingTo("b", "provider", "things"))
	f.run("b")
	f.delete(exports, client.Key{Cluster: provider, Name: "things"})
	f.delete(schemas, client.Key{Cluster: provider, Name: widgets.Name})
	binding := f.run("b")
	if got := condition(binding, apisv1alpha2.APIExportValid); got != "False APIExportNotFound" {
		t.Errorf("APIExportValid = %s", got)
	}
	if condition(binding, conditionsv1alpha1.ReadyCondition) != "True" || len(binding.Status.BoundResources) != 1 || !f.hasDefinition(string(widgets.UID)) {
		t.Errorf("status: %+v", binding.Status)
	}
	// A copy that got lost cannot be made anew, but nothing else breaks; one whose schema exists is.
	f.delete(bindings, client.Key{Cluster: consumer, Name: "b"})
	f.run("b")
	if f.binding("b") != nil {
		t.Error("the binding cannot be deleted")
	}
}

func TestReconcile_LostDefinitionIsMadeAnew(t *testing.T) {
	widgets := schemaOf("v1", "widgets", "Widget")
	f := newFixture(t, widgets, exportOf("things", widgets), bindingTo("b", "provider", "things"))
	binding := f.run("b")
	clienttest.Keys(t)(f.released(t.Context(), client.Event{Type: client.Added, Object: binding}))
	definition, err := f.definition(t.Context(), string(widgets.UID))
	if err != nil {
		t.Fatal(err)
	}
	f.delete(definitions, definitionKey(string(widgets.UID)))
	gone := clienttest.In(logicalcluster.SystemBoundCRDs, definition.DeepCopy())
	if diff := cmp.Diff([]client.Key{{Cluster: consumer, Name: "b"}}, clienttest.Keys(t)(f.forDefinition(t.Context(), client.Event{Type: client.Deleted, Object: gone}))); diff != "" {
		t.Error(diff)
	}
	f.run("b")
	if !f.hasDefinition(string(widgets.UID)) {
		t.Error("the definition is not there again")
	}
}

func TestReconcile_TypedResourcesNeedNoDefinition(t *testing.T) {
	source := schemaIn(logicalcluster.Root, "tenancy.kcp.io", "v1", "workspaces", "Workspace")
	export := clienttest.In(logicalcluster.Root, exportOf("tenancy.kcp.io", source))
	// The same group from elsewhere is a custom resource.
	imitation := schemaIn(provider, "tenancy.kcp.io", "v1", "workspaces", "Workspace")
	imitation.UID = "imitation"
	f := newFixture(t, source, export, imitation, exportOf("imitation", imitation), bindingTo("b", "root", "tenancy.kcp.io"))
	binding := f.run("b")
	if condition(binding, conditionsv1alpha1.ReadyCondition) != "True" || f.hasDefinition(string(source.UID)) {
		t.Errorf("status: %+v", binding.Status)
	}
	f.create(bindings, consumer, bindingTo("imitation", "provider", "imitation"))
	if got := condition(f.run("imitation"), apisv1alpha2.BindingUpToDate); got != "False NamingConflicts" {
		t.Errorf("BindingUpToDate of the imitation = %s", got)
	}
}

// A binding that a workspace has from the beginning is not reconciled while it is as its export wants it, and is when the export changes.
func TestKeys_BindingsThatAreSettled(t *testing.T) {
	source := schemaIn(logicalcluster.Root, "tenancy.kcp.io", "v1", "workspaces", "Workspace")
	export := clienttest.In(logicalcluster.Root, exportOf("tenancy.kcp.io", source))
	f := newFixture(t, source, export, bindingTo("b", "root", "tenancy.kcp.io"))
	key := client.Key{Cluster: consumer, Name: "b"}
	keys := func(typ client.EventType) []client.Key {
		t.Helper()
		return clienttest.Keys(t)(f.unsettled(t.Context(), client.Event{Type: typ, Object: f.binding("b")}))
	}
	if diff := cmp.Diff([]client.Key{key}, keys(client.Added)); diff != "" {
		t.Errorf("one that is not bound yet: %s", diff)
	}
	f.run("b")
	f.users.Drop(key) // as after a restart
	if got := keys(client.Added); len(got) > 0 {
		t.Errorf("one that is bound leads to %v", got)
	}
	if diff := cmp.Diff([]client.Key{key}, keys(client.Modified)); diff != "" {
		t.Errorf("one that has changed: %s", diff)
	}
	changed := export.DeepCopy()
	changed.Annotations["extra.apis.kcp.io/a"] = "1"
	f.update(exports, logicalcluster.Root, changed)
	if diff := cmp.Diff([]client.Key{key}, clienttest.Keys(t)(f.forExport(t.Context(), client.Event{Type: client.Modified, Object: changed}))); diff != "" {
		t.Errorf("the export that has changed: %s", diff)
	}
	if diff := cmp.Diff([]client.Key{key}, keys(client.Added)); diff != "" {
		t.Errorf("one whose export has changed: %s", diff)
	}
}

func TestReconcile_AnnotationsFollowTheExport(t *testing.T) {
	export := exportOf("things")
	export.Annotations["extra.apis.kcp.io/a"] = "1"
	export.Annotations["other.example.com/b"] = "1"
	binding := bindingTo("b", "provider", "things")
	binding.Annotations["extra.apis.kcp.io/gone"] = "1"
	binding.Annotations["mine"] = "1"
	got := newFixture(t, export, binding).run("b").Annotations
	want := map[string]string{"extra.apis.kcp.io/a": "1", "mine": "1", "kcp.io/cluster": "consumer"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A binding remembers that its export is limited, also when the workspace of the export is gone.
func TestReconcile_RemembersMaximalPermissionPolicies(t *testing.T) {
	const key = apisv1alpha2.LimitedBindingAnnotationKey
	f := newFixture(t, exportOf("things"), bindingTo("b", "provider", "things"))
	if got, ok := f.run("b").Annotations[key]; ok {
		t.Errorf("without a policy: %q", got)
	}
	export := exportOf("things")
	export.Spec.MaximalPermissionPolicy = &apisv1alpha2.MaximalPermissionPolicy{Local: &apisv1alpha2.LocalAPIExportPolicy{}}
	f.update(exports, provider, export)
	if got := f.run("b").Annotations[key]; got != "local" {
		t.Errorf("with a policy: %q", got)
	}
	f.update(exports, provider, exportOf("things"))
	if got, ok := f.run("b").Annotations[key]; ok {
		t.Errorf("once the policy is gone: %q", got)
	}
	f.update(exports, provider, export)
	f.run("b")
	f.delete(exports, client.Key{Cluster: provider, Name: "things"})
	if got := f.run("b").Annotations[key]; got != "local" {
		t.Errorf("once the export is gone: %q", got)
	}
	// Most bindings to exports of root are not stored, and root is never gone.
	ofRoot := clienttest.In(logicalcluster.Root, export.DeepCopy())
	g := newFixture(t, ofRoot, bindingTo("b", "root", "things"))
	if got, ok := g.run("b").Annotations[key]; ok {
		t.Errorf("of root: %q", got)
	}
}

func TestKeys_SchemaThatComesUp(t *testing.T) {
	widgets := schemaOf("v1", "widgets", "Widget")
	f := newFixture(t, exportOf("things", widgets), exportOf("unrelated"), bindingTo("b", "provider", "things"), bindingTo("u", "provider", "unrelated"))
	f.run("b")
	f.run("u")
	f.create(schemas, provider, widgets)
	got := clienttest.Keys(t)(f.forSchema(t.Context(), client.Event{Type: client.Added, Object: widgets}))
	if diff := cmp.Diff([]client.Key{{Cluster: consumer, Name: "b"}}, got); diff != "" {
		t.Error(diff)
	}
	// The fake gives the schema a UID of its own.
	if got := condition(f.run("b"), conditionsv1alpha1.ReadyCondition); got != "True" {
		t.Errorf("Ready = %s", got)
	}
}

func TestKeys_ExportThatComesUpInANewWorkspace(t *testing.T) {
	f := newFixture(t, bindingTo("b", "root:later", "things"))
	f.run("b")
	f.Resolver.(resolver)["root:later"] = "later"
	export := clienttest.In("later", exportOf("things"))
	f.create(exports, "later", export)
	if diff := cmp.Diff([]client.Key{{Cluster: consumer, Name: "b"}}, clienttest.Keys(t)(f.forExport(t.Context(), client.Event{Type: client.Added, Object: export}))); diff != "" {
		t.Error(diff)
	}
	if got := condition(f.run("b"), conditionsv1alpha1.ReadyCondition); got != "True" {
		t.Errorf("Ready = %s", got)
	}
}

// TestKeys_ExportThatComesUpInTheNextWorkspace has a workspace deleted and made anew at the same path.
func TestKeys_ExportThatComesUpInTheNextWorkspace(t *testing.T) {
	widgets := schemaOf("v1", "widgets", "Widget")
	f := newFixture(t, widgets, exportOf("things", widgets), bindingTo("b", "root:org:provider", "things"))
	f.run("b")
	f.delete(exports, client.Key{Cluster: provider, Name: "things"})
	if got := condition(f.run("b"), apisv1alpha2.APIExportValid); got != "False APIExportNotFound" {
		t.Errorf("APIExportValid = %s", got)
	}
	f.Resolver.(resolver)["root:org:provider"] = "next"
	export := clienttest.In("next", exportOf("things"))
	f.create(exports, "next", export)
	added := client.Event{Type: client.Added, Object: export}
	if diff := cmp.Diff([]client.Key{{Cluster: consumer, Name: "b"}}, clienttest.Keys(t)(f.forExport(t.Context(), added))); diff != "" {
		t.Error(diff)
	}
	if got := condition(f.run("b"), apisv1alpha2.APIExportValid); got != "False ProviderChanged" {
		t.Errorf("APIExportValid = %s", got)
	}
}

// A binding stays with the provider that it was accepted for when somebody else gets its path, until a user accepts the new one.
func TestReconcile_HoldsToItsProvider(t *testing.T) {
	widgets, gadgets := schemaOf("v1", "widgets", "Widget"), clienttest.In("next", schemaOf("v1", "gadgets", "Gadget"))
	next := clienttest.In("next", exportOf("things", gadgets))
	next.Status.IdentityHash = "hash-stranger"
	for name, label := range map[string]string{"with its label": identity.ExportLabelValue(provider, "things"), "of an earlier version": ""} {
		t.Run(name, func(t *testing.T) {
			labeled := bindingTo("b", "root:org:provider", "things")
			if label != "" {
				labeled.Labels = map[string]string{apisv1alpha2.InternalAPIBindingExportLabelKey: label}
			}
			f := newFixture(t, widgets, gadgets, exportOf("things", widgets), next, labeled)
			before := f.run("b")
			if got := before.Labels[apisv1alpha2.InternalAPIBindingExportLabelKey]; got != identity.ExportLabelValue(provider, "things") {
				t.Errorf("label = %q", got)
			}
			f.instances.left[groupResource("example.com", "widgets")] = 1 // so it does not leave
			f.Resolver.(resolver)["root:org:provider"] = "next"
			after := f.run("b")
			if got := condition(after, apisv1alpha2.APIExportValid); got != "False ProviderChanged" {
				t.Errorf("APIExportValid = %s", got)
			}
			message := conditionsv1alpha1.GetMessage(after, apisv1alpha2.APIExportValid)
			if !strings.Contains(message, "root:org:provider now leads to another workspace (logical cluster next)") ||
				!strings.HasSuffix(message, "kubectl annotate --overwrite apibinding b annex.dev/accept-provider=next") {
				t.Errorf("message: %s", message)
			}
			if condition(after, conditionsv1alpha1.ReadyCondition) != "True" || after.Status.APIExportClusterName != string(provider) {
				t.Errorf("status: %+v", after.Status)
			}
			if diff := cmp.Diff([]string{"widgets=v1.widgets.example.com"}, boundTo(after)); diff != "" {
				t.Error(diff)
			}
			// As admission does when a user accepts it.
			accepted := after.DeepCopy()
			accepted.Labels[apisv1alpha2.InternalAPIBindingExportLabelKey] = identity.ExportLabelValue("next", "things")
			f.update(bindings, consumer, accepted)
			after = f.run("b")
			if condition(after, apisv1alpha2.APIExportValid) != "True" || after.Status.APIExportClusterName != "next" {
				t.Errorf("accepted: %+v", after.Status)
			}
			if diff := cmp.Diff([]string{"widgets=v1.widgets.example.com", "gadgets=v1.gadgets.example.com"}, boundTo(after)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A binding that nobody has accepted for the export of the new provider does not follow it even if it never found its own.
func TestReconcile_HoldsToAProviderThatNeverCame(t *testing.T) {
	binding := bindingTo("b", "root:org:provider", "things")
	binding.Labels = map[string]string{apisv1alpha2.InternalAPIBindingExportLabelKey: identity.ExportLabelValue("earlier", "things")}
	widgets := schemaOf("v1", "widgets", "Widget")
	f := newFixture(t, widgets, exportOf("things", widgets), binding)
	after := f.run("b")
	if condition(after, apisv1alpha2.APIExportValid) != "False ProviderChanged" || condition(after, apisv1alpha2.InitialBindingCompleted) != "False ProviderChanged" ||
		len(after.Status.BoundResources) > 0 {
		t.Errorf("status: %+v", after.Status)
	}
}

func TestFinalBinding(t *testing.T) {
	widgets := schemaOf("v1", "widgets", "Widget")
	f := newFixture(t, widgets, exportOf("things", widgets))
	obj, err := f.FinalBinding(t.Context(), consumer, typeresolution.DefaultBinding{Path: "root:org:provider", Export: "things"})
	if err != nil {
		t.Fatal(err)
	}
	before := len(f.fake.Writes())
	f.create(bindings, consumer, obj)
	binding := f.run(obj.GetName())
	if writes := f.fake.Writes()[before:]; len(writes) != 1 {
		t.Errorf("a final binding costs more than its creation: %v", writes)
	}
	if condition(binding, conditionsv1alpha1.ReadyCondition) != "True" || binding.Labels[apisv1alpha2.InternalAPIBindingExportLabelKey] == "" ||
		binding.Finalizers[0] != apisv1alpha2.APIBindingFinalizer || !strings.HasPrefix(binding.Name, "things-") {
		t.Errorf("binding: %+v", binding)
	}
}

// The type was made for the export of a workspace that is gone. Its path is somebody else's now.
func TestFinalBinding_IsForTheProviderOfTheType(t *testing.T) {
	widgets := schemaOf("v1", "widgets", "Widget")
	f := newFixture(t, widgets, exportOf("things", widgets))
	for cluster, want := range map[logicalcluster.Name]string{provider: "True", "earlier": "False ProviderChanged"} {
		obj, err := f.FinalBinding(t.Context(), consumer, typeresolution.DefaultBinding{Path: "root:org:provider", Export: "things", Cluster: cluster})
		if err != nil {
			t.Fatal(err)
		}
		binding := obj.(*apisv1alpha2.APIBinding)
		if got := condition(binding, apisv1alpha2.APIExportValid); got != want || (want == "True") != (len(binding.Status.BoundResources) == 1) {
			t.Errorf("for %s: APIExportValid = %s, bound %v", cluster, got, boundTo(binding))
		}
	}
}

func TestFinalBinding_ReservesNamesUntilItArrives(t *testing.T) {
	widgets, others := schemaOf("v1", "widgets", "Widget"), schemaOf("v2", "widgets", "Widget")
	f := newFixture(t, widgets, others, exportOf("things", widgets), exportOf("others", others))
	if _, err := f.FinalBinding(t.Context(), consumer, typeresolution.DefaultBinding{Path: "provider", Export: "things"}); err != nil {
		t.Fatal(err)
	}
	second, err := f.FinalBinding(t.Context(), consumer, typeresolution.DefaultBinding{Path: "provider", Export: "others"})
	if err != nil {
		t.Fatal(err)
	}
	if got := condition(second.(*apisv1alpha2.APIBinding), apisv1alpha2.BindingUpToDate); got != "False NamingConflicts" {
		t.Errorf("BindingUpToDate = %s", got)
	}
}

// The cluster of a binding that nobody stored may never exist, and a binding that was stored before may get no event.
func TestFinalBinding_KeepsNothingOfWhatIsNotStored(t *testing.T) {
	f := newFixture(t, exportOf("things"))
	now := time.Now()
	f.now = func() time.Time { return now }
	for _, export := range []string{"things", "missing"} {
		wanted := typeresolution.DefaultBinding{Path: "provider", Export: export}
		obj, err := f.FinalBinding(t.Context(), consumer, wanted)
		if err != nil {
			t.Fatal(err)
		}
		f.create(bindings, consumer, obj)
		f.run(obj.GetName())
		for _, cluster := range []logicalcluster.Name{consumer, "refused"} {
			if _, err := f.FinalBinding(t.Context(), cluster, wanted); err != nil {
				t.Fatal(err)
			}
		}
	}
	now = now.Add(2 * patience)
	if _, err := f.FinalBinding(t.Context(), "later", typeresolution.DefaultBinding{Path: "provider", Export: "others"}); err != nil {
		t.Fatal(err)
	}
	for _, export := range []string{"things", "missing"} {
		users := f.users.From(client.Key{Cluster: provider, Name: export})
		users = append(users, f.users.From(client.Key{Name: export})...)
		if len(users) != 1 || users[0].Cluster != consumer {
			t.Errorf("users of %s: %v", export, users)
		}
	}
	if len(f.expected) != 1 {
		t.Errorf("expected: %v", f.expected)
	}
}
