package storagemigration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

const (
	provider = logicalcluster.Name("provider")
	hash     = "the-identity"
)

var widgets = schema.GroupResource{Group: "example.com", Resource: "widgets"}

// content shows custom resources in a bucket.
type content struct {
	*clienttest.Content
	bucket string
	looks  int
	// looked is called after each look.
	looked func(n int)
	// rewrite is asked before each object is rewritten, and retire before each version is retired; nil for nothing.
	rewrite func(client.Head) error
	retire  func(client.Retirement) error
}

func (c *content) Stored(ctx context.Context, scope client.ContentScope, visit func(client.Head, *unstructured.Unstructured) error) error {
	wanted := scope.Wanted
	scope.Wanted = func(gr schema.GroupResource, _ string) bool { return wanted(gr, c.bucket) }
	err := c.Content.Stored(ctx, scope, func(h client.Head, stored *unstructured.Unstructured) error {
		if strings.HasPrefix(h.Name, "broken") {
			stored = nil
		}
		return visit(h, stored)
	})
	if c.looks++; c.looked != nil {
		c.looked(c.looks)
	}
	return err
}

func (c *content) Rewrite(ctx context.Context, h client.Head, version string) error {
	if c.rewrite != nil {
		if err := c.rewrite(h); err != nil {
			return err
		}
	}
	return c.Content.Rewrite(ctx, h, version)
}

func (c *content) Retire(ctx context.Context, r client.Retirement) error {
	if c.retire != nil {
		if err := c.retire(r); err != nil {
			return err
		}
	}
	return c.Content.Retire(ctx, r)
}

type fixture struct {
	t *testing.T
	*reconciler
	fake    *clienttest.Fake
	content *content
	clock   time.Time
	step    time.Duration // that each look at the clock takes
}

func newSchema(name string, versions ...string) *apisv1alpha1.APIResourceSchema {
	s := clienttest.In(provider, &apisv1alpha1.APIResourceSchema{ObjectMeta: metav1.ObjectMeta{Name: name + ".widgets.example.com", UID: types.UID(name)}})
	s.Spec.Group, s.Spec.Names.Plural = widgets.Group, widgets.Resource
	for i, v := range versions {
		s.Spec.Versions = append(s.Spec.Versions, apisv1alpha1.APIResourceVersion{Name: v, Storage: i == 0})
	}
	return s
}

func newBinding(cluster logicalcluster.Name, schema string, stored ...string) *apisv1alpha2.APIBinding {
	b := clienttest.In(cluster, &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: "widgets"}})
	b.Labels = map[string]string{apisv1alpha2.InternalAPIBindingExportLabelKey: identity.ExportLabelValue(provider, "widgets")}
	b.Status.BoundResources = []apisv1alpha2.BoundAPIResource{{
		Group: "example.com", Resource: "widgets", StorageVersions: stored, Schema: apisv1alpha2.BoundAPIResourceSchema{Name: schema + ".widgets.example.com", UID: schema, IdentityHash: hash},
	}}
	return b
}

func newWidget(cluster logicalcluster.Name, name, version string) client.Object {
	return clienttest.In(cluster, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/" + version, "kind": "Widget", "metadata": map[string]any{"namespace": "default", "name": name, "uid": cluster.String() + name},
	}})
}

func newMigration(name string) *annexv1alpha1.APIStorageMigration {
	m := clienttest.In(provider, &annexv1alpha1.APIStorageMigration{ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1}})
	m.Spec.Export, m.Spec.Resource = "widgets", "widgets.example.com"
	return m
}

// newFixture has an APIExport whose schema stores v2 and also has v1.
func newFixture(t *testing.T, objects ...client.Object) *fixture {
	export := clienttest.In(provider, &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "widgets"}})
	export.Spec.Resources = []apisv1alpha2.ResourceSchema{{Group: "example.com", Name: "widgets", Schema: "new.widgets.example.com"}}
	export.Status.IdentityHash = hash
	for _, obj := range objects {
		if binding, ok := obj.(*apisv1alpha2.APIBinding); ok {
			lc := clienttest.In(logicalcluster.From(binding), &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: corev1alpha1.LogicalClusterName}})
			lc.Annotations[corev1alpha1.LogicalClusterInactiveAnnotationKey] = binding.Annotations["test/off"]
			objects = append(objects, lc)
		}
	}
	objects = append(objects, export, newSchema("old", "v1"), newSchema("new", "v2", "v1"))
	f := &fixture{t: t, fake: clienttest.NewFake(objects...), clock: time.Unix(1_000_000, 0), step: time.Millisecond}
	f.content = &content{Content: clienttest.NewContent(f.fake), bucket: hash}
	f.restart()
	return f
}

