package catalog

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/annex-dev/annex/apis/apis/lifecycle"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

// patience is how long tests wait for what must happen; nothing waits that long when it works.
const patience = 2 * time.Minute

var widgets = schema.GroupResource{Group: "example.com", Resource: "widgets"}

// local returns an established definition of plural in cluster, whose one field is of the given type.
func local(cluster logicalcluster.Name, plural, fieldType string) *apiextensionsv1.CustomResourceDefinition {
	crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: plural + ".example.com"}}
	crd.Spec = apiextensionsv1.CustomResourceDefinitionSpec{
		Group: "example.com",
		Scope: apiextensionsv1.NamespaceScoped,
		Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: plural, Singular: plural + "1", Kind: plural + "Kind", ListKind: plural + "KindList", ShortNames: []string{"w"}},
		Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true,
			Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
				Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"field": {Type: fieldType}},
			}}}},
	}
	crd.Status.AcceptedNames = crd.Spec.Names
	crd.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionTrue}}
	return clienttest.In(cluster, crd)
}

// boundDefinition returns the definition of widgets in the schema whose UID is "uid".
func boundDefinition(fieldType string) *apiextensionsv1.CustomResourceDefinition {
	crd := local(logicalcluster.SystemBoundCRDs, "widgets", fieldType)
	crd.Name = "uid"
	return crd
}

// binding returns an APIBinding to the schema of boundDefinition.
func binding(cluster logicalcluster.Name, name string) *apisv1alpha2.APIBinding {
	return bindingOf(cluster, name, widgets, "uid", "id")
}

func bindingOf(cluster logicalcluster.Name, name string, gr schema.GroupResource, uid, identity string) *apisv1alpha2.APIBinding {
	b := &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
	b.Status.BoundResources = []apisv1alpha2.BoundAPIResource{{
		Group: gr.Group, Resource: gr.Resource, Schema: apisv1alpha2.BoundAPIResourceSchema{Name: "s", UID: uid, IdentityHash: identity},
	}}
	return clienttest.In(cluster, b)
}

func deleted[T metav1.Object](obj T) T {
	now := metav1.Now()
	obj.SetDeletionTimestamp(&now)
	obj.SetFinalizers([]string{"example.com/hold"})
	return obj
}

// describe returns the resources as "plural.group bucket binding flags".
func describe(s *Snapshot) []string {
	var out []string
	for _, r := range s.Resources() {
		text := r.GroupResource().String() + " " + r.Bucket + " " + r.Binding
		if r.Typed {
			text += " typed"
		}
		if r.Terminating {
			text += " terminating"
		}
		out = append(out, strings.TrimSpace(text))
	}
	return out
}

func TestFor_ResolutionOrder(t *testing.T) {
	workspaces := schema.GroupResource{Group: "tenancy.kcp.io", Resource: "workspaces"}
	for _, tc := range []struct {
		name    string
		objects []client.Object
		want    []string
	}{
		{name: "nothing"},
		{name: "a local definition", objects: []client.Object{local("c1", "widgets", "string")}, want: []string{"widgets.example.com crd"}},
		{name: "a definition elsewhere", objects: []client.Object{local("c2", "widgets", "string")}},
		{
			name: "not established",
			objects: []client.Object{func() client.Object {
				crd := local("c1", "widgets", "string")
				crd.Status.Conditions = nil
				return crd
			}()},
		},
		{
			name:    "being deleted",
			objects: []client.Object{deleted(local("c1", "widgets", "string"))},
			want:    []string{"widgets.example.com crd  terminating"},
		},
		{
			name:    "bound",
			objects: []client.Object{binding("c1", "b"), boundDefinition("string")},
			want:    []string{"widgets.example.com id b"},
		},
		{name: "bound without definition", objects: []client.Object{binding("c1", "b")}},
		{
			name:    "bound comes before local",
			objects: []client.Object{local("c1", "widgets", "string"), binding("c1", "b"), boundDefinition("string")},
			want:    []string{"widgets.example.com id b"},
		},
		{
			name: "the binding that stays comes before the one that goes",
			objects: []client.Object{deleted(binding("c1", "a")), binding("c1", "b"),
				boundDefinition("string")},
			want: []string{"widgets.example.com id b"},
		},
		{
			name:    "the only binding goes",
			objects: []client.Object{deleted(binding("c1", "a")), boundDefinition("string")},
			want:    []string{"widgets.example.com id a terminating"},
		},
		{
			name: "it leaves the binding",
			objects: []client.Object{func() client.Object {
				b := binding("c1", "a")
				lifecycle.MarkLeaving(b, []schema.GroupResource{widgets, {Group: "example.com", Resource: "others"}})
				return b
			}(), boundDefinition("string")},
			want: []string{"widgets.example.com id a terminating"},
		},
		{
			name:    "typed needs no definition",
			objects: []client.Object{bindingOf("c1", "t", workspaces, "uid", "rootid")},
			want:    []string{"workspaces.tenancy.kcp.io rootid t typed"},
		},
		{name: "a built-in resource is never replaced", objects: []client.Object{local("c1", "builtins", "string")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fake := clienttest.NewFake(tc.objects...)
			c := New(Config{
				Reader:  fake,
				IsBound: func(gr schema.GroupResource) bool { return gr == workspaces },
				Builtin: func(gr schema.GroupResource) bool { return gr.Resource == "builtins" },
			})
			s, err := c.For(t.Context(), "c1")
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(s); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if mutated := fake.Mutated(); mutated != nil {
				t.Errorf("changed shared objects %v", mutated)
			}
		})
	}
}

