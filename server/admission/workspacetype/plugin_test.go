package workspacetype

import (
	"context"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	admissiontesting "k8s.io/apiserver/pkg/admission/testing"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/tenancy/typeresolution"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/server/admission/tree"
)

type paths map[logicalcluster.Path]logicalcluster.Name

func (p paths) Resolve(_ context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	name, found := p[path]
	return name, found, nil
}

// mayBind lists "cluster/export" that everybody may bind; it notes who asked.
type mayBind struct {
	allowed []string
	asked   *user.Info
}

func (m mayBind) Authorize(_ context.Context, cluster logicalcluster.Name, a authorizer.Attributes) (authorizer.Decision, string, error) {
	*m.asked = a.GetUser()
	for _, allowed := range m.allowed {
		if allowed == cluster.String()+"/"+a.GetName() && a.GetVerb() == "bind" && a.GetResource() == "apiexports" {
			return authorizer.DecisionAllow, "", nil
		}
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func newType(name string, refs ...tenancyv1alpha1.APIExportReference) *tenancyv1alpha1.WorkspaceType {
	return &tenancyv1alpha1.WorkspaceType{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: tenancyv1alpha1.WorkspaceTypeSpec{DefaultAPIBindings: refs}}
}

func TestValidate(t *testing.T) {
	ref := func(path, export string) tenancyv1alpha1.APIExportReference {
		return tenancyv1alpha1.APIExportReference{Path: path, Export: export}
	}
	alice := &user.DefaultInfo{Name: "alice"}
	for name, tc := range map[string]struct {
		in       logicalcluster.Name
		wt, old  *tenancyv1alpha1.WorkspaceType
		by       user.Info
		wantText string
	}{
		"plain":                        {in: "orgid", wt: newType("x")},
		"root in root":                 {in: "root", wt: newType("root")},
		"root elsewhere":               {in: "orgid", wt: newType("root"), wantText: "only in the root workspace"},
		"may bind":                     {in: "orgid", wt: newType("x", ref("root", "open"))},
		"own export":                   {in: "orgid", wt: newType("x", ref("", "own"))},
		"may not bind":                 {in: "orgid", wt: newType("x", ref("root", "closed")), wantText: "no permission to bind to export root:closed"},
		"may bind what does not exist": {in: "orgid", wt: newType("x", ref("root", "ghost")), wantText: "no permission to bind to export root:ghost"},
		"unknown workspace":            {in: "orgid", wt: newType("x", ref("root:no", "open")), wantText: "no permission to bind to export root:no:open"},
		"masters":                      {in: "orgid", wt: newType("x", ref("root", "closed")), by: &user.DefaultInfo{Groups: []string{user.SystemPrivilegedGroup}}},
		"was there before":             {in: "orgid", wt: newType("x", ref("root", "closed")), old: newType("x", ref("root", "closed"))},
		"added":                        {in: "orgid", wt: newType("x", ref("root", "open"), ref("root", "closed")), old: newType("x", ref("root", "open")), wantText: "no permission"},
	} {
		t.Run(name, func(t *testing.T) {
			export := func(in logicalcluster.Name, name string) *apisv1alpha2.APIExport {
				return clienttest.In(in, &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: name}})
			}
			fake := clienttest.NewFake(export("root", "open"), export("root", "closed"), export("orgid", "own"))
			var asked user.Info
			plugin := New(&tree.Tree{Cached: fake, Live: fake, Resolver: paths{"root": "root", "orgid": "orgid"}},
				mayBind{allowed: []string{"root/open", "root/ghost", "orgid/own"}, asked: &asked}).(interface {
				admission.MutationInterface
				admission.ValidationInterface
			})
			by := tc.by
			if by == nil {
				by = alice
			}
			var old runtime.Object
			op := admission.Create
			if tc.old != nil {
				old, op = tc.old, admission.Update
			}
			a := admission.NewAttributesRecord(tc.wt, old, tenancyv1alpha1.SchemeGroupVersion.WithKind("WorkspaceType"), "", tc.wt.Name,
				tenancyv1alpha1.SchemeGroupVersion.WithResource("workspacetypes"), "", op, nil, false, by)
			ctx := logicalcluster.WithCluster(t.Context(), tc.in)
			if err := admissiontesting.WithReinvocationTesting(t, plugin).Admit(ctx, a, nil); err != nil {
				t.Fatal(err)
			}
			err := plugin.Validate(ctx, a, nil)
			if tc.wantText == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), tc.wantText) {
				t.Errorf("got %v, want Forbidden with %q", err, tc.wantText)
			}
		})
	}
}