// restart forgets what is only in memory.
func (f *fixture) restart() {
	f.reconciler = newReconciler(multicluster.Config{Client: f.fake, Live: f.fake, Content: f.content})
	f.rate = rate.NewLimiter(rate.Inf, 1)
	f.now = func() time.Time {
		f.clock = f.clock.Add(f.step)
		return f.clock
	}
}

func at(name string) client.Key { return client.Key{Cluster: provider, Name: name} }

func (f *fixture) turn(name string) reconcile.Result {
	f.t.Helper()
	result, err := f.reconcile(f.t.Context(), at(name))
	if err != nil {
		f.t.Fatal(err)
	}
	return result
}

func (f *fixture) get(name string) *annexv1alpha1.APIStorageMigration {
	f.t.Helper()
	m, err := client.Find[annexv1alpha1.APIStorageMigration](f.t.Context(), f.fake, migrations, at(name))
	if err != nil {
		f.t.Fatal(err)
	}
	return m
}

// finish reconciles until the migration has ended.
func (f *fixture) finish(name string) *annexv1alpha1.APIStorageMigration {
	f.t.Helper()
	for range 2_000 {
		if result := f.turn(name); result.RequeueAfter == 0 {
			return f.get(name)
		}
	}
	f.t.Fatalf("%s does not end: %+v", name, f.get(name).Status)
	return nil
}

func status(m *annexv1alpha1.APIStorageMigration, t conditionsv1alpha1.ConditionType) string {
	c := conditionsv1alpha1.Get(m, t)
	if c == nil {
		return ""
	}
	return strings.TrimSpace(string(c.Status) + " " + c.Reason)
}

// want compares how migration m has ended.
func (f *fixture) want(phase annexv1alpha1.APIStorageMigrationPhase, reason, counts string) {
	f.t.Helper()
	m := f.get("m")
	complete, failed := "False "+reason, "True "+reason
	if reason == "" {
		complete, failed = "True", "False Completed"
	}
	c, o := m.Status.Consumers, m.Status.Objects
	got := fmt.Sprintf("%d migrated, %d behind, %d failed of %d; %d seen, %d rewritten, %d failed", c.Migrated, c.Behind, c.Failed, c.Total, o.Seen, o.Rewritten, o.Failed)
	if m.Status.Phase != phase || status(m, annexv1alpha1.MigrationComplete) != complete || status(m, annexv1alpha1.MigrationFailed) != failed || got != counts {
		f.t.Errorf("%s, Complete %s, Failed %s: %s\nwant %s %q: %s\n%+v", m.Status.Phase, status(m, annexv1alpha1.MigrationComplete), status(m, annexv1alpha1.MigrationFailed), got,
			phase, reason, counts, m.Status.Failures)
	}
	if f.underway.Len() > 0 && phase != annexv1alpha1.APIStorageMigrationRunning {
		f.t.Error("it is kept in memory")
	}
}

// stored returns what a consumer stores, as name:version, and the versions that its binding lists.
func (f *fixture) stored(cluster logicalcluster.Name) (objects, listed string) {
	f.t.Helper()
	all, err := f.fake.List(f.t.Context(), widgets, client.Scope{Cluster: cluster})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, obj := range all {
		objects += " " + obj.GetName() + ":" + obj.(*unstructured.Unstructured).GroupVersionKind().Version
	}
	binding, err := client.Find[apisv1alpha2.APIBinding](f.t.Context(), f.fake, bindings, client.Key{Cluster: cluster, Name: "widgets"})
	if err != nil {
		f.t.Fatal(err)
	}
	if binding != nil {
		listed = strings.Join(binding.Status.BoundResources[0].StorageVersions, ",")
	}
	return strings.TrimSpace(objects), listed
}

func (f *fixture) wantStored(cluster logicalcluster.Name, wantObjects, wantListed string) {
	f.t.Helper()
	if objects, listed := f.stored(cluster); objects != wantObjects || listed != wantListed {
		f.t.Errorf("%s stores %q and lists %q, want %q and %q", cluster, objects, listed, wantObjects, wantListed)
	}
}