// Where a resource comes from is a matter of the binding that serves it.
func TestSnapshot_Source(t *testing.T) {
	gadgets := schema.GroupResource{Group: "example.com", Resource: "gadgets"}
	going, staying := deleted(bindingOf("c", "a", widgets, "uid", "id")), binding("c", "b")
	for b, provider := range map[*apisv1alpha2.APIBinding]string{going: "old", staying: "new"} {
		b.Spec.Reference.Export = &apisv1alpha2.ExportBindingReference{Path: "root:any", Name: "widgets"}
		b.Status.APIExportClusterName = provider
	}
	staying.Annotations[apisv1alpha2.LimitedBindingAnnotationKey] = "local"
	c := New(Config{Reader: clienttest.NewFake(boundDefinition("string"), going, staying, local("c", "gadgets", "string"))})
	snapshot, err := c.For(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	want := Source{Export: client.Key{Cluster: "new", Name: "widgets"}, Limited: true}
	if got, ok := snapshot.Source(widgets); !ok || got != want {
		t.Errorf("widgets are from %v, %t", got, ok)
	}
	if served, ok := snapshot.Served(widgets); !ok || served.Source != want {
		t.Errorf("served are %v, %t", served, ok)
	}
	for _, gr := range []schema.GroupResource{gadgets, {Group: "example.com", Resource: "others"}} {
		if got, ok := snapshot.Source(gr); ok {
			t.Errorf("%s are from %v", gr, got)
		}
	}
	if got, ok := NewSnapshot(&Resource{Group: "example.com", Plural: "widgets", Binding: "b"}).Source(widgets); ok {
		t.Errorf("what no cluster serves is from %v", got)
	}
}

func TestFor_SharesWhatEquals(t *testing.T) {
	const clusters = 5000
	var objects []client.Object
	for i := range clusters {
		crd := local(logicalcluster.Name(fmt.Sprintf("c%d", i)), "widgets", "string")
		crd.Labels = map[string]string{"mine": fmt.Sprint(i)}
		objects = append(objects, crd)
	}
	c := New(Config{Reader: index(objects)})
	var first *Snapshot
	for i := range clusters {
		s, err := c.For(t.Context(), logicalcluster.Name(fmt.Sprintf("c%d", i)))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = s
		}
		if s.content != first.content {
			t.Fatalf("cluster %d shares nothing with the others", i)
		}
	}
	if c.definitions.Len() != 1 || c.resources.Len() != 1 {
		t.Errorf("%d definitions, %d resources", c.definitions.Len(), c.resources.Len())
	}
	r, ok := first.Lookup(widgets)
	if !ok || r.Kind != "widgetsKind" || r.CRD.Labels != nil || r.CRD.Annotations != nil {
		t.Errorf("resource %+v", r)
	}
}

