package lifecycle

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

var (
	widgets = schema.GroupResource{Group: "example.com", Resource: "widgets"}
	gadgets = schema.GroupResource{Group: "example.com", Resource: "gadgets"}
)

// in returns an APIBinding in a state, with the given resources.
func in(state State, resources ...schema.GroupResource) *apisv1alpha2.APIBinding {
	b := &apisv1alpha2.APIBinding{}
	b.Status.Phase = apisv1alpha2.APIBindingPhaseBound
	conditionsv1alpha1.MarkTrue(b, apisv1alpha2.BindingUpToDate)
	switch state {
	case Binding:
		b.Status.Phase = apisv1alpha2.APIBindingPhaseBinding
	case Behind:
		conditionsv1alpha1.MarkFalse(b, apisv1alpha2.BindingUpToDate, "Any", conditionsv1alpha1.ConditionSeverityError, "")
	case Deleting:
		now := metav1.NewTime(time.Now())
		b.DeletionTimestamp = &now
	}
	for _, gr := range resources {
		b.Status.BoundResources = append(b.Status.BoundResources, apisv1alpha2.BoundAPIResource{
			Group: gr.Group, Resource: gr.Resource, StorageVersions: []string{"v1"}, Schema: apisv1alpha2.BoundAPIResourceSchema{IdentityHash: "id"},
		})
	}
	return b
}

func TestCheck_States(t *testing.T) {
	all := []State{Binding, Bound, Behind, Deleting}
	// As the table in the documentation of the package says it; rows are the states before.
	allowed := map[State]string{Binding: "yyny", Bound: "nyyy", Behind: "nyyy", Deleting: "nnny"}
	for _, from := range all {
		if got := Of(in(from)); got != from {
			t.Errorf("state %s is taken for %s", from, got)
		}
		for i, to := range all {
			if err := Check(in(to), in(from)); (err == nil) != (allowed[from][i] == 'y') {
				t.Errorf("from %s to %s: %v", from, to, err)
			}
		}
	}
	gone := in(Bound)
	conditionsv1alpha1.MarkFalse(gone, apisv1alpha2.APIExportValid, "Any", conditionsv1alpha1.ConditionSeverityError, "")
	if got := Of(gone); got != Behind {
		t.Errorf("a binding whose export is gone is %s", got)
	}
}

func TestCheck_Resources(t *testing.T) {
	for name, tc := range map[string]struct {
		old, updated *apisv1alpha2.APIBinding
		want         string
	}{
		"one more":         {in(Bound, widgets), in(Bound, gadgets, widgets), ""},
		"one less":         {in(Bound, gadgets, widgets), in(Bound, widgets), "gadgets.example.com cannot be gone"},
		"one less by mark": {marked(in(Bound, gadgets, widgets), gadgets), in(Bound, widgets), ""},
		"the other one":    {marked(in(Bound, gadgets, widgets), gadgets), in(Bound, gadgets), "widgets.example.com cannot be gone"},
		"marked just now":  {in(Bound, gadgets, widgets), marked(in(Bound, widgets), gadgets), "gadgets.example.com cannot be gone"},
		"another identity": {in(Bound, widgets), changed(in(Bound, widgets), func(r *apisv1alpha2.BoundAPIResource) { r.Schema.IdentityHash = "other" }), "cannot change from id to other"},
		"another schema":   {in(Bound, widgets), changed(in(Bound, widgets), func(r *apisv1alpha2.BoundAPIResource) { r.Schema.UID = "other" }), ""},
		"a version less":   {in(Bound, widgets), changed(in(Bound, widgets), func(r *apisv1alpha2.BoundAPIResource) { r.StorageVersions = []string{"v2"} }), "version v1"},
		"a version more":   {in(Bound, widgets), changed(in(Bound, widgets), func(r *apisv1alpha2.BoundAPIResource) { r.StorageVersions = []string{"v1", "v2"} }), ""},
	} {
		err := Check(tc.updated, tc.old)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func marked(b *apisv1alpha2.APIBinding, resources ...schema.GroupResource) *apisv1alpha2.APIBinding {
	MarkLeaving(b, resources)
	return b
}

func changed(b *apisv1alpha2.APIBinding, change func(*apisv1alpha2.BoundAPIResource)) *apisv1alpha2.APIBinding {
	change(&b.Status.BoundResources[0])
	return b
}

func TestMarkLeaving(t *testing.T) {
	b := in(Bound, widgets, gadgets)
	shared := map[string]string{"mine": "stays"}
	b.Annotations = shared
	MarkLeaving(b, []schema.GroupResource{widgets, gadgets})
	if got := b.Annotations[apisv1alpha2.LeavingResourcesAnnotationKey]; got != "gadgets.example.com,widgets.example.com" {
		t.Errorf("the annotation is %q", got)
	}
	if len(shared) != 1 {
		t.Errorf("annotations of others were changed: %v", shared)
	}
	for gr, want := range map[schema.GroupResource]bool{
		widgets: true, gadgets: true, {Group: "example.com", Resource: "widget"}: false, {Group: "com", Resource: "widgets.example"}: true, {}: false,
	} {
		// Resources have no dots, so the second to last is none.
		if got := IsLeaving(b.Annotations, gr); got != want {
			t.Errorf("%s is leaving: %t", gr, got)
		}
	}
	if MarkLeaving(b, nil); AnyLeaving(b) || len(b.Annotations) != 1 {
		t.Errorf("annotations are %v", b.Annotations)
	}
	if IsLeaving(nil, schema.GroupResource{}) {
		t.Error("nothing is leaving")
	}
}

// Whatever a controller does by the rules, no resource is gone that was not leaving, and no state follows that may not.
func TestCheck_RandomSteps(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // repeatable
	states := []State{Binding, Bound, Behind, Deleting}
	for range 500 {
		b, completed := in(Binding), false
		for range 12 {
			var resources []schema.GroupResource
			for _, gr := range []schema.GroupResource{widgets, gadgets} {
				if random.IntN(2) == 0 {
					resources = append(resources, gr)
				}
			}
			next := in(states[random.IntN(len(states))], resources...)
			var leaving []schema.GroupResource
			for _, gr := range resources {
				if random.IntN(2) == 0 {
					leaving = append(leaving, gr)
				}
			}
			MarkLeaving(next, leaving)
			if Check(next, b) != nil {
				continue
			}
			for _, was := range b.Status.BoundResources {
				gr := schema.GroupResource{Group: was.Group, Resource: was.Resource}
				if Resource(next, gr) == nil && !IsLeaving(b.Annotations, gr) {
					t.Fatalf("seed %d: %s is gone", seed, gr)
				}
			}
			if b = next; completed && Of(b) == Binding {
				t.Fatalf("seed %d: it was bound, and is Binding again", seed)
			}
			completed = completed || Of(b) == Bound
		}
	}
}
