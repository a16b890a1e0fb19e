package hostbinding

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/apiservice"
	"github.com/annex-dev/annex/controllers/multicluster"
)

var v1 = schema.GroupVersion{Group: "example.com", Version: "v1"}

type resolver map[logicalcluster.Path]logicalcluster.Name

func (r resolver) Resolve(_ context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	name, ok := r[path]
	return name, ok, nil
}

// registrar remembers what is wanted; what it says became of that is up to the test.
type registrar struct {
	wants  map[string][]schema.GroupVersion
	states map[schema.GroupVersion]apiservice.State
}

func (r *registrar) Want(owner string, gvs []schema.GroupVersion)  { r.wants[owner] = gvs }
func (r *registrar) State(gv schema.GroupVersion) apiservice.State { return r.states[gv] }
func (r *registrar) OnChange(func()) func()                        { return func() {} }

type fixture struct {
	t *testing.T
	*reconciler
	fake *clienttest.Fake
	host *registrar
}

func newFixture(t *testing.T, objects ...client.Object) *fixture {
	fake := clienttest.NewFake(objects...)
	host := &registrar{wants: map[string][]schema.GroupVersion{}, states: map[schema.GroupVersion]apiservice.State{}}
	return &fixture{t: t, fake: fake, host: host, reconciler: &reconciler{Config{
		Config: multicluster.Config{
			Client: fake, Live: fake,
			Resolver: resolver{"root:org": "host", "root:provider": "provider", "root:teams": "teams", "root:teams:a": "a"},
			IsBound:  func(schema.GroupResource) bool { return false },
		},
		Workspace: "root:org", Registrar: host,
	}}}
}

// run reconciles the HostBinding called name until nothing is written any more, and returns it.
func (f *fixture) run(name string) *annexv1alpha1.HostBinding {
	f.t.Helper()
	key := client.Key{Cluster: "host", Name: name}
	for range 5 {
		before := len(f.fake.Writes())
		if _, err := f.reconcile(f.t.Context(), key); err != nil {
			f.t.Fatal(err)
		}
		if len(f.fake.Writes()) > before {
			continue
		}
		if keys := f.fake.Mutated(); len(keys) > 0 {
			f.t.Errorf("objects of the watch cache were changed: %v", keys)
		}
		binding, err := client.Find[annexv1alpha1.HostBinding](f.t.Context(), f.fake, hostBindings, key)
		if err != nil {
			f.t.Fatal(err)
		}
		return binding
	}
	f.t.Fatalf("reconciling does not settle: %v", f.fake.Writes())
	return nil
}

func newHostBinding(name, path string) *annexv1alpha1.HostBinding {
	b := &annexv1alpha1.HostBinding{ObjectMeta: metav1.ObjectMeta{Name: name, Finalizers: []string{annexv1alpha1.HostBindingFinalizer}}}
	b.Spec.Reference.Export = &annexv1alpha1.HostBindingExport{Path: "root:provider", Name: "widgets"}
	b.Spec.Workspace.Path = path
	return clienttest.In("host", b)
}

// newExport returns an export with an identity and the schemas of its resources.
func newExport(identity string, resources ...*apisv1alpha1.APIResourceSchema) []client.Object {
	export := clienttest.In("provider", &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "widgets"}})
	export.Status.IdentityHash = identity
	objects := []client.Object{export}
	for _, s := range resources {
		export.Spec.Resources = append(export.Spec.Resources, apisv1alpha2.ResourceSchema{Group: s.Spec.Group, Name: s.Spec.Names.Plural, Schema: s.Name})
		objects = append(objects, s)
	}
	return objects
}

