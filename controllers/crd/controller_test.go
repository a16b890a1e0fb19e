package crd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
	"github.com/annex-dev/annex/controllers/names"
)

// waitFor is how long tests wait for what must happen; nothing waits that long when it works.
const waitFor = 2 * time.Minute

// instances is a client.Content that answers what it is told to.
type instances struct {
	client.Content
	left    client.Remaining
	err     error
	deleted []string
}

func (i *instances) DeleteAll(_ context.Context, scope client.ContentScope) (client.Remaining, error) {
	for _, resource := range []string{"widgets", "gadgets"} {
		for _, bucket := range []string{"", client.LocalBucket, "identity"} {
			if gr := (schema.GroupResource{Group: "example.com", Resource: resource}); scope.Wanted(gr, bucket) {
				i.deleted = append(i.deleted, scope.Cluster.String()+"|"+gr.String()+"|"+bucket)
			}
		}
	}
	return i.left, i.err
}

// crdIn returns a definition of plural in group example.com that lives in cluster.
func crdIn(cluster logicalcluster.Name, plural, singular, kind string, change ...func(*apiextensionsv1.CustomResourceDefinition)) *apiextensionsv1.CustomResourceDefinition {
	crd := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: plural + ".example.com", Generation: 1},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.com",
			Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: plural, Singular: singular, Kind: kind, ListKind: kind + "List"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object"}},
			}},
		},
	}
	for _, c := range change {
		c(crd)
	}
	return clienttest.In(cluster, crd)
}

// accepted gives a definition its names, as if it had been established.
func accepted(crd *apiextensionsv1.CustomResourceDefinition) {
	crd.Status.AcceptedNames = crd.Spec.Names
	crd.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{
		{Type: apiextensionsv1.NamesAccepted, Status: apiextensionsv1.ConditionTrue, Reason: "NoConflicts", Message: "no conflicts found"},
		{Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionTrue, Reason: "InitialNamesAccepted", Message: "the initial names have been accepted"},
	}
}

func deleting(crd *apiextensionsv1.CustomResourceDefinition) {
	now := metav1.Now()
	crd.DeletionTimestamp = &now
	crd.Finalizers = []string{apiextensionsv1.CustomResourceCleanupFinalizer}
}

func shortNames(names ...string) func(*apiextensionsv1.CustomResourceDefinition) {
	return func(crd *apiextensionsv1.CustomResourceDefinition) { crd.Spec.Names.ShortNames = names }
}

func bindingIn(cluster logicalcluster.Name, resource, uid string) *apisv1alpha2.APIBinding {
	binding := &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}}
	binding.Status.BoundResources = []apisv1alpha2.BoundAPIResource{{
		Group: "example.com", Resource: resource,
		Schema: apisv1alpha2.BoundAPIResourceSchema{Name: "today." + resource + ".example.com", UID: uid, IdentityHash: "id"},
	}}
	return clienttest.In(cluster, binding)
}

// conditions returns the conditions as "Type=Status Reason: Message".
func conditions(crd *apiextensionsv1.CustomResourceDefinition) []string {
	var out []string
	for _, c := range crd.Status.Conditions {
		out = append(out, string(c.Type)+"="+string(c.Status)+" "+c.Reason+": "+c.Message)
	}
	slices.Sort(out)
	return out
}

const (
	yes         = "Established=True InitialNamesAccepted: the initial names have been accepted"
	noConflicts = "NamesAccepted=True NoConflicts: no conflicts found"
	notAccepted = "Established=False NotAccepted: not all names are accepted"
)

// newSpecs returns the controller, and the one of its index.
func newSpecs(c client.Client, content client.Content) []multicluster.Spec {
	config := multicluster.Config{Client: c, Live: c, Content: content}
	index := names.New(config)
	return append(Specs(config, index), index.Spec())
}