func TestReconcile_RewritesAndRetires(t *testing.T) {
	f := newFixture(t, newMigration("m"), newBinding("c1", "new", "v1", "v2"), newBinding("c2", "new", "v2"), newBinding("c3", "new", "v1", "v2"),
		newWidget("c1", "a", "v1"), newWidget("c1", "b", "v2"), newWidget("c1", "c", "v1"), newWidget("c2", "a", "v2"), newWidget("other", "a", "v1"))
	f.finish("m")
	f.want(annexv1alpha1.APIStorageMigrationComplete, "", "3 migrated, 0 behind, 0 failed of 3; 4 seen, 2 rewritten, 0 failed")
	f.wantStored("c1", "a:v2 b:v2 c:v2", "v2")
	f.wantStored("c2", "a:v2", "v2")
	f.wantStored("c3", "", "v2")
	f.wantStored("other", "a:v1", "") // has not bound the export
	var retired []string
	for _, r := range f.content.Retired() {
		if r.Resource != widgets || r.Bucket != hash || r.Owner != bindings || r.OwnerName != "widgets" || r.ResourceVersion == "" {
			t.Errorf("retired %+v", r)
		}
		retired = append(retired, r.Cluster.String()+":"+r.Version)
	}
	if !slices.Equal(retired, []string{"c1:v1", "c3:v1"}) {
		t.Errorf("retired %q", retired)
	}
	if m := f.get("m"); m.Status.Schema != "new.widgets.example.com" || m.Status.Version != "v2" || m.Status.CompletionTime == nil || status(m, annexv1alpha1.MigrationValid) != "True" {
		t.Errorf("%+v", m.Status)
	}
	before := len(f.fake.Writes())
	f.turn("m")
	if after := len(f.fake.Writes()); after != before {
		t.Error("it goes on after it is complete")
	}
}

func TestReconcile_RewritesObjectsOfADefinition(t *testing.T) {
	m := newMigration("m")
	m.Spec.Export = ""
	crd := clienttest.In(provider, &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "widgets.example.com", UID: "crd"}})
	crd.Spec.Versions = []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1"}, {Name: "v2", Storage: true}}
	crd.Status.StoredVersions = []string{"v1", "v2"}
	crd.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionTrue}}
	f := newFixture(t, m, crd, newWidget(provider, "a", "v1"))
	f.content.bucket = client.LocalBucket
	f.finish("m")
	f.want(annexv1alpha1.APIStorageMigrationComplete, "", "1 migrated, 0 behind, 0 failed of 1; 1 seen, 1 rewritten, 0 failed")
	f.wantStored(provider, "a:v2", "")
	found, err := client.Find[apiextensionsv1.CustomResourceDefinition](t.Context(), f.fake, definitions, client.Key{Cluster: provider, Name: "widgets.example.com"})
	if err != nil || !slices.Equal(found.Status.StoredVersions, []string{"v2"}) {
		t.Errorf("%v, %v", found, err)
	}
	if r := f.content.Retired(); len(r) != 1 || r[0].Owner != definitions || r[0].Bucket != client.LocalBucket {
		t.Errorf("retired %+v", r)
	}
}

func TestReconcile_Faults(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*annexv1alpha1.APIStorageMigration)
		want   string
	}{
		"no export":     {func(m *annexv1alpha1.APIStorageMigration) { m.Spec.Export = "none" }, annexv1alpha1.APIExportNotFoundReason},
		"no resource":   {func(m *annexv1alpha1.APIStorageMigration) { m.Spec.Resource = "gears.example.com" }, annexv1alpha1.ResourceNotFoundReason},
		"no definition": {func(m *annexv1alpha1.APIStorageMigration) { m.Spec.Export = "" }, annexv1alpha1.ResourceNotFoundReason},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMigration("m")
			tc.change(m)
			f := newFixture(t, m, newBinding("c1", "new", "v1", "v2"), newWidget("c1", "a", "v1"))
			if m = f.finish("m"); m.Status.Phase != annexv1alpha1.APIStorageMigrationFailed || status(m, annexv1alpha1.MigrationValid) != "False "+tc.want || status(m, annexv1alpha1.MigrationFailed) != "True "+tc.want {
				t.Errorf("%+v", m.Status)
			}
			f.wantStored("c1", "a:v1", "v1,v2")
		})
	}
}

