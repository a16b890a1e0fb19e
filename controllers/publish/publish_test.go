package publish

import (
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
	"github.com/annex-dev/annex/schemas/publish"
)

const cluster = logicalcluster.Name("provider")

var (
	key       = client.Key{Cluster: cluster, Name: "widgets.example.com"}
	exportKey = client.Key{Cluster: cluster, Name: "example.com"}
)

type told []string

func (t *told) Record(about client.Object, kind schema.GroupVersionKind, _, reason, message string) {
	*t = append(*t, kind.Kind+" "+about.GetName()+" "+reason+": "+message)
}

func newDefinition(fields string, change ...func(*apiextensionsv1.CustomResourceDefinition)) *apiextensionsv1.CustomResourceDefinition {
	properties := map[string]apiextensionsv1.JSONSchemaProps{}
	for _, field := range strings.Fields(fields) {
		properties[field] = apiextensionsv1.JSONSchemaProps{Type: "string"}
	}
	d := clienttest.In(cluster, &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: key.Name, Annotations: map[string]string{publish.AnnotationKey: "true"}},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.com", Scope: apiextensionsv1.NamespaceScoped, Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Kind: "Widget"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", Properties: properties}},
			}},
		},
	})
	for _, c := range change {
		c(d)
	}
	return d
}

type fixture struct {
	t *testing.T
	*reconciler
	fake *clienttest.Fake
	told told
}

func newFixture(t *testing.T, objects ...client.Object) *fixture {
	f := &fixture{t: t, fake: clienttest.NewFake(objects...)}
	f.reconciler = &reconciler{Config: multicluster.Config{Client: f.fake, Live: f.fake, Events: &f.told}}
	return f
}

// run reconciles until nothing is written any more.
func (f *fixture) run() {
	f.t.Helper()
	for range 5 {
		before := len(f.fake.Writes())
		if _, err := f.reconcile(f.t.Context(), key); err != nil {
			f.t.Fatal(err)
		}
		if len(f.fake.Writes()) == before {
			if keys := f.fake.Mutated(); len(keys) > 0 {
				f.t.Errorf("objects of the watch cache were changed: %v", keys)
			}
			return
		}
	}
	f.t.Fatalf("reconciling does not settle: %v", f.fake.Writes())
}

// change replaces the definition.
func (f *fixture) change(d *apiextensionsv1.CustomResourceDefinition) {
	f.t.Helper()
	if _, err := f.fake.Update(f.t.Context(), definitions, cluster, d); err != nil {
		f.t.Fatal(err)
	}
	f.run()
}

// schemas returns the names of all schemas.
func (f *fixture) schemas() []string {
	f.t.Helper()
	all, err := client.List[apisv1alpha1.APIResourceSchema](f.t.Context(), f.fake, schemas, client.Scope{Cluster: cluster})
	if err != nil {
		f.t.Fatal(err)
	}
	var names []string
	for _, schema := range all {
		names = append(names, schema.Name)
	}
	return names
}

// offered returns the schemas that the export names, nil if there is no export.
func (f *fixture) offered() []string {
	f.t.Helper()
	export, err := client.Find[apisv1alpha2.APIExport](f.t.Context(), f.fake, exports, exportKey)
	if err != nil {
		f.t.Fatal(err)
	}
	if export == nil {
		return nil
	}
	names := []string{}
	for _, resource := range export.Spec.Resources {
		names = append(names, resource.Schema)
	}
	return names
}

// nameOf returns the name of the schema of a definition.
func nameOf(t *testing.T, d *apiextensionsv1.CustomResourceDefinition) string {
	t.Helper()
	schema, err := publish.SchemaOf(d)
	if err != nil {
		t.Fatal(err)
	}
	return schema.Name
}

func newSchema(name string, from string) *apisv1alpha1.APIResourceSchema {
	s := clienttest.In(cluster, &apisv1alpha1.APIResourceSchema{ObjectMeta: metav1.ObjectMeta{Name: name}})
	if from != "" {
		s.Annotations[publish.FromAnnotationKey] = from
	}
	return s
}

func newExport(schema ...string) *apisv1alpha2.APIExport {
	export := clienttest.In(cluster, &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: exportKey.Name}})
	for _, name := range schema {
		parts := strings.SplitN(name, ".", 3)
		export.Spec.Resources = append(export.Spec.Resources, apisv1alpha2.ResourceSchema{Name: parts[1], Group: parts[2], Schema: name})
	}
	return export
}