func TestReconcile_Conditions(t *testing.T) {
	boundKey := clienttest.In(logicalcluster.SystemBoundCRDs, func() *apiextensionsv1.CustomResourceDefinition {
		crd := crdIn("x", "gadgets", "gadget", "Gadget", shortNames("gd"))
		crd.Name = "uid-1"
		return crd
	}())
	for _, tc := range []struct {
		name   string
		crd    *apiextensionsv1.CustomResourceDefinition
		others []client.Object
		want   []string
		// wantNames are the accepted plural, singular, kind and list kind.
		wantNames string
	}{
		{
			name: "alone", crd: crdIn("c1", "widgets", "widget", "Widget"),
			want: []string{yes, noConflicts}, wantNames: "widgets widget Widget WidgetList",
		},
		{
			name: "the same in another cluster is no conflict", crd: crdIn("c1", "widgets", "widget", "Widget"),
			others: []client.Object{crdIn("c2", "widgets", "widget", "Widget", accepted)},
			want:   []string{yes, noConflicts}, wantNames: "widgets widget Widget WidgetList",
		},
		{
			name: "singular taken", crd: crdIn("c1", "widgets", "thing", "Widget"),
			others: []client.Object{crdIn("c1", "things", "thing", "Thing", accepted)},
			want:   []string{notAccepted, `NamesAccepted=False SingularConflict: "thing" is already in use`}, wantNames: "widgets  Widget WidgetList",
		},
		{
			name: "kind and list kind taken, the last is reported", crd: crdIn("c1", "widgets", "widget", "Thing"),
			others: []client.Object{crdIn("c1", "things", "thing", "Thing", accepted)},
			want:   []string{notAccepted, `NamesAccepted=False ListKindConflict: "ThingList" is already in use`}, wantNames: "widgets widget  ",
		},
		{
			name: "short name taken", crd: crdIn("c1", "widgets", "widget", "Widget", shortNames("w", "th")),
			others: []client.Object{crdIn("c1", "things", "thing", "Thing", shortNames("th"), accepted)},
			want:   []string{notAccepted, `NamesAccepted=False ShortNamesConflict: "th" is already in use`}, wantNames: "widgets widget Widget WidgetList",
		},
		{
			name: "wanted but not accepted by another is free", crd: crdIn("c1", "widgets", "thing", "Widget"),
			others: []client.Object{crdIn("c1", "things", "thing", "Thing")},
			want:   []string{yes, noConflicts}, wantNames: "widgets thing Widget WidgetList",
		},
		{
			name: "bound resource without definition takes its plural", crd: crdIn("c1", "widgets", "widget", "Widget"),
			others: []client.Object{bindingIn("c1", "widgets", "none")},
			want:   []string{notAccepted, `NamesAccepted=False PluralConflict: "widgets" is already in use`}, wantNames: " widget Widget WidgetList",
		},
		{
			name: "bound resource takes its kind", crd: crdIn("c1", "widgets", "widget", "Gadget"),
			others: []client.Object{bindingIn("c1", "gadgets", "uid-1"), boundKey},
			want:   []string{notAccepted, `NamesAccepted=False ListKindConflict: "GadgetList" is already in use`}, wantNames: "widgets widget  ",
		},
		{
			name: "bound in another cluster is no conflict", crd: crdIn("c1", "gadgets", "gadget", "Gadget"),
			others: []client.Object{bindingIn("c2", "gadgets", "uid-1"), boundKey},
			want:   []string{yes, noConflicts}, wantNames: "gadgets gadget Gadget GadgetList",
		},
		{
			name: "an established one that wants a taken name stays established under its old one",
			crd: crdIn("c1", "widgets", "widget", "Widget", accepted, func(crd *apiextensionsv1.CustomResourceDefinition) {
				crd.Spec.Names.Singular = "thing"
			}),
			others: []client.Object{crdIn("c1", "things", "thing", "Thing", accepted)},
			want:   []string{yes, `NamesAccepted=False SingularConflict: "thing" is already in use`}, wantNames: "widgets widget Widget WidgetList",
		},
		{
			name: "reported as not structural, and still so",
			crd: crdIn("c1", "widgets", "widget", "Widget", func(crd *apiextensionsv1.CustomResourceDefinition) {
				crd.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.NonStructuralSchema, Status: apiextensionsv1.ConditionTrue}}
				crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties = map[string]apiextensionsv1.JSONSchemaProps{"spec": {}}
			}),
			want: []string{yes, noConflicts,
				"NonStructuralSchema=True Violations: spec.versions[0].schema.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields"},
			wantNames: "widgets widget Widget WidgetList",
		},
		{
			name: "reported as not structural before",
			crd: crdIn("c1", "widgets", "widget", "Widget", func(crd *apiextensionsv1.CustomResourceDefinition) {
				crd.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.NonStructuralSchema, Status: apiextensionsv1.ConditionTrue}}
			}),
			want: []string{yes, noConflicts}, wantNames: "widgets widget Widget WidgetList",
		},
		{
			name: "a community group without approval",
			crd: crdIn("c1", "widgets", "widget", "Widget", func(crd *apiextensionsv1.CustomResourceDefinition) {
				crd.Spec.Group = "example.k8s.io"
			}),
			want: []string{yes,
				"KubernetesAPIApprovalPolicyConformant=False MissingAnnotation: protected groups must have approval annotation \"api-approved.kubernetes.io\", see https://github.com/kubernetes/enhancements/pull/1111",
				noConflicts},
			wantNames: "widgets widget Widget WidgetList",
		},
		{
			name: "a community group that bypasses approval",
			crd: crdIn("c1", "widgets", "widget", "Widget", func(crd *apiextensionsv1.CustomResourceDefinition) {
				crd.Spec.Group = "example.k8s.io"
				crd.Annotations = map[string]string{apiextensionsv1.KubeAPIApprovedAnnotation: "unapproved, experimental"}
			}),
			want: []string{yes,
				"KubernetesAPIApprovalPolicyConformant=False UnapprovedAnnotation: not approved: \"unapproved, experimental\"",
				noConflicts},
			wantNames: "widgets widget Widget WidgetList",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cluster := logicalcluster.Name("c1")
			c := clienttest.NewFake(append(tc.others, clienttest.In(cluster, tc.crd))...)
			key := client.Key{Cluster: cluster, Name: tc.crd.Name}
			spec := newSpecs(c, &instances{})[0]
			if _, err := spec.Reconcile(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			got := get(t, c, key)
			want := slices.Clone(tc.want)
			slices.Sort(want)
			if got := conditions(got); !slices.Equal(got, want) {
				t.Errorf("conditions\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			names := got.Status.AcceptedNames
			if got := strings.Join([]string{names.Plural, names.Singular, names.Kind, names.ListKind}, " "); got != tc.wantNames {
				t.Errorf("names %q, want %q", got, tc.wantNames)
			}
			writes := len(c.Writes())
			if writes != 1 {
				t.Errorf("%d writes, want all in one", writes)
			}
			if _, err := spec.Reconcile(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			if len(c.Writes()) != writes {
				t.Errorf("wrote again: %v", c.Writes())
			}
			if mutated := c.Mutated(); mutated != nil {
				t.Errorf("changed shared objects %v", mutated)
			}
		})
	}
}

func get(t *testing.T, c client.Reader, key client.Key) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	obj, err := c.Get(t.Context(), definitions, key)
	if err != nil {
		t.Fatal(err)
	}
	return obj.(*apiextensionsv1.CustomResourceDefinition)
}

