package apibinding

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/rollout"
)

func rolloutOf(from, to string) *annexv1alpha1.APIExportRollout {
	r := clienttest.In(provider, &annexv1alpha1.APIExportRollout{ObjectMeta: metav1.ObjectMeta{Name: "things"}})
	r.Spec.Waves = []annexv1alpha1.RolloutWave{{Clusters: []string{"somebody"}}}
	r.Status.Revision, r.Status.Wave, r.Status.Phase = 2, 1, annexv1alpha1.RolloutPhaseProgressing
	r.Status.Resources = []annexv1alpha1.RolloutResource{{Group: "example.com", Resource: "widgets", From: from + ".widgets.example.com", To: to + ".widgets.example.com"}}
	return r
}

// offering makes the export of the fixture name a schema.
func (f *fixture) offering(schema string) {
	f.t.Helper()
	export, err := client.Find[apisv1alpha2.APIExport](f.t.Context(), f.fake, exports, client.Key{Cluster: provider, Name: "things"})
	if err != nil {
		f.t.Fatal(err)
	}
	export = export.DeepCopy()
	export.Spec.Resources[0].Schema = schema + ".widgets.example.com"
	f.update(exports, provider, export)
}

// A rollout that was acknowledged before the export changed holds bindings back, even if the watch caches do not have it yet.
func TestRollout_IsNotMissed(t *testing.T) {
	for _, exists := range []bool{true, false} {
		v1, v2 := schemaOf("v1", "widgets", "Widget"), schemaOf("v2", "widgets", "Widget")
		f := newFixture(t, v1, v2, exportOf("things", v1), bindingTo("b", "root:org:provider", "things"))
		f.run("b")
		want := "widgets=v2.widgets.example.com"
		if exists {
			fresh := rolloutOf("v1", "v2")
			fresh.Status = annexv1alpha1.APIExportRolloutStatus{}
			f.Live, want = clienttest.NewFake(fresh), "widgets=v1.widgets.example.com"
		}
		f.offering("v2")
		if got := boundTo(f.run("b")); !slices.Equal(got, []string{want}) {
			t.Errorf("with a rollout %t: bound is %v", exists, got)
		}
		if c := condition(f.binding("b"), apisv1alpha2.BindingUpToDate); c != "True" {
			t.Errorf("with a rollout %t: %s", exists, c)
		}
	}
}

func TestRollout_SaysWhatABindingGets(t *testing.T) {
	v1, v2, v3 := schemaOf("v1", "widgets", "Widget"), schemaOf("v2", "widgets", "Widget"), schemaOf("v3", "widgets", "Widget")
	for name, tc := range map[string]struct {
		change func(*annexv1alpha1.APIExportRollout)
		// had is what the binding has before; empty for a new one.
		had, want string
	}{
		"its turn has not come":     {nil, "v1", "v1"},
		"it has the new one":        {nil, "v2", "v2"},
		"new, its turn not come":    {nil, "", "v1"},
		"new, its turn has come":    {func(r *annexv1alpha1.APIExportRollout) { r.Status.Wave = 2 }, "", "v2"},
		"undone":                    {func(r *annexv1alpha1.APIExportRollout) { r.Spec.Undo = 2 }, "v2", "v1"},
		"undone, from an older one": {func(r *annexv1alpha1.APIExportRollout) { r.Spec.Undo = 2 }, "v3", "v1"},
		"back in the export":        {func(r *annexv1alpha1.APIExportRollout) { r.Status.Resources[0].From = r.Status.Resources[0].To }, "v1", "v2"},
		"undone to what is not there": {func(r *annexv1alpha1.APIExportRollout) {
			r.Spec.Undo, r.Status.Resources[0].From = 2, "v0.widgets.example.com"
		}, "v2", "v2"},
		"its resource is not known": {func(r *annexv1alpha1.APIExportRollout) { r.Status.Resources = nil }, "v1", "v1"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, v1, v2, v3, exportOf("things", v1))
			if tc.had != "" {
				f.create(bindings, consumer, bindingTo("b", "root:org:provider", "things"))
				f.offering(tc.had)
				f.run("b")
			}
			r := rolloutOf("v1", "v2")
			if tc.change != nil {
				tc.change(r)
			}
			f.create(rollouts, provider, r)
			f.offering("v2")
			if tc.had == "" {
				f.create(bindings, consumer, bindingTo("b", "root:org:provider", "things"))
			}
			if got := boundTo(f.run("b")); !slices.Equal(got, []string{"widgets=" + tc.want + ".widgets.example.com"}) {
				t.Errorf("bound is %v", got)
			}
		})
	}
}

// Another binding that gets the same schema as the one that is deleted adopts the objects, though the export names another one by now.
func TestRollout_BindingsAdoptWhatTheyGet(t *testing.T) {
	v1, v2 := schemaOf("v1", "widgets", "Widget"), schemaOf("v2", "widgets", "Widget")
	f := newFixture(t, v1, v2, exportOf("things", v2), rolloutOf("v1", "v2"))
	f.Gate = rollout.NewGate()
	bound := apisv1alpha2.BoundAPIResource{Group: "example.com", Resource: "widgets", Schema: apisv1alpha2.BoundAPIResourceSchema{IdentityHash: "hash-things"}}
	for uid, want := range map[string]bool{string(v1.UID): true, string(v2.UID): false} {
		bound.Schema.UID = uid
		offered, err := f.offers(t.Context(), client.Key{Cluster: provider, Name: "things"}, bindingTo("other", "root:org:provider", "things"), bound)
		if err != nil || offered != want {
			t.Errorf("%s is offered: %t, %v", uid, offered, err)
		}
	}
}