func newSchema(plural string, scope apiextensionsv1.ResourceScope, versions ...string) *apisv1alpha1.APIResourceSchema {
	s := &apisv1alpha1.APIResourceSchema{ObjectMeta: metav1.ObjectMeta{Name: "v1." + plural + ".example.com"}}
	s.Spec.Group, s.Spec.Scope = v1.Group, scope
	s.Spec.Names = apiextensionsv1.CustomResourceDefinitionNames{Plural: plural, Singular: plural + "1", Kind: plural, ListKind: plural + "List"}
	for i, name := range versions {
		s.Spec.Versions = append(s.Spec.Versions, apisv1alpha1.APIResourceVersion{Name: name, Storage: i == 0, Schema: runtime.RawExtension{Raw: []byte(`{"type":"object"}`)}})
	}
	return clienttest.In("provider", s)
}

func states(b *annexv1alpha1.HostBinding) string {
	var all []string
	for _, gv := range b.Status.GroupVersions {
		all = append(all, gv.Name+" "+string(gv.State))
	}
	return strings.Join(all, ", ")
}

func reason(b *annexv1alpha1.HostBinding, t conditionsv1alpha1.ConditionType) string {
	c := conditionsv1alpha1.Get(b, t)
	if c == nil {
		return ""
	}
	return strings.TrimSpace(string(c.Status) + " " + c.Reason)
}

const template = "root:teams:{namespace}"

func TestReconcile_RegistersWhatIsWrittenDown(t *testing.T) {
	f := newFixture(t, append(newExport("id", newSchema("widgets", apiextensionsv1.NamespaceScoped, "v1", "v2")), newHostBinding("b", template))...)
	if _, err := f.reconcile(t.Context(), client.Key{Cluster: "host", Name: "b"}); err != nil {
		t.Fatal(err)
	}
	if len(f.host.wants["hostbinding/b"]) > 0 {
		t.Error("registered before servers can know it")
	}
	b := f.run("b")
	if got := states(b); got != "example.com/v1 Pending, example.com/v2 Pending" || b.Status.IdentityHash != "id" || b.Status.APIExportClusterName != "provider" {
		t.Errorf("status: %+v", b.Status)
	}
	if diff := cmp.Diff([]schema.GroupVersion{v1, {Group: v1.Group, Version: "v2"}}, f.host.wants["hostbinding/b"]); diff != "" {
		t.Error(diff)
	}
	if got := reason(b, conditionsv1alpha1.ReadyCondition); got != "False "+annexv1alpha1.RegisteringReason {
		t.Errorf("Ready is %s", got)
	}
	f.host.states = map[schema.GroupVersion]apiservice.State{v1: {Phase: apiservice.Available}, {Group: v1.Group, Version: "v2"}: {Phase: apiservice.Registered, Message: "not tried"}}
	if got := states(f.run("b")); got != "example.com/v1 Available, example.com/v2 Registered" {
		t.Errorf("states: %s", got)
	}
	f.host.states[schema.GroupVersion{Group: v1.Group, Version: "v2"}] = apiservice.State{Phase: apiservice.Available}
	if got := reason(f.run("b"), conditionsv1alpha1.ReadyCondition); got != "True" {
		t.Errorf("Ready is %s", got)
	}
}

func TestReconcile_ConflictsStayWithWhoHasThem(t *testing.T) {
	objects := newExport("id", newSchema("widgets", apiextensionsv1.NamespaceScoped, "v1"))
	f := newFixture(t, append(objects, newHostBinding("first", template), newHostBinding("a-second", template))...)
	f.run("first")
	second := f.run("a-second")
	if got := states(second); got != "example.com/v1 Conflict" || reason(second, conditionsv1alpha1.ReadyCondition) != "False "+annexv1alpha1.ConflictReason {
		t.Errorf("the second has %s: %+v", got, second.Status.Conditions)
	}
	if !strings.Contains(second.Status.GroupVersions[0].Message, "HostBinding first") || len(f.host.wants["hostbinding/a-second"]) > 0 {
		t.Errorf("message %q, wants %v", second.Status.GroupVersions[0].Message, f.host.wants)
	}
	if got := states(f.run("first")); got != "example.com/v1 Pending" {
		t.Errorf("the first has %s", got)
	}
	// The host serves it: it stays wanted, for when the host lets go.
	f.host.states[v1] = apiservice.State{Phase: apiservice.Conflict, Message: "a CustomResourceDefinition"}
	first := f.run("first")
	if got := states(first); got != "example.com/v1 Conflict" || !slices.Contains(f.host.wants["hostbinding/first"], v1) {
		t.Errorf("a conflict with the host: %s, wants %v", got, f.host.wants)
	}
}