func TestReconcile_Deletion(t *testing.T) {
	remaining := client.Remaining{
		Resources:  map[schema.GroupResource]int{{Group: "example.com", Resource: "widgets"}: 2},
		Finalizers: map[string]int{"example.com/hold": 2},
	}
	longDeleting := func(crd *apiextensionsv1.CustomResourceDefinition) {
		deleting(crd)
		long := metav1.NewTime(time.Now().Add(-time.Hour))
		crd.DeletionTimestamp = &long
	}
	for _, tc := range []struct {
		name      string
		crd       *apiextensionsv1.CustomResourceDefinition
		instances instances
		// want is the Terminating condition; empty when the definition is gone.
		want        string
		wantDeleted bool
		wantRequeue bool
		wantErr     bool
	}{
		{name: "never established", crd: crdIn("c1", "widgets", "widget", "Widget", deleting)},
		{name: "nothing left", crd: crdIn("c1", "widgets", "widget", "Widget", accepted, deleting), wantDeleted: true},
		{
			name: "something left", crd: crdIn("c1", "widgets", "widget", "Widget", accepted, deleting),
			instances: instances{left: remaining}, wantDeleted: true, wantRequeue: true,
			want: "Terminating=True InstanceDeletionInProgress: CustomResource deletion is in progress",
		},
		{
			name: "something left for long", crd: crdIn("c1", "widgets", "widget", "Widget", accepted, longDeleting),
			instances: instances{left: remaining}, wantDeleted: true, wantRequeue: true,
			want: "Terminating=True InstanceDeletionCheck: could not confirm zero CustomResources remaining: " +
				"some resources are remaining: widgets.example.com has 2 resource instances; finalizers: example.com/hold in 2 resource instances",
		},
		{
			name: "failed", crd: crdIn("c1", "widgets", "widget", "Widget", accepted, deleting),
			instances: instances{err: errors.New("storage is down")}, wantDeleted: true, wantErr: true,
			want: "Terminating=True InstanceDeletionFailed: could not issue all deletes: storage is down",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := clienttest.NewFake(tc.crd)
			key := client.KeyOf(tc.crd)
			result, err := newSpecs(c, &tc.instances)[0].Reconcile(t.Context(), key)
			if (err != nil) != tc.wantErr {
				t.Fatalf("error %v", err)
			}
			if (result.RequeueAfter > 0) != tc.wantRequeue {
				t.Errorf("result %+v", result)
			}
			if deleted := len(tc.instances.deleted) > 0; deleted != tc.wantDeleted {
				t.Errorf("deleted instances of %v", tc.instances.deleted)
			}
			obj, err := c.Get(t.Context(), definitions, key)
			if tc.want == "" {
				if !apierrors.IsNotFound(err) {
					t.Errorf("still there: %v %v", obj, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := conditions(obj.(*apiextensionsv1.CustomResourceDefinition)); !slices.Contains(got, tc.want) {
				t.Errorf("conditions\n%s\nwant\n%s", strings.Join(got, "\n"), tc.want)
			}
		})
	}
}

func TestReconcile_LeavesBoundDefinitionsAlone(t *testing.T) {
	crd := crdIn(logicalcluster.SystemBoundCRDs, "widgets", "widget", "Widget")
	c := clienttest.NewFake(crd)
	if _, err := newSpecs(c, &instances{})[0].Reconcile(t.Context(), client.KeyOf(crd)); err != nil {
		t.Fatal(err)
	}
	if writes := c.Writes(); len(writes) > 0 {
		t.Errorf("writes %v", writes)
	}
}

// TestRun_ReleasedNamesAreTaken runs the controller: who was refused a name gets it when its owner goes.
func TestRun_ReleasedNamesAreTaken(t *testing.T) {
	c := clienttest.NewFake(
		crdIn("c1", "things", "thing", "Thing", accepted),
		bindingIn("c2", "widgets", "none"),
	)
	ctx, cancel := context.WithTimeout(t.Context(), waitFor)
	defer cancel()
	specs := newSpecs(c, &instances{})
	done := make(chan error, len(specs))
	for _, spec := range specs {
		go func() { done <- multicluster.Run(ctx, c, spec) }()
	}

	for _, crd := range []*apiextensionsv1.CustomResourceDefinition{crdIn("c1", "widgets", "thing", "Widget"), crdIn("c2", "widgets", "widget", "Widget")} {
		cluster := logicalcluster.From(crd)
		if _, err := c.Create(ctx, definitions, cluster, crd); err != nil {
			t.Fatal(err)
		}
		await(ctx, t, c, client.KeyOf(crd), notAccepted)
	}
	if err := c.Delete(ctx, definitions, client.Key{Cluster: "c1", Name: "things.example.com"}, nil); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, c, client.Key{Cluster: "c1", Name: "widgets.example.com"}, yes)
	if err := c.Delete(ctx, names.Bindings, client.Key{Cluster: "c2", Name: "b"}, nil); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, c, client.Key{Cluster: "c2", Name: "widgets.example.com"}, yes)
	cancel()
	for range specs {
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

func TestRun_ReadsDoNotGrowWithTheSquareOfDefinitions(t *testing.T) {
	const many, most = 200, 20
	var objects []client.Object
	for i := range many {
		objects = append(objects, crdIn("c1", fmt.Sprintf("things%d", i), fmt.Sprintf("thing%d", i), fmt.Sprintf("Thing%d", i)))
	}
	c := clienttest.NewFake(objects...)
	var lists atomic.Int32
	c.Intercept(func(verb string, _ schema.GroupResource, _ client.Key) error {
		if verb == "list" {
			lists.Add(1)
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), waitFor)
	defer cancel()
	specs := newSpecs(c, &instances{})
	done := make(chan error, len(specs))
	for _, spec := range specs {
		go func() { done <- multicluster.Run(ctx, c, spec) }()
	}
	for _, obj := range objects {
		await(ctx, t, c, client.KeyOf(obj), yes)
	}
	cancel()
	for range specs {
		<-done
	}
	if n := lists.Load(); n > most {
		t.Errorf("%d lists for %d definitions, want at most %d", n, many, most)
	}
}

func await(ctx context.Context, t *testing.T, c *clienttest.Fake, key client.Key, condition string) {
	t.Helper()
	if _, err := c.Await(ctx, definitions, key, func(obj client.Object) bool {
		crd, ok := obj.(*apiextensionsv1.CustomResourceDefinition)
		return ok && slices.Contains(conditions(crd), condition)
	}); err != nil {
		t.Fatalf("%s: waiting for %q: %v", key, condition, err)
	}
}