// index is a reader that finds the objects of one cluster at once.
type byCluster map[logicalcluster.Name][]client.Object

func index(objects []client.Object) byCluster {
	out := byCluster{}
	for _, obj := range objects {
		out[logicalcluster.From(obj)] = append(out[logicalcluster.From(obj)], obj)
	}
	return out
}

func (b byCluster) Get(context.Context, schema.GroupResource, client.Key) (client.Object, error) {
	return nil, errors.New("unexpected")
}

func (b byCluster) List(_ context.Context, gr schema.GroupResource, scope client.Scope) ([]client.Object, error) {
	if gr != definitionsResource {
		return nil, nil
	}
	return b[scope.Cluster], nil
}

func (b byCluster) Watch(ctx context.Context, _ schema.GroupResource, _ func(client.Event)) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestFor_ForgetsWhatNobodyHolds(t *testing.T) {
	c := New(Config{Reader: clienttest.NewFake(local("c1", "widgets", "string"))})
	if _, err := c.For(t.Context(), "c1"); err != nil {
		t.Fatal(err)
	}
	if err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, patience, true, func(context.Context) (bool, error) {
		runtime.GC()
		return c.definitions.Len() == 0 && c.resources.Len() == 0 && c.contents.Len() == 0, nil
	}); err != nil {
		t.Errorf("%d definitions, %d resources, %d contents stay", c.definitions.Len(), c.resources.Len(), c.contents.Len())
	}
}

func TestHashes(t *testing.T) {
	c := New(Config{})
	hash := func(crd *apiextensionsv1.CustomResourceDefinition) string {
		t.Helper()
		definition, err := c.Definition(crd)
		if err != nil {
			t.Fatal(err)
		}
		return string(definition.UID)
	}
	if hash(local("c1", "widgets", "string")) != hash(boundDefinition("string")) {
		t.Error("a bound and a local definition of equal content differ")
	}
	if hash(local("c1", "widgets", "string")) == hash(local("c1", "widgets", "integer")) {
		t.Error("two schemas have one hash")
	}
	renamed := local("c1", "widgets", "string")
	renamed.Status.AcceptedNames.ShortNames = nil
	if hash(local("c1", "widgets", "string")) == hash(renamed) {
		t.Error("other accepted names, one hash")
	}
	bare := local("c1", "widgets", "string")
	bare.Status = apiextensionsv1.CustomResourceDefinitionStatus{}
	if hash(local("c1", "widgets", "string")) != hash(bare) {
		t.Error("without status the wanted names count")
	}

	one, err := c.ResourceOf(local("c1", "widgets", "string"), "one")
	if err != nil {
		t.Fatal(err)
	}
	two, err := c.ResourceOf(local("c1", "widgets", "string"), "two")
	if err != nil {
		t.Fatal(err)
	}
	if one == two || one.CRD != two.CRD || one.Same(two) {
		t.Error("resources in two buckets share the definition and nothing else")
	}
	if NewSnapshot(one).Hash() != NewSnapshot(two).Hash() {
		t.Error("the bucket shows in the hash of a snapshot")
	}
}