func TestReconcile_FollowsTheDefinition(t *testing.T) {
	one, two := newDefinition("color"), newDefinition("color size")
	first, second := nameOf(t, one), nameOf(t, two)
	f := newFixture(t, one)
	f.run()
	if got := f.offered(); !slices.Equal(got, []string{first}) || !slices.Equal(f.schemas(), got) || first == second {
		t.Fatalf("offered %v of %v, want %s", got, f.schemas(), first)
	}
	// The status of the export concerns nobody; that it offers something else does.
	for schema, want := range map[string]int{first: 0, "v1.widgets.example.com": 1} {
		if keys := clienttest.Keys(t)(f.forExport(t.Context(), client.Event{Type: client.Modified, Object: newExport(schema)})); len(keys) != want {
			t.Errorf("an export of %s concerns %v", schema, keys)
		}
	}
	// What is no change of the content makes no schema, and what nothing has bound goes when it is replaced.
	labeled := newDefinition("color", func(d *apiextensionsv1.CustomResourceDefinition) { d.Labels = map[string]string{"a": "b"} })
	writes := len(f.fake.Writes())
	f.change(labeled)
	if got := f.fake.Writes()[writes+1:]; len(got) > 0 {
		t.Errorf("a label leads to %v", got)
	}
	f.change(two)
	if got := f.offered(); !slices.Equal(got, []string{second}) || !slices.Equal(f.schemas(), got) {
		t.Errorf("offered %v of %v, want %s", got, f.schemas(), second)
	}
	// Going back makes the first one again.
	f.change(one)
	if got := f.offered(); !slices.Equal(got, []string{first}) || !slices.Equal(f.schemas(), got) {
		t.Errorf("offered %v of %v, want %s", got, f.schemas(), first)
	}
	if len(f.told) > 0 {
		t.Errorf("told %v", f.told)
	}
}

func TestReconcile_KeepsSchemasThatAreUsed(t *testing.T) {
	one, two := newDefinition("color"), newDefinition("color size")
	first, second := nameOf(t, one), nameOf(t, two)
	f := newFixture(t, one)
	f.run()
	schema, err := client.Find[apisv1alpha1.APIResourceSchema](t.Context(), f.fake, schemas, client.Key{Cluster: cluster, Name: first})
	if err != nil {
		t.Fatal(err)
	}
	bound := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: string(schema.UID), Annotations: map[string]string{
		apisv1alpha2.AnnotationSchemaClusterKey: cluster.String(), apisv1alpha2.AnnotationSchemaNameKey: first,
	}}}
	created, err := f.fake.Create(t.Context(), definitions, logicalcluster.SystemBoundCRDs, bound)
	if err != nil {
		t.Fatal(err)
	}
	f.change(two)
	if got := f.schemas(); len(got) != 2 || !slices.Equal(f.offered(), []string{second}) {
		t.Errorf("offered %v of %v", f.offered(), got)
	}
	// Its last binding goes, and with it the definition.
	if err := f.fake.Delete(t.Context(), definitions, client.KeyOf(created), nil); err != nil {
		t.Fatal(err)
	}
	if keys := clienttest.Keys(t)(f.forDefinition(t.Context(), client.Event{Type: client.Deleted, Object: created})); !slices.Equal(keys, []client.Key{key}) {
		t.Errorf("the end of the last binding concerns %v", keys)
	}
	f.run()
	if got := f.schemas(); !slices.Equal(got, []string{second}) {
		t.Errorf("schemas: %v", got)
	}

	// Another export may name it, too.
	other := newExport(second)
	other.Name = "other"
	if _, err := f.fake.Create(t.Context(), exports, cluster, other); err != nil {
		t.Fatal(err)
	}
	f.change(one)
	if got := f.schemas(); len(got) != 2 {
		t.Errorf("schemas: %v", got)
	}
}

