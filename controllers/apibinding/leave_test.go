package apibinding

import (
	"slices"
	"testing"

	"github.com/annex-dev/annex/apis/apis/lifecycle"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/client"
)

// offer changes what the export things offers.
func (f *fixture) offer(export *apisv1alpha2.APIExport) {
	f.t.Helper()
	stored, err := client.Find[apisv1alpha2.APIExport](f.t.Context(), f.fake, exports, client.KeyOf(export))
	if err != nil {
		f.t.Fatal(err)
	}
	stored = stored.DeepCopy()
	stored.Spec.Resources = export.Spec.Resources
	f.update(exports, provider, stored)
}

// step reconciles the binding b once.
func (f *fixture) step() *apisv1alpha2.APIBinding {
	f.t.Helper()
	if _, err := f.reconcile(f.t.Context(), client.Key{Cluster: consumer, Name: "b"}); err != nil {
		f.t.Fatal(err)
	}
	return f.binding("b")
}

func TestLeave(t *testing.T) {
	widgets, gadgets := schemaOf("v1", "widgets", "Widget"), schemaOf("v1", "gadgets", "Gadget")
	gr := groupResource("example.com", "widgets")
	f := newFixture(t, widgets, gadgets, exportOf("things", widgets, gadgets), bindingTo("b", "provider", "things"))
	f.run("b")
	f.instances.left[gr] = 2
	f.offer(exportOf("things", gadgets))

	f.names.Restart()
	b := f.step()
	if len(boundTo(b)) != 2 || !lifecycle.IsLeaving(b.Annotations, gr) {
		t.Fatalf("after the change, %v are bound, with annotations %v", boundTo(b), b.Annotations)
	}
	if f.instances.listed != 0 {
		t.Error("objects are looked for before the mark is stored")
	}
	result, err := f.reconcile(t.Context(), client.KeyOf(b))
	if err != nil || result.RequeueAfter != leavingCheck {
		t.Errorf("it looks again after %v: %v", result.RequeueAfter, err)
	}
	if b = f.binding("b"); len(boundTo(b)) != 2 || f.instances.listed == 0 {
		t.Fatalf("with objects left, %v are bound; looked %d times", boundTo(b), f.instances.listed)
	}

	f.offer(exportOf("things", widgets, gadgets))
	if b = f.step(); len(boundTo(b)) != 2 || lifecycle.AnyLeaving(b) {
		t.Errorf("offered again, %v are bound, with annotations %v", boundTo(b), b.Annotations)
	}

	f.offer(exportOf("things", gadgets))
	f.step()
	f.instances.left[gr] = 0
	if b = f.step(); !slices.Equal(boundTo(b), []string{"gadgets=v1.gadgets.example.com"}) || lifecycle.AnyLeaving(b) {
		t.Errorf("without objects, %v are bound, with annotations %v", boundTo(b), b.Annotations)
	}
	if condition(b, apisv1alpha2.BindingUpToDate) != "True" || lifecycle.Of(b) != lifecycle.Bound {
		t.Errorf("the binding is %s: %+v", lifecycle.Of(b), b.Status.Conditions)
	}
	if f.clean(string(widgets.UID)); f.hasDefinition(string(widgets.UID)) {
		t.Error("the definition of the resource that is gone stays")
	}
}

// An export that is deleted offers nothing, and takes nothing away: its objects stay in use.
func TestLeave_NotWithTheExport(t *testing.T) {
	widgets := schemaOf("v1", "widgets", "Widget")
	f := newFixture(t, widgets, exportOf("things", widgets), bindingTo("b", "provider", "things"))
	f.run("b")
	f.delete(exports, client.Key{Cluster: provider, Name: "things"})
	if b := f.run("b"); len(boundTo(b)) != 1 || lifecycle.AnyLeaving(b) || lifecycle.Of(b) != lifecycle.Behind {
		t.Errorf("%v are bound, with annotations %v; the binding is %s", boundTo(b), b.Annotations, lifecycle.Of(b))
	}
}

func TestLeave_CannotLook(t *testing.T) {
	widgets := schemaOf("v1", "widgets", "Widget")
	f := newFixture(t, widgets, exportOf("things", widgets), bindingTo("b", "provider", "things"))
	f.run("b")
	f.offer(exportOf("things"))
	f.names.Restart()
	f.step()
	f.instances.listErr = errLost
	if _, err := f.reconcile(t.Context(), client.Key{Cluster: consumer, Name: "b"}); err == nil {
		t.Error("a look that fails is not tried again")
	}
	if b := f.binding("b"); len(boundTo(b)) != 1 {
		t.Errorf("%v are bound", boundTo(b))
	}
}