// TestHashes_DoNotDependOnTheWay compares a definition that was read from storage, where it is of the internal type, with the
// same one as it was written.
func TestHashes_DoNotDependOnTheWay(t *testing.T) {
	written := local("c1", "widgets", "object")
	written.Spec.Names.Singular, written.Spec.Names.ListKind = "", ""
	spec := &written.Spec.Versions[0].Schema.OpenAPIV3Schema
	(*spec).Properties["field"] = apiextensionsv1.JSONSchemaProps{Type: "object", Default: &apiextensionsv1.JSON{Raw: []byte(`{"b": 1,  "a": 2}`)}}
	written.Spec.Versions = append(written.Spec.Versions, apiextensionsv1.CustomResourceDefinitionVersion{Name: "v2", Served: true, Schema: written.Spec.Versions[0].Schema})
	written.Status.AcceptedNames = apiextensionsv1.CustomResourceDefinitionNames{}
	c := New(Config{})
	one, err := c.ResourceOf(written, LocalBucket)
	if err != nil {
		t.Fatal(err)
	}
	defaulted, internal, read := written.DeepCopy(), &apiextensions.CustomResourceDefinition{}, &apiextensionsv1.CustomResourceDefinition{}
	apiextensionsv1.SetObjectDefaults_CustomResourceDefinition(defaulted)
	defaulted.Status.AcceptedNames = defaulted.Spec.Names
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(defaulted, internal, nil); err != nil {
		t.Fatal(err)
	}
	if err := apiextensionsv1.Convert_apiextensions_CustomResourceDefinition_To_v1_CustomResourceDefinition(internal, read, nil); err != nil {
		t.Fatal(err)
	}
	before := read.DeepCopy()
	c = New(Config{Reader: index([]client.Object{read})})
	s, err := c.For(t.Context(), "c1")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(before, read) {
		t.Error("the shared object was changed")
	}
	two, ok := s.Lookup(widgets)
	if !ok || one.Hash != two.Hash {
		t.Errorf("hashes %s and %+v", one.Hash, two)
	}
	if len(two.CRD.Spec.Versions) != 2 || two.CRD.Spec.Versions[1].Schema == nil {
		t.Errorf("versions %v", two.CRD.Spec.Versions)
	}
}

// run starts the catalog's watches and returns when they are complete.
func run(t *testing.T, c *Catalog) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the watches are complete", c.view.InStep)
	return ctx
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, patience, true, func(context.Context) (bool, error) {
		return condition(), nil
	}); err != nil {
		t.Fatalf("waiting until %s: %v", what, err)
	}
}

func TestRun_EventsDropSnapshots(t *testing.T) {
	fake := clienttest.NewFake(
		binding("c1", "b"), boundDefinition("string"),
		local("c2", "widgets", "string"),
	)
	lists := countLists(fake)
	c := New(Config{Reader: fake})
	ctx := run(t, c)

	first, err := c.For(ctx, "c1")
	if err != nil {
		t.Fatal(err)
	}
	before := lists()
	if again, err := c.For(ctx, "c1"); err != nil || again != first || lists() != before {
		t.Fatalf("the snapshot was not kept: %v", err)
	}
	old, _ := first.Lookup(widgets)

	changed := boundDefinition("integer")
	if _, err := fake.Update(ctx, definitionsResource, logicalcluster.SystemBoundCRDs, changed); err != nil {
		t.Fatal(err)
	}
	eventually(t, "c1 serves the new schema", func() bool {
		s, err := c.For(ctx, "c1")
		if err != nil {
			t.Fatal(err)
		}
		r, ok := s.Lookup(widgets)
		return ok && r.Hash != old.Hash
	})
	if _, err := c.For(ctx, "c2"); err != nil {
		t.Fatal(err)
	}
	if err := fake.Delete(ctx, definitionsResource, client.Key{Cluster: "c2", Name: "widgets.example.com"}, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "c2 serves nothing", func() bool {
		s, err := c.For(ctx, "c2")
		return err == nil && len(s.Resources()) == 0
	})
}

// countLists returns a function that says how many lists were made so far.
func countLists(fake *clienttest.Fake) func() int {
	var mu sync.Mutex
	n := 0
	fake.Intercept(func(verb string, _ schema.GroupResource, _ client.Key) error {
		mu.Lock()
		defer mu.Unlock()
		if verb == "list" {
			n++
		}
		return nil
	})
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

// holds ends contexts as a server ends watches: it looks again at those on a cluster of which it is told.
type holds struct {
	mu   sync.Mutex
	open []hold
}

type hold struct {
	cluster  logicalcluster.Name
	resource *Resource
	end      context.CancelFunc
}

func (h *holds) hold(ctx context.Context, t *testing.T, c *Catalog, cluster logicalcluster.Name, plural string) context.Context {
	t.Helper()
	s, err := c.For(ctx, cluster)
	if err != nil {
		t.Fatal(err)
	}
	r, ok := s.Lookup(schema.GroupResource{Group: "example.com", Resource: plural})
	if !ok {
		t.Fatalf("%s does not serve %s", cluster, plural)
	}
	ctx, end := context.WithCancel(ctx)
	t.Cleanup(end)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open = append(h.open, hold{cluster, r, end})
	return ctx
}

func (h *holds) recheck(ctx context.Context, c *Catalog, changed logicalcluster.Name) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range h.open {
		if !changed.Empty() && one.cluster != changed {
			continue
		}
		s, err := c.For(ctx, one.cluster)
		if err != nil {
			continue
		}
		if now, _ := s.Lookup(one.resource.GroupResource()); !one.resource.Same(now) {
			one.end()
		}
	}
}