// A type records for which cluster its author was allowed to bind an export, and nobody else says so.
func TestAdmit_RecordsForWhichClusterAnExportWasAllowed(t *testing.T) {
	open, own := tenancyv1alpha1.APIExportReference{Path: "root:provider", Export: "open"}, tenancyv1alpha1.APIExportReference{Export: "own"}
	resolved := paths{"root:provider": "first", "orgid": "orgid"}
	checker := New(&tree.Tree{Resolver: resolved}, nil).(*plugin)
	admit := func(wt, old *tenancyv1alpha1.WorkspaceType) *tenancyv1alpha1.WorkspaceType {
		t.Helper()
		var before runtime.Object
		op := admission.Create
		if old != nil {
			before, op = old, admission.Update
		}
		a := admission.NewAttributesRecord(wt, before, tenancyv1alpha1.SchemeGroupVersion.WithKind("WorkspaceType"), "", wt.Name,
			tenancyv1alpha1.SchemeGroupVersion.WithResource("workspacetypes"), "", op, nil, false, &user.DefaultInfo{Name: "alice"})
		if err := checker.Admit(logicalcluster.WithCluster(t.Context(), "orgid"), a, nil); err != nil {
			t.Fatal(err)
		}
		return wt
	}
	check := func(what string, wt *tenancyv1alpha1.WorkspaceType, ref tenancyv1alpha1.APIExportReference, want logicalcluster.Name) {
		t.Helper()
		if got := typeresolution.ClusterOf(wt, ref); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	forged := newType("x", open)
	forged.Annotations = map[string]string{tenancyv1alpha1.DefaultExportClustersAnnotationKey: `{"root:provider:open":"second"}`}
	created := admit(forged.DeepCopy(), nil)
	check("forged", created, open, "first")

	resolved["root:provider"] = "second"
	updated := admit(newType("x", open, own), created)
	check("kept", updated, open, "first")
	check("added", updated, own, "orgid")
	check("forged in an update", admit(forged.DeepCopy(), created), open, "first")
	check("forged in a type of an earlier version", admit(forged.DeepCopy(), newType("x", open)), open, "")
	removed := admit(newType("x"), created)
	if len(removed.Annotations) > 0 {
		t.Errorf("without default bindings: %v", removed.Annotations)
	}
	check("added again", admit(newType("x", open), removed), open, "second")
}

// TestValidate_ServiceAccountsAreOfTheirCluster has a ServiceAccount, impersonated and thus without a note of its origin, ask in
// another cluster: it must not pass for the account of the same name there.
func TestValidate_ServiceAccountsAreOfTheirCluster(t *testing.T) {
	fake := clienttest.NewFake(clienttest.In("root", &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "open"}}))
	var asked user.Info
	checker := New(&tree.Tree{Cached: fake, Live: fake, Resolver: paths{"root": "root"}}, mayBind{allowed: []string{"root/open"}, asked: &asked}).(*plugin)
	wt := newType("x", tenancyv1alpha1.APIExportReference{Path: "root", Export: "open"})
	a := admission.NewAttributesRecord(wt, nil, tenancyv1alpha1.SchemeGroupVersion.WithKind("WorkspaceType"), "", "x",
		tenancyv1alpha1.SchemeGroupVersion.WithResource("workspacetypes"), "", admission.Create, nil, false,
		&user.DefaultInfo{Name: "system:serviceaccount:default:default"})
	ctx := logicalcluster.WithCluster(t.Context(), "orgid")
	if err := checker.Admit(ctx, a, nil); err != nil {
		t.Fatal(err)
	}
	if err := checker.Validate(ctx, a, nil); err != nil {
		t.Fatal(err)
	}
	if got := asked.GetExtra()["authentication.kcp.io/cluster-name"]; len(got) != 1 || got[0] != "orgid" {
		t.Errorf("asked as an account of %v", got)
	}
}