// A consumer that waits for the schema keeps what it has: fields that only the new schema knows would be lost.
func TestReconcile_LeavesConsumersAloneThatAreBehind(t *testing.T) {
	f := newFixture(t, newMigration("m"), newBinding("c1", "old", "v1"), newBinding("c2", "new", "v1", "v2"), newWidget("c1", "a", "v2"), newWidget("c2", "a", "v1"))
	f.finish("m")
	f.want(annexv1alpha1.APIStorageMigrationFailed, annexv1alpha1.MigrationConsumersBehindReason, "1 migrated, 1 behind, 0 failed of 2; 1 seen, 1 rewritten, 0 failed")
	f.wantStored("c1", "a:v2", "v1")
	f.wantStored("c2", "a:v2", "v2")
}

func TestReconcile_NamesFailures(t *testing.T) {
	f := newFixture(t, newMigration("m"), newBinding("c1", "new", "v1", "v2"), newBinding("c2", "new", "v1", "v2"), newBinding("c3", "new", "v1", "v2"),
		newWidget("c1", "bad", "v1"), newWidget("c1", "good", "v1"), newWidget("c2", "broken", "v1"), newWidget("c3", "good", "v1"))
	f.content.rewrite = func(h client.Head) error {
		if h.Name == "bad" {
			return &client.NotRewrittenError{Reason: "cannot be converted"}
		}
		return nil
	}
	m := f.finish("m")
	f.want(annexv1alpha1.APIStorageMigrationFailed, annexv1alpha1.MigrationObjectsFailedReason, "1 migrated, 0 behind, 2 failed of 3; 4 seen, 2 rewritten, 2 failed")
	f.wantStored("c1", "bad:v1 good:v2", "v1,v2")
	f.wantStored("c3", "good:v2", "v2")
	want := []annexv1alpha1.APIStorageMigrationFailure{
		{Cluster: "c1", Namespace: "default", Name: "bad", Version: "v1", Message: "cannot be converted"}, {Cluster: "c2", Namespace: "default", Name: "broken", Message: "cannot be read"},
	}
	if !slices.Equal(m.Status.Failures, want) {
		t.Errorf("%+v", m.Status.Failures)
	}
}

// Providers do not see what is in workspaces that are switched off.
func TestReconcile_NamesNothingOfWhatIsSwitchedOff(t *testing.T) {
	off := newBinding("c1", "new", "v1", "v2")
	off.Annotations["test/off"] = "true"
	f := newFixture(t, newMigration("m"), off, newWidget("c1", "bad1", "v1"), newWidget("c1", "bad2", "v1"), newWidget("c1", "good", "v1"))
	f.content.rewrite = func(h client.Head) error {
		if strings.HasPrefix(h.Name, "bad") {
			return &client.NotRewrittenError{Reason: "cannot be converted"}
		}
		return nil
	}
	m := f.finish("m")
	f.want(annexv1alpha1.APIStorageMigrationFailed, annexv1alpha1.MigrationObjectsFailedReason, "0 migrated, 0 behind, 1 failed of 1; 3 seen, 1 rewritten, 2 failed")
	if len(m.Status.Failures) != 1 || m.Status.Failures[0].Name != "" || m.Status.Failures[0].Cluster != "c1" {
		t.Errorf("%+v", m.Status.Failures)
	}
}

// One consumer with many objects that fail must not hold up others, nor fill the status.
func TestReconcile_BoundsFailures(t *testing.T) {
	objects := []client.Object{newMigration("m")}
	for i := range 15 {
		cluster := logicalcluster.Name(fmt.Sprintf("c%02d", i))
		objects = append(objects, newBinding(cluster, "new", "v1", "v2"))
		for j := range 30 {
			objects = append(objects, newWidget(cluster, fmt.Sprint("w", j), "v1"))
		}
	}
	f := newFixture(t, objects...)
	tried := 0
	f.content.rewrite = func(h client.Head) error {
		if h.Cluster == "c14" {
			return nil
		}
		tried++
		return &client.NotRewrittenError{Reason: "cannot be converted"}
	}
	m := f.finish("m")
	f.want(annexv1alpha1.APIStorageMigrationFailed, annexv1alpha1.MigrationObjectsFailedReason, "1 migrated, 0 behind, 14 failed of 15; 450 seen, 30 rewritten, 140 failed")
	if len(m.Status.Failures) != annexv1alpha1.MaxMigrationFailures || tried != 140 {
		t.Errorf("%d failures, %d tries", len(m.Status.Failures), tried)
	}
}