func TestReconcile_ChangesOnlyWhatItOwns(t *testing.T) {
	definition := newDefinition("color")
	want := nameOf(t, definition)
	for name, tc := range map[string]struct {
		objects []client.Object
		offered []string
		told    string // empty for nothing
	}{
		"an export of other resources": {[]client.Object{newExport("v1.things.example.com"), newSchema("v1.things.example.com", "")}, []string{"v1.things.example.com", want}, ""},
		"an entry that somebody else made": {[]client.Object{newExport("v1.widgets.example.com"), newSchema("v1.widgets.example.com", "")},
			[]string{"v1.widgets.example.com"}, "which was not made from this CustomResourceDefinition"},
		"an entry of another definition": {[]client.Object{newExport("v1.widgets.example.com"), newSchema("v1.widgets.example.com", "others.example.com")},
			[]string{"v1.widgets.example.com"}, "which was not made from this CustomResourceDefinition"},
		"an entry that names nothing":                {[]client.Object{newExport("v1.widgets.example.com")}, []string{"v1.widgets.example.com"}, "which was not made from this CustomResourceDefinition"},
		"a schema of that name with another content": {[]client.Object{newSchema(want, key.Name)}, nil, "exists with another content"},
		"a schema of another definition":             {[]client.Object{newSchema("v1.things.example.com", "things.example.com")}, []string{want}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, append(tc.objects, definition)...)
			f.run()
			if got := f.offered(); !slices.Equal(got, tc.offered) {
				t.Errorf("offered %v, want %v", got, tc.offered)
			}
			for _, obj := range tc.objects {
				if schema, ok := obj.(*apisv1alpha1.APIResourceSchema); ok && !slices.Contains(f.schemas(), schema.Name) {
					t.Errorf("schema %s is gone", schema.Name)
				}
			}
			switch {
			case tc.told == "" && len(f.told) > 0:
				t.Errorf("told %v", f.told)
			case tc.told != "" && (len(f.told) == 0 || !strings.Contains(f.told[0], tc.told) || !strings.HasPrefix(f.told[0], "CustomResourceDefinition widgets.example.com PublishFailed: ")):
				t.Errorf("told %v, want %q", f.told, tc.told)
			}
		})
	}
}

func TestReconcile_WhatIsNoLongerPublishedStays(t *testing.T) {
	for name, stop := range map[string]func(*fixture){
		"without the annotation": func(f *fixture) {
			f.change(newDefinition("color size", func(d *apiextensionsv1.CustomResourceDefinition) { delete(d.Annotations, publish.AnnotationKey) }))
		},
		"without the definition": func(f *fixture) {
			if err := f.fake.Delete(f.t.Context(), definitions, key, nil); err != nil {
				f.t.Fatal(err)
			}
			f.run()
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, newDefinition("color"))
			f.run()
			if keys := clienttest.Keys(t)(f.forExport(t.Context(), client.Event{Type: client.Deleted, Object: newExport()})); !slices.Equal(keys, []client.Key{key}) {
				t.Errorf("the export concerns %v", keys)
			}
			before := f.offered()
			stop(f)
			if got := f.offered(); !slices.Equal(got, before) || !slices.Equal(f.schemas(), before) {
				t.Errorf("offered %v of %v, before %v", got, f.schemas(), before)
			}
			if keys := clienttest.Keys(t)(f.forExport(t.Context(), client.Event{Type: client.Deleted, Object: newExport()})); len(keys) > 0 || len(f.current) > 0 {
				t.Errorf("the export still concerns %v, and %v is kept", keys, f.current)
			}
		})
	}
}

func TestReconcile_TellsWhatIsRefused(t *testing.T) {
	f := newFixture(t, newDefinition("color"))
	f.fake.Intercept(func(verb string, gr schema.GroupResource, _ client.Key) error {
		if verb == "create" && gr == schemas {
			return apierrors.NewForbidden(gr, "x", nil)
		}
		return nil
	})
	result, err := f.reconcile(t.Context(), key)
	if err != nil || result.RequeueAfter != refusedRetry || len(f.told) != 1 {
		t.Errorf("%v, %v, told %v", result, err, f.told)
	}
	converting := newDefinition("color", func(d *apiextensionsv1.CustomResourceDefinition) {
		d.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.WebhookConverter}
	})
	f = newFixture(t, converting)
	if _, err := f.reconcile(t.Context(), key); err != nil || len(f.told) != 1 || !strings.Contains(f.told[0], "webhook without a url") {
		t.Errorf("%v, told %v", err, f.told)
	}
}