// follow returns a catalog that runs, and what it tells of changes.
func follow(t *testing.T, fake *clienttest.Fake) (context.Context, *Catalog, *holds) {
	t.Helper()
	h := &holds{}
	changes := make(chan logicalcluster.Name, 100)
	c := New(Config{Reader: fake, Changed: func(cluster logicalcluster.Name) { changes <- cluster }})
	ctx := run(t, c)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case cluster := <-changes:
				h.recheck(ctx, c, cluster)
			}
		}
	}()
	return ctx, c, h
}

func TestChanged_TellsWhenAResourceChanges(t *testing.T) {
	fake := clienttest.NewFake(
		binding("c1", "b"), boundDefinition("string"),
		local("c2", "widgets", "string"), local("c2", "gadgets", "string"), local("c3", "widgets", "string"),
	)
	ctx, c, h := follow(t, fake)
	bound, changed := h.hold(ctx, t, c, "c1", "widgets"), h.hold(ctx, t, c, "c2", "widgets")
	gadgets, untouched := h.hold(ctx, t, c, "c2", "gadgets"), h.hold(ctx, t, c, "c3", "widgets")

	labeled := local("c2", "widgets", "string")
	labeled.Labels = map[string]string{"new": "label"}
	if _, err := fake.Update(ctx, definitionsResource, "c2", labeled); err != nil {
		t.Fatal(err)
	}
	if _, err := fake.Update(ctx, definitionsResource, "c2", local("c2", "widgets", "integer")); err != nil {
		t.Fatal(err)
	}
	ended(changed, t)
	if err := fake.Delete(ctx, bindingsResource, client.Key{Cluster: "c1", Name: "b"}, nil); err != nil {
		t.Fatal(err)
	}
	ended(bound, t)
	for _, still := range []context.Context{gadgets, untouched} {
		if still.Err() != nil {
			t.Error("a hold on something else ended")
		}
	}
}

func ended(ctx context.Context, t *testing.T) {
	t.Helper()
	select {
	case <-ctx.Done():
	case <-time.After(patience):
		t.Fatal("the hold did not end")
	}
}

// lagging is a reader that sees nothing until it is waited for.
type lagging struct {
	client.Reader
	now client.Reader
}

func (l *lagging) Wait(context.Context) (uint64, error) {
	l.Reader = l.now
	return 1, nil
}

func (l *lagging) Unchanged(logicalcluster.Name, uint64, uint64) bool { return false }

func TestRefresh_SeesMoreThanFor(t *testing.T) {
	reader := &lagging{Reader: clienttest.NewFake(), now: clienttest.NewFake(local("c1", "widgets", "string"))}
	c := New(Config{Reader: reader, Fresh: reader})
	s, err := c.For(t.Context(), "c1")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Lookup(widgets); ok {
		t.Fatal("found in a reader that is behind")
	}
	if s, err = c.Refresh(t.Context(), "c1"); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Lookup(widgets); !ok {
		t.Error("not found")
	}
}

func TestFor_FailsWithItsReader(t *testing.T) {
	fake := clienttest.NewFake()
	fake.Intercept(func(string, schema.GroupResource, client.Key) error { return errors.New("storage is down") })
	c := New(Config{Reader: fake})
	if _, err := c.For(t.Context(), "c1"); err == nil || !strings.Contains(err.Error(), "storage is down") {
		t.Errorf("error %v", err)
	}
	fake.Intercept(nil)
	if _, err := c.For(t.Context(), "c1"); err != nil {
		t.Errorf("the failure was kept: %v", err)
	}
}