// Neither does one whose list of versions cannot be changed, or one that is gone.
func TestReconcile_GoesOnAfterAConsumerThatRefuses(t *testing.T) {
	f := newFixture(t, newMigration("m"), newBinding("c1", "new", "v1", "v2"), newBinding("c2", "new", "v1", "v2"), newBinding("c3", "new", "v1", "v2"), newWidget("c1", "a", "v1"))
	f.content.retire = func(r client.Retirement) error {
		switch r.Cluster {
		case "c1":
			return apierrors.NewForbidden(widgets, "", errors.New("too many"))
		case "c2":
			return apierrors.NewNotFound(widgets, "")
		}
		return nil
	}
	m := f.finish("m")
	f.want(annexv1alpha1.APIStorageMigrationFailed, annexv1alpha1.MigrationObjectsFailedReason, "2 migrated, 0 behind, 1 failed of 3; 1 seen, 1 rewritten, 0 failed")
	f.wantStored("c1", "a:v2", "v1,v2")
	f.wantStored("c3", "", "v2")
	if len(m.Status.Failures) != 1 || m.Status.Failures[0].Cluster != "c1" {
		t.Errorf("%+v", m.Status.Failures)
	}
}

// What others write in the old version, after it was looked at and before that version is retired, is found.
func TestReconcile_FindsWhatIsWrittenMeanwhile(t *testing.T) {
	f := newFixture(t, newMigration("m"), newBinding("c1", "new", "v1", "v2"), newWidget("c1", "a", "v1"))
	f.content.looked = func(n int) {
		if n > 2 {
			return
		}
		if _, err := f.fake.Create(t.Context(), widgets, "c1", newWidget("c1", fmt.Sprint("late", n), "v1")); err != nil {
			t.Error(err)
		}
	}
	f.finish("m")
	f.want(annexv1alpha1.APIStorageMigrationComplete, "", "1 migrated, 0 behind, 0 failed of 1; 1 seen, 3 rewritten, 0 failed")
	f.wantStored("c1", "a:v2 late1:v2 late2:v2", "v2")
	// The last look comes after the version is retired, for the binding that is then written.
	retired := f.content.Retired()
	if len(retired) == 0 {
		t.Fatal("the version is not retired")
	}
}

// A binding that changes after the version was retired may have it used again, so nothing follows from what was found since.
func TestReconcile_LooksAgainWhenTheBindingHasChanged(t *testing.T) {
	f := newFixture(t, newMigration("m"), newBinding("c1", "new", "v1", "v2"), newWidget("c1", "a", "v2"))
	f.content.looked = func(n int) {
		if n != 2 { // the one between
			return
		}
		binding, err := client.Find[apisv1alpha2.APIBinding](t.Context(), f.fake, bindings, client.Key{Cluster: "c1", Name: "widgets"})
		if err != nil {
			t.Fatal(err)
		}
		next := binding.DeepCopy()
		next.Annotations = map[string]string{"changed": "meanwhile"}
		if _, err := f.fake.Update(t.Context(), bindings, "c1", next); err != nil {
			t.Error(err)
		}
		if _, err := f.fake.Create(t.Context(), widgets, "c1", newWidget("c1", "late", "v1")); err != nil {
			t.Error(err)
		}
	}
	f.finish("m")
	f.want(annexv1alpha1.APIStorageMigrationComplete, "", "1 migrated, 0 behind, 0 failed of 1; 1 seen, 1 rewritten, 0 failed")
	f.wantStored("c1", "a:v2 late:v2", "v2")
	retired := f.content.Retired()
	if len(retired) < 2 || retired[0].ResourceVersion == retired[len(retired)-1].ResourceVersion {
		t.Errorf("retired %+v", retired)
	}
}

