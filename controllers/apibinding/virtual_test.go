package apibinding

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/client"
)

// sliceCalled is virtual storage that refers to a slice.
func sliceCalled(name string) apisv1alpha2.ResourceSchemaStorage {
	group := "cache.kcp.io"
	return apisv1alpha2.ResourceSchemaStorage{Virtual: &apisv1alpha2.ResourceSchemaStorageVirtual{
		Reference: corev1.TypedLocalObjectReference{APIGroup: &group, Kind: "ClusterCachedResourceEndpointSlice", Name: name},
	}}
}

func virtualExport(slice string, offered ...*apisv1alpha1.APIResourceSchema) *apisv1alpha2.APIExport {
	export := exportOf("things", offered...)
	for i := range export.Spec.Resources {
		export.Spec.Resources[i].Storage = sliceCalled(slice)
	}
	return export
}

// What the status says decides whether the server stores objects of the resource. It follows the reference, but never changes between
// storage in the workspace and elsewhere: objects would be hidden, or those of a resource that is served elsewhere be stored.
func TestReconcile_VirtualStorage(t *testing.T) {
	widgets := schemaOf("v1", "widgets", "Widget")
	stored, first, second := exportOf("things", widgets), virtualExport("first", widgets), virtualExport("second", widgets)
	for name, tc := range map[string]struct {
		before, after *apisv1alpha2.APIExport
		reference     string // empty for none
		upToDate      string
	}{
		"from the beginning": {first, first, "first", "True"},
		"another reference":  {first, second, "second", "True"},
		"stored before":      {stored, first, "", "False APIExportInvalidReference"},
		"virtual before":     {first, stored, "first", "False APIExportInvalidReference"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, widgets, tc.before.DeepCopy(), bindingTo("b", "provider", "things"))
			f.run("b")
			after := tc.after.DeepCopy()
			after.ResourceVersion = ""
			f.update(exports, provider, after)
			binding := f.run("b")
			reference := ""
			if virtual := binding.Status.BoundResources[0].Virtual; virtual != nil {
				reference = virtual.Name
			}
			if got := condition(binding, apisv1alpha2.BindingUpToDate); reference != tc.reference || got != tc.upToDate {
				t.Errorf("refers to %q, BindingUpToDate = %s; want %q, %s", reference, got, tc.reference, tc.upToDate)
			}
		})
	}
}

// Nothing of a resource with virtual storage is the binding's to delete, and its deletion waits for nothing there.
func TestFinalize_VirtualStorage(t *testing.T) {
	widgets, gadgets := schemaOf("v1", "widgets", "Widget"), schemaOf("v1", "gadgets", "Gadget")
	export := exportOf("things", widgets, gadgets)
	export.Spec.Resources[0].Storage = sliceCalled("s")
	f := newFixture(t, widgets, gadgets, export, bindingTo("b", "provider", "things"))
	f.run("b")
	f.instances.left[groupResource("example.com", "widgets")] = 2
	f.delete(bindings, client.Key{Cluster: consumer, Name: "b"})
	f.run("b")
	if f.binding("b") != nil {
		t.Error("the binding is still there")
	}
	if diff := cmp.Diff([]string{"consumer gadgets.example.com hash-things"}, f.instances.deleted); diff != "" {
		t.Error(diff)
	}
}

// A binding says of the endpoints of virtual storage what the export says.
func TestReconcile_EndpointsOfVirtualStorage(t *testing.T) {
	widgets := schemaOf("v1", "widgets", "Widget")
	export := exportOf("things", widgets)
	conditionsv1alpha1.MarkFalse(export, apisv1alpha2.VirtualStorageReady, apisv1alpha2.EndpointNotFoundReason, conditionsv1alpha1.ConditionSeverityError, "none")
	f := newFixture(t, widgets, export.DeepCopy(), bindingTo("b", "provider", "things"))
	if got := condition(f.run("b"), apisv1alpha2.VirtualStorageReady); got != "False EndpointNotFound" {
		t.Errorf("VirtualStorageReady = %s", got)
	}
	before, err := offerOf(export)
	if err != nil {
		t.Fatal(err)
	}
	conditionsv1alpha1.MarkTrue(export, apisv1alpha2.VirtualStorageReady)
	if after, err := offerOf(export); err != nil || after == before {
		t.Errorf("bindings do not see the change: %v", err)
	}
	export.ResourceVersion = ""
	f.update(exports, provider, export.DeepCopy())
	if got := condition(f.run("b"), apisv1alpha2.VirtualStorageReady); got != "True" {
		t.Errorf("VirtualStorageReady = %s", got)
	}
	conditionsv1alpha1.Delete(export, apisv1alpha2.VirtualStorageReady)
	export.ResourceVersion = ""
	f.update(exports, provider, export)
	if binding := f.run("b"); conditionsv1alpha1.Get(binding, apisv1alpha2.VirtualStorageReady) != nil {
		t.Error("the condition stays")
	}
}