func TestReconcile_OwnGroupsAreNobodys(t *testing.T) {
	s := newSchema("widgets", apiextensionsv1.NamespaceScoped, "v1")
	s.Spec.Group = "tenancy.kcp.io"
	f := newFixture(t, append(newExport("id", s), newHostBinding("b", template))...)
	if got := states(f.run("b")); got != "tenancy.kcp.io/v1 Conflict" || len(f.host.wants["hostbinding/b"]) > 0 {
		t.Errorf("states %s, wants %v", got, f.host.wants)
	}
}

func TestReconcile_SaysWhatIsMissing(t *testing.T) {
	namespaced := newSchema("widgets", apiextensionsv1.NamespaceScoped, "v1")
	bound := clienttest.In("a", &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}})
	bound.Status.BoundResources = []apisv1alpha2.BoundAPIResource{{Group: v1.Group, Resource: "widgets", Schema: apisv1alpha2.BoundAPIResourceSchema{IdentityHash: "id"}}}
	other := bound.DeepCopy()
	other.Status.BoundResources[0].Schema.IdentityHash = "other"
	create := newHostBinding("b", "root:teams:new")
	create.Spec.Workspace.Create = &annexv1alpha1.HostBindingCreate{}
	for name, tc := range map[string]struct {
		objects []client.Object
		binding *annexv1alpha1.HostBinding
		about   conditionsv1alpha1.ConditionType
		want    string
		states  string
	}{
		"no export":                 {nil, newHostBinding("b", template), annexv1alpha1.APIExportValid, "False APIExportNotFound", ""},
		"no identity":               {newExport("", namespaced), newHostBinding("b", template), annexv1alpha1.APIExportValid, "False MissingIdentityHash", ""},
		"no resources":              {newExport("id"), newHostBinding("b", template), annexv1alpha1.APIExportValid, "False NoResources", ""},
		"no schema":                 {newExport("id", namespaced)[:1], newHostBinding("b", template), annexv1alpha1.APIExportValid, "False APIResourceSchemaInvalid", ""},
		"a cluster-scoped resource": {newExport("id", namespaced, newSchema("planets", apiextensionsv1.ClusterScoped, "v3")), newHostBinding("b", template), annexv1alpha1.WorkspaceValid, "False FixedWorkspaceRequired", "example.com/v1 Pending"},
		"the same, fixed":           {append(newExport("id", namespaced, newSchema("planets", apiextensionsv1.ClusterScoped, "v3")), bound), newHostBinding("b", "root:teams:a"), annexv1alpha1.WorkspaceValid, "True", "example.com/v1 Pending, example.com/v3 Pending"},
		"no workspace":              {newExport("id", namespaced), newHostBinding("b", "root:nowhere"), annexv1alpha1.WorkspaceValid, "False WorkspaceNotFound", "example.com/v1 Pending"},
		"no parent":                 {newExport("id", namespaced), newHostBinding("b", "root:nowhere:{namespace}"), annexv1alpha1.WorkspaceValid, "False WorkspaceNotFound", "example.com/v1 Pending"},
		"one that is made":          {newExport("id", namespaced), create, annexv1alpha1.WorkspaceValid, "True", "example.com/v1 Pending"},
		"no binding":                {newExport("id", namespaced), newHostBinding("b", "root:teams:a"), annexv1alpha1.WorkspaceValid, "False APINotBound", "example.com/v1 Pending"},
		"a binding to another":      {append(newExport("id", namespaced), other), newHostBinding("b", "root:teams:a"), annexv1alpha1.WorkspaceValid, "False APINotBound", "example.com/v1 Pending"},
		"a binding":                 {append(newExport("id", namespaced), bound), newHostBinding("b", "root:teams:a"), annexv1alpha1.WorkspaceValid, "True", "example.com/v1 Pending"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t, append(tc.objects, tc.binding)...).run("b")
			if got := reason(b, tc.about); got != tc.want || states(b) != tc.states {
				t.Errorf("%s is %q, want %q; group versions %q, want %q", tc.about, got, tc.want, states(b), tc.states)
			}
		})
	}
}