func TestReconcile_BindingsThatComeMeanwhile(t *testing.T) {
	f := newFixture(t, newMigration("m"), newBinding("c1", "new", "v1", "v2"), newWidget("c1", "a", "v1"))
	f.content.rewrite = func(client.Head) error {
		f.content.rewrite = nil
		_, err := f.fake.Create(t.Context(), bindings, "c0", newBinding("c0", "old", "v1"))
		return err
	}
	f.finish("m")
	f.want(annexv1alpha1.APIStorageMigrationFailed, annexv1alpha1.MigrationConsumersBehindReason, "1 migrated, 1 behind, 0 failed of 2; 1 seen, 1 rewritten, 0 failed")
}

func TestReconcile_BeginsAgainWhenTheSchemaChanges(t *testing.T) {
	f := newFixture(t, newMigration("m"), newBinding("c1", "new", "v1", "v2"), newWidget("c1", "a", "v1"))
	f.content.rewrite = func(client.Head) error {
		f.content.rewrite = nil
		if _, err := f.fake.Create(t.Context(), schemas, provider, newSchema("next", "v3", "v2", "v1")); err != nil {
			return err
		}
		export, err := client.Find[apisv1alpha2.APIExport](t.Context(), f.fake, exports, at("widgets"))
		if err != nil {
			return err
		}
		next := export.DeepCopy()
		next.Spec.Resources[0].Schema = "next.widgets.example.com"
		if _, err := f.fake.Update(t.Context(), exports, provider, next); err != nil {
			return err
		}
		binding, err := client.Find[apisv1alpha2.APIBinding](t.Context(), f.fake, bindings, client.Key{Cluster: "c1", Name: "widgets"})
		if err != nil {
			return err
		}
		follows := binding.DeepCopy()
		found, err := client.Find[apisv1alpha1.APIResourceSchema](t.Context(), f.fake, schemas, at("next.widgets.example.com"))
		if err != nil {
			return err
		}
		follows.Status.BoundResources[0].Schema.UID, follows.Status.BoundResources[0].StorageVersions = string(found.UID), []string{"v1", "v2", "v3"}
		if _, err := f.fake.Update(t.Context(), bindings, "c1", follows); err != nil {
			return err
		}
		return apierrors.NewConflict(widgets, "a", errors.New("the cluster stores v3 now"))
	}
	f.finish("m")
	f.want(annexv1alpha1.APIStorageMigrationComplete, "", "1 migrated, 0 behind, 0 failed of 1; 1 seen, 1 rewritten, 0 failed")
	f.wantStored("c1", "a:v3", "v3")
}

func many(t *testing.T, consumers, each int) *fixture {
	objects := []client.Object{newMigration("m")}
	for i := range consumers {
		cluster := logicalcluster.Name(fmt.Sprintf("c%02d", i))
		objects = append(objects, newBinding(cluster, "new", "v1", "v2"))
		for j := range each {
			objects = append(objects, newWidget(cluster, fmt.Sprint("w", j), "v1"))
		}
	}
	return newFixture(t, objects...)
}

func TestReconcile_ContinuesAfterRestartAndShowsProgress(t *testing.T) {
	f := many(t, 3, 40)
	f.step = 200 * time.Millisecond
	for range 30 {
		f.turn("m")
	}
	first := f.get("m").Status
	if first.Phase != annexv1alpha1.APIStorageMigrationRunning || first.Objects.Rewritten == 0 || first.Objects.Rewritten >= 120 || first.Consumers.Total != 3 {
		t.Fatalf("%+v", first)
	}
	f.restart()
	f.step = time.Millisecond
	f.finish("m")
	rewritten := f.get("m").Status.Objects.Rewritten
	if rewritten+first.Objects.Rewritten > 120 || rewritten == 0 {
		t.Errorf("%d objects are rewritten before, %d after", first.Objects.Rewritten, rewritten)
	}
	f.want(annexv1alpha1.APIStorageMigrationComplete, "", fmt.Sprintf("3 migrated, 0 behind, 0 failed of 3; 120 seen, %d rewritten, 0 failed", rewritten))
}