// A cluster owns the definitions that lie in it, and shares those of bound schemas.
func TestSnapshot_KnowsItsSize(t *testing.T) {
	const clusters = 400
	large := func(cluster logicalcluster.Name) *apiextensionsv1.CustomResourceDefinition {
		crd := local(cluster, "widgets", "string")
		properties := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties
		for i := range 20 {
			properties[fmt.Sprintf("field%d", i)] = apiextensionsv1.JSONSchemaProps{
				Type: "object", Description: "what it is for, in a sentence as people write them " + string(cluster),
				Properties: map[string]apiextensionsv1.JSONSchemaProps{"inner": {Type: "string"}},
			}
		}
		return crd
	}
	own := func(cluster logicalcluster.Name) client.Object { return large(cluster) }
	bound := func(cluster logicalcluster.Name) client.Object { return binding(cluster, "b-"+string(cluster)) }
	for name, has := range map[string]func(logicalcluster.Name) client.Object{"own": own, "bound": bound} {
		t.Run(name, func(t *testing.T) {
			shared := large(logicalcluster.SystemBoundCRDs)
			shared.Name = "uid"
			objects := []client.Object{shared}
			for i := range clusters {
				objects = append(objects, has(logicalcluster.Name(fmt.Sprintf("c%d", i))))
			}
			c := New(Config{Reader: clienttest.NewFake(objects...)})
			if _, err := c.For(t.Context(), "c0"); err != nil { // hashes the shared definition
				t.Fatal(err)
			}
			snapshots := make([]*Snapshot, clusters)
			before := heap()
			for i := range snapshots {
				var err error
				if snapshots[i], err = c.For(t.Context(), logicalcluster.Name(fmt.Sprintf("c%d", i))); err != nil {
					t.Fatal(err)
				}
			}
			taken := (heap() - before) / clusters
			if size := snapshots[0].size() + snapshots[0].own(); size < taken/2 || size > 2*taken {
				t.Errorf("a snapshot takes %d bytes and says %d", taken, size)
			}
			runtime.KeepAlive(snapshots)
		})
	}
}

// heap returns how many bytes are in use.
func heap() int64 {
	for range 3 { // what weak pointers and cleanups hold goes later
		runtime.GC()
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func TestChanged_TellsWhenTheDefinitionOfABoundSchemaChanges(t *testing.T) {
	fake := clienttest.NewFake(binding("c1", "b"), boundDefinition("string"), local("c2", "widgets", "string"))
	ctx, c, h := follow(t, fake)
	bound, untouched := h.hold(ctx, t, c, "c1", "widgets"), h.hold(ctx, t, c, "c2", "widgets")
	if _, err := fake.Update(ctx, definitionsResource, logicalcluster.SystemBoundCRDs, boundDefinition("integer")); err != nil {
		t.Fatal(err)
	}
	ended(bound, t)
	if untouched.Err() != nil {
		t.Error("a hold on something else ended")
	}
}

// What a binding binds with virtual storage is served by others: nothing must be stored for it, under no identity.
func TestFor_VirtualResources(t *testing.T) {
	group := "cache.kcp.io"
	for kind, verbs := range map[string][]string{"ClusterCachedResourceEndpointSlice": {"get", "list", "watch"}, "OtherSlice": nil} {
		b := binding("c1", "b")
		b.Status.BoundResources[0].Virtual = &corev1.TypedLocalObjectReference{APIGroup: &group, Kind: kind, Name: "s"}
		c := New(Config{Reader: clienttest.NewFake(boundDefinition("string"), b, binding("c2", "b"))})
		for cluster, virtual := range map[logicalcluster.Name]bool{"c1": true, "c2": false} {
			snapshot, err := c.For(t.Context(), cluster)
			if err != nil {
				t.Fatal(err)
			}
			r, ok := snapshot.Lookup(widgets)
			if !ok || r.Virtual != virtual || (r.Bucket == "") != virtual || virtual && !slices.Equal(r.Verbs, verbs) || !virtual && r.Verbs != nil {
				t.Errorf("%s in %s: %+v", kind, cluster, r)
			}
		}
		one, _ := c.For(t.Context(), "c1")
		other, _ := c.For(t.Context(), "c2")
		if a, b := one.Resources()[0], other.Resources()[0]; a.Same(b) {
			t.Errorf("%s: a watch goes on when the storage changes", kind)
		}
	}
}