// What cannot be projected is named, with the reason, and keeps nothing else from being projected.
func TestReconcile_SaysWhatIsNotProjected(t *testing.T) {
	namespaced, virtual := newSchema("widgets", apiextensionsv1.NamespaceScoped, "v1"), newSchema("flavors", apiextensionsv1.ClusterScoped, "v2")
	mixed := newExport("id", namespaced, virtual)
	export := mixed[0].(*apisv1alpha2.APIExport)
	export.Spec.Resources[1].Storage.Virtual = &apisv1alpha2.ResourceSchemaStorageVirtual{}
	b := newFixture(t, append(mixed, newHostBinding("b", template))...).run("b")
	if got := reason(b, annexv1alpha1.ResourcesProjected); got != "False NotProjectable" || states(b) != "example.com/v1 Pending" {
		t.Errorf("%q, group versions %q", got, states(b))
	}
	if c := conditionsv1alpha1.Get(b, annexv1alpha1.ResourcesProjected); c == nil || !strings.HasPrefix(c.Message, "flavors.example.com has virtual storage") {
		t.Errorf("got %+v", c)
	}
	if c := conditionsv1alpha1.Get(b, conditionsv1alpha1.ReadyCondition); c == nil || c.Reason == annexv1alpha1.NotProjectableReason {
		t.Errorf("Ready is %+v", c)
	}
	all := newFixture(t, append(newExport("id", namespaced), newHostBinding("b", template))...).run("b")
	if got := reason(all, annexv1alpha1.ResourcesProjected); got != "True" {
		t.Errorf("if everything is projected: %q", got)
	}

	// Nothing of root's own exports is.
	roots := clienttest.In(logicalcluster.Root, &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "tenancy.kcp.io"}})
	roots.Status.IdentityHash = "id"
	roots.Spec.Resources = []apisv1alpha2.ResourceSchema{{Group: "tenancy.kcp.io", Name: "workspaces", Schema: "v1.workspaces.tenancy.kcp.io"}}
	binding := newHostBinding("b", template)
	binding.Spec.Reference.Export = &annexv1alpha1.HostBindingExport{Path: "root", Name: "tenancy.kcp.io"}
	f := newFixture(t, roots, binding)
	f.Resolver, f.IsBound = resolver{"root:org": "host", "root": logicalcluster.Root}, func(gr schema.GroupResource) bool { return gr.Group == "tenancy.kcp.io" }
	none := f.run("b")
	c := conditionsv1alpha1.Get(none, annexv1alpha1.APIExportValid)
	if c == nil || c.Reason != annexv1alpha1.NoResourcesReason || !strings.Contains(c.Message, "workspaces.tenancy.kcp.io is one of the server's own resources") {
		t.Errorf("got %+v", c)
	}
}