func TestReconcile_SuspendAndResume(t *testing.T) {
	f := many(t, 2, 40)
	f.step = 200 * time.Millisecond
	for range 20 {
		f.turn("m")
	}
	set := func(suspend bool) {
		t.Helper()
		next := f.get("m").DeepCopy()
		next.Spec.Suspend = suspend
		if _, err := f.fake.Update(t.Context(), migrations, provider, next); err != nil {
			t.Fatal(err)
		}
	}
	set(true)
	f.turn("m")
	m := f.get("m")
	if m.Status.Phase != annexv1alpha1.APIStorageMigrationSuspended || status(m, annexv1alpha1.MigrationComplete) != "False "+annexv1alpha1.MigrationSuspendedReason || f.underway.Len() > 0 {
		t.Fatalf("%+v", m.Status)
	}
	all := func() string {
		first, _ := f.stored("c00")
		second, _ := f.stored("c01")
		return first + " " + second
	}
	before := all()
	if result := f.turn("m"); result.RequeueAfter != 0 {
		t.Error("it goes on")
	}
	if after := all(); after != before || !strings.Contains(before, ":v2") || !strings.Contains(before, ":v1") {
		t.Errorf("%s, then %s", before, after)
	}
	set(false)
	f.step = time.Millisecond
	f.restart()
	f.finish("m")
	rewritten := f.get("m").Status.Objects.Rewritten
	if rewritten == 80 || rewritten == 0 {
		t.Errorf("%d objects are rewritten after it is resumed", rewritten)
	}
	f.want(annexv1alpha1.APIStorageMigrationComplete, "", fmt.Sprintf("2 migrated, 0 behind, 0 failed of 2; 80 seen, %d rewritten, 0 failed", rewritten))
}

func TestReconcile_DeletionEndsIt(t *testing.T) {
	f := many(t, 2, 40)
	f.step = 200 * time.Millisecond
	f.turn("m")
	f.turn("m")
	if err := f.fake.Delete(t.Context(), migrations, at("m"), nil); err != nil {
		t.Fatal(err)
	}
	if result := f.turn("m"); result.RequeueAfter != 0 || f.underway.Len() > 0 {
		t.Error("it goes on")
	}
}

func TestReconcile_OneOfAWorkspaceAndFewAtOnce(t *testing.T) {
	f := newFixture(t, newMigration("m1"), newMigration("m2"))
	f.turn("m1")
	if result := f.turn("m2"); result.RequeueAfter != waiting || f.get("m2").Status.Phase != annexv1alpha1.APIStorageMigrationPending {
		t.Errorf("%v, %+v", result, f.get("m2").Status)
	}
	f.finish("m1")
	f.finish("m2")
	for i := range atOnce {
		if !f.underway.Begin(client.Key{Cluster: logicalcluster.Name(fmt.Sprint("p", i)), Name: "m"}, logicalcluster.Path(fmt.Sprint("p", i)), &underway{}) {
			t.Errorf("only %d begin", i)
		}
	}
	if f.underway.Begin(client.Key{Cluster: "one-more", Name: "m"}, "one-more", &underway{}) {
		t.Error("too many begin")
	}
}

func TestReconcile_FailsWhenNothingCanBeWritten(t *testing.T) {
	f := many(t, 1, 1)
	f.turn("m")
	f.content.rewrite = func(client.Head) error { return apierrors.NewServiceUnavailable("etcd is gone") }
	for range mostFailures - 1 {
		if _, err := f.reconcile(t.Context(), at("m")); err == nil {
			t.Fatal("no error")
		}
	}
	f.turn("m")
	f.want(annexv1alpha1.APIStorageMigrationFailed, annexv1alpha1.MigrationStorageReason, "0 migrated, 0 behind, 0 failed of 1; 1 seen, 0 rewritten, 0 failed")
	f.wantStored("c00", "w0:v1", "v1,v2")
}

func TestReconcile_FailsWhenItTakesTooLong(t *testing.T) {
	f := many(t, 5, 40)
	f.step = maxTime / 3
	f.finish("m")
	if m := f.get("m"); m.Status.Phase != annexv1alpha1.APIStorageMigrationFailed || status(m, annexv1alpha1.MigrationFailed) != "True "+annexv1alpha1.MigrationDeadlineExceededReason {
		t.Errorf("%+v", m.Status)
	}
}

func TestReconcile_GivesUpOnWhatChangesAllTheTime(t *testing.T) {
	f := many(t, 1, 1)
	f.content.rewrite = func(client.Head) error { return apierrors.NewConflict(widgets, "w0", errors.New("another version")) }
	f.finish("m")
	f.want(annexv1alpha1.APIStorageMigrationFailed, annexv1alpha1.MigrationObjectsFailedReason, "0 migrated, 0 behind, 1 failed of 1; 1 seen, 0 rewritten, 0 failed")
}