func TestReconcile_LetsGo(t *testing.T) {
	now := metav1.Now()
	going := newHostBinding("b", template)
	going.DeletionTimestamp = &now
	going.Status.GroupVersions = []annexv1alpha1.HostGroupVersion{{Name: v1.String(), State: annexv1alpha1.HostGroupVersionAvailable}}
	f := newFixture(t, append(newExport("id", newSchema("widgets", apiextensionsv1.NamespaceScoped, "v1")), going)...)
	f.host.wants["hostbinding/b"] = []schema.GroupVersion{v1}
	f.host.states[v1] = apiservice.State{Phase: apiservice.Available}
	if b := f.run("b"); b == nil || len(b.Finalizers) == 0 || len(f.host.wants["hostbinding/b"]) > 0 {
		t.Errorf("while the host still forwards: %v, wants %v", b, f.host.wants)
	}
	f.host.states[v1] = apiservice.State{}
	if b := f.run("b"); b != nil && len(b.Finalizers) > 0 {
		t.Errorf("kept: %v", b.Finalizers)
	}
}

// Nothing is registered for what lies in other workspaces, nor, unasked, without a registrar.
func TestReconcile_OnlyInTheHostWorkspace(t *testing.T) {
	stray := newHostBinding("b", template)
	f := newFixture(t, append(newExport("id", newSchema("widgets", apiextensionsv1.NamespaceScoped, "v1")), clienttest.In("elsewhere", stray))...)
	if _, err := f.reconcile(t.Context(), client.Key{Cluster: "elsewhere", Name: "b"}); err != nil || len(f.fake.Writes()) > 0 || len(f.host.wants) > 0 {
		t.Errorf("%v: writes %v, wants %v", err, f.fake.Writes(), f.host.wants)
	}
	f = newFixture(t, append(newExport("id", newSchema("widgets", apiextensionsv1.NamespaceScoped, "v1")), newHostBinding("b", template))...)
	f.Registrar = nil
	b := f.run("b")
	if got := reason(b, annexv1alpha1.GroupVersionsRegistered); got != "Unknown "+annexv1alpha1.NotManagedReason || states(b) != "example.com/v1 Pending" {
		t.Errorf("without a registrar: %s, %s", got, states(b))
	}
}

// Somebody else's workspace gets the path of the provider: the host does not project its API.
func TestReconcile_HoldsToItsProvider(t *testing.T) {
	for name, label := range map[string]string{"with its label": identity.ExportLabelValue("provider", "widgets"), "of an earlier version": ""} {
		t.Run(name, func(t *testing.T) {
			labeled := newHostBinding("b", template)
			if label != "" {
				labeled.Labels = map[string]string{apisv1alpha2.InternalAPIBindingExportLabelKey: label}
			}
			objects := newExport("id", newSchema("widgets", apiextensionsv1.NamespaceScoped, "v1"))
			for _, object := range newExport("stranger", newSchema("widgets", apiextensionsv1.NamespaceScoped, "v1")) {
				objects = append(objects, clienttest.In("next", object))
			}
			f := newFixture(t, append(objects, labeled)...)
			if got := states(f.run("b")); got != "example.com/v1 Pending" {
				t.Fatalf("states: %s", got)
			}
			paths := f.Resolver.(resolver)
			delete(paths, "root:provider")
			if b := f.run("b"); reason(b, annexv1alpha1.APIExportValid) != "False APIExportNotFound" {
				t.Errorf("without the workspace: %+v", b.Status)
			}
			paths["root:provider"] = "next"
			b := f.run("b")
			if reason(b, annexv1alpha1.APIExportValid) != "False ProviderChanged" || states(b) != "" || b.Status.IdentityHash != "" || len(f.host.wants["hostbinding/b"]) > 0 {
				t.Errorf("with the workspace of somebody else: %+v", b.Status)
			}
			accepted := b.DeepCopy()
			accepted.Labels = map[string]string{apisv1alpha2.InternalAPIBindingExportLabelKey: identity.ExportLabelValue("next", "widgets")}
			if _, err := f.fake.Update(t.Context(), hostBindings, "host", accepted); err != nil {
				t.Fatal(err)
			}
			if b := f.run("b"); b.Status.APIExportClusterName != "next" || states(b) != "example.com/v1 Pending" {
				t.Errorf("accepted: %+v", b.Status)
			}
		})
	}
}
