package workspaceclaim

import (
	"context"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

type paths map[logicalcluster.Path]logicalcluster.Name

func (p paths) Resolve(_ context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	name, found := p[path]
	return name, found, nil
}

// grants lists who may do what: "user verb cluster/resource/name".
type grants []string

func (g grants) Authorize(_ context.Context, cluster logicalcluster.Name, a authorizer.Attributes) (authorizer.Decision, string, error) {
	asked := fmt.Sprintf("%s %s %s/%s/%s", a.GetUser().GetName(), a.GetVerb(), cluster, a.GetResource(), a.GetName())
	for _, grant := range g {
		if grant == asked && a.GetAPIGroup() == "tenancy.kcp.io" && a.IsResourceRequest() {
			return authorizer.DecisionAllow, "", nil
		}
	}
	return authorizer.DecisionNoOpinion, "", nil
}

var (
	alice   = &user.DefaultInfo{Name: "alice", UID: "1", Groups: []string{"staff"}, Extra: map[string][]string{"k": {"v"}}}
	master  = &user.DefaultInfo{Name: "admin", Groups: []string{user.SystemPrivilegedGroup}}
	account = &user.DefaultInfo{Name: "system:serviceaccount:ci:deployer", UID: "2"}
)

type fixture struct {
	paths  paths
	grants grants
	fake   *clienttest.Fake
}

func newFixture(objects ...client.Object) *fixture {
	return &fixture{paths: paths{"root:teams": "teamsid", "root:types": "typesid"}, fake: clienttest.NewFake(objects...)}
}

// send passes an object through the plugin, and returns the refusal.
func (f *fixture) send(t *testing.T, u user.Info, obj, old client.Object) error {
	t.Helper()
	p := New(Config{Authorizer: f.grants, Resolver: f.paths, Live: f.fake})
	operation, kind, resource := admission.Create, "WorkspaceClaim", "workspaceclaims"
	if _, ok := obj.(*annexv1alpha1.WorkspaceClass); ok {
		kind, resource = "WorkspaceClass", "workspaceclasses"
	}
	var before runtime.Object
	if old != nil {
		operation, before = admission.Update, old
	}
	a := admission.NewAttributesRecord(obj, before, annexv1alpha1.SchemeGroupVersion.WithKind(kind), obj.GetNamespace(), obj.GetName(),
		annexv1alpha1.SchemeGroupVersion.WithResource(resource), "", operation, &metav1.CreateOptions{}, false, u)
	ctx := logicalcluster.WithCluster(t.Context(), "host")
	if err := p.(admission.MutationInterface).Admit(ctx, a, nil); err != nil {
		return err
	}
	return p.(admission.ValidationInterface).Validate(ctx, a, nil)
}

func newClass(name string, marked bool) *annexv1alpha1.WorkspaceClass {
	class := clienttest.In("host", &annexv1alpha1.WorkspaceClass{ObjectMeta: metav1.ObjectMeta{Name: name}})
	class.Spec.Parent = "root:teams"
	class.Spec.Types = []tenancyv1alpha1.WorkspaceTypeReference{{Name: "team", Path: "root:types"}}
	if marked {
		class.Annotations[annexv1alpha1.DefaultClassAnnotationKey] = "true"
	}
	return class
}

func newClaim() *annexv1alpha1.WorkspaceClaim {
	return &annexv1alpha1.WorkspaceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "app"}}
}

const (
	mayCreate = "alice create teamsid/workspaces/"
	mayUse    = "alice use typesid/workspacetypes/team"
)

// A class gives away what its author must have.
func TestClass_NeedsWhatItGives(t *testing.T) {
	for name, tt := range map[string]struct {
		user   user.Info
		grants grants
		change func(*fixture)
		want   string
	}{
		"with both permissions": {alice, grants{mayCreate, mayUse}, nil, ""},
		"an administrator":      {master, nil, nil, ""},
		"without create":        {alice, grants{mayUse}, nil, "no permission to create workspaces in root:teams"},
		"without use":           {alice, grants{mayCreate}, nil, "no permission to use workspace type root:types:team"},
		"permissions elsewhere": {alice, grants{"alice create host/workspaces/", "alice use host/workspacetypes/team"}, nil, "no permission to create"},
		"of a missing parent":   {alice, grants{mayCreate, mayUse}, func(f *fixture) { delete(f.paths, "root:teams") }, "no permission to create workspaces in root:teams"},
		"of a missing type":     {alice, grants{mayCreate, mayUse}, func(f *fixture) { delete(f.paths, "root:types") }, "no permission to use"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			f.grants = tt.grants
			if tt.change != nil {
				tt.change(f)
			}
			class := newClass("standard", false)
			class.Annotations[annexv1alpha1.ClassClustersAnnotationKey] = "forged"
			err := f.send(t, tt.user, class, nil)
			if tt.want == "" {
				if got := class.Annotations[annexv1alpha1.ClassClustersAnnotationKey]; err != nil || got != "teamsid,typesid" {
					t.Errorf("%v: accepted for %q", err, got)
				}
				return
			}
			if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// Any change of the spec needs the permissions again. Anything else needs none, and cannot move what the class was accepted for.
func TestClass_Changes(t *testing.T) {
	f := newFixture()
	old := newClass("standard", false)
	old.Annotations[annexv1alpha1.ClassClustersAnnotationKey] = "before,typesid"
	marked := newClass("standard", true)
	marked.Annotations[annexv1alpha1.ClassClustersAnnotationKey] = "forged"
	if err := f.send(t, alice, marked, old); err != nil || marked.Annotations[annexv1alpha1.ClassClustersAnnotationKey] != "before,typesid" {
		t.Errorf("another annotation: %v, %v", err, marked.Annotations)
	}
	changed := newClass("standard", false)
	changed.Spec.Namespaces = []string{"team-a"}
	if err := f.send(t, alice, changed, old); !apierrors.IsForbidden(err) {
		t.Errorf("without permission: %v", err)
	}
	f.grants = grants{mayCreate, mayUse}
	if err := f.send(t, alice, changed, old); err != nil || changed.Annotations[annexv1alpha1.ClassClustersAnnotationKey] != "teamsid,typesid" {
		t.Errorf("with permission: %v, %v", err, changed.Annotations)
	}
}

// The server records who creates a claim, whatever the claim says.
func TestClaim_Owner(t *testing.T) {
	for name, tt := range map[string]struct {
		user user.Info
		want string
	}{
		"a user":           {alice, `{"username":"alice","uid":"1","groups":["staff"],"extra":{"k":["v"]}}`},
		"an administrator": {master, ""},
	} {
		claim := newClaim()
		claim.Annotations = map[string]string{annexv1alpha1.ClaimOwnerAnnotationKey: `{"username":"victim"}`}
		if err := newFixture(newClass("standard", true)).send(t, tt.user, claim, nil); err != nil || claim.Annotations[annexv1alpha1.ClaimOwnerAnnotationKey] != tt.want {
			t.Errorf("%s: %v, %v", name, err, claim.Annotations)
		}
	}
	// A ServiceAccount of the host workspace is not the account of the same name in the new workspace.
	claim := newClaim()
	if err := newFixture(newClass("standard", true)).send(t, account, claim, nil); err != nil {
		t.Fatal(err)
	}
	if owner := claim.Annotations[annexv1alpha1.ClaimOwnerAnnotationKey]; strings.Contains(owner, `"system:serviceaccount:ci:deployer"`) || !strings.Contains(owner, "host") {
		t.Errorf("the owner is %s", owner)
	}
	// Nobody becomes another user later.
	for _, u := range []user.Info{alice, master} {
		old := newClaim()
		old.Annotations = map[string]string{annexv1alpha1.ClaimOwnerAnnotationKey: `{"username":"victim"}`}
		claim := newClaim()
		claim.Annotations = map[string]string{annexv1alpha1.ClaimOwnerAnnotationKey: `{"username":"alice"}`}
		if err := newFixture().send(t, u, claim, old); err != nil || claim.Annotations[annexv1alpha1.ClaimOwnerAnnotationKey] != `{"username":"victim"}` {
			t.Errorf("%s: %v, %v", u.GetName(), err, claim.Annotations)
		}
	}
}

func TestClaim_Class(t *testing.T) {
	going := newClass("going", false)
	now := metav1.Now()
	going.DeletionTimestamp, going.Finalizers = &now, []string{"example.com/f"}
	elsewhere := clienttest.In("elsewhere", newClass("elsewhere", true))
	for name, tt := range map[string]struct {
		objects  []client.Object
		asked    string
		ref      *tenancyv1alpha1.WorkspaceTypeReference
		want     string
		wantName string
	}{
		"the default":             {[]client.Object{newClass("a", false), newClass("b", true)}, "", nil, "", "b"},
		"by name":                 {[]client.Object{newClass("a", false), newClass("b", true)}, "a", nil, "", "a"},
		"a type by name":          {[]client.Object{newClass("a", false)}, "a", &tenancyv1alpha1.WorkspaceTypeReference{Name: "team"}, "", "a"},
		"no class at all":         {nil, "", nil, "no WorkspaceClass is the default", ""},
		"no default":              {[]client.Object{newClass("a", false)}, "", nil, "no WorkspaceClass is the default", ""},
		"a missing one":           {[]client.Object{newClass("b", true)}, "a", nil, `WorkspaceClass "a" not found`, ""},
		"of another workspace":    {[]client.Object{elsewhere}, "", nil, "no WorkspaceClass is the default", ""},
		"one that is deleted":     {[]client.Object{going}, "going", nil, "is being deleted", ""},
		"a type it does not have": {[]client.Object{newClass("a", false)}, "a", &tenancyv1alpha1.WorkspaceTypeReference{Name: "root", Path: "root"}, "does not permit workspace type root:root", ""},
	} {
		t.Run(name, func(t *testing.T) {
			claim := newClaim()
			claim.Spec.WorkspaceClassName, claim.Spec.Type = tt.asked, tt.ref
			err := newFixture(tt.objects...).send(t, alice, claim, nil)
			if tt.want != "" {
				if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
				return
			}
			if err != nil || claim.Spec.WorkspaceClassName != tt.wantName || claim.Spec.Type == nil || claim.Spec.Type.Path != "root:types" {
				t.Errorf("%v: %+v", err, claim.Spec)
			}
		})
	}
}

// A client that sends again what it has sent first changes nothing.
func TestClaim_SentAgain(t *testing.T) {
	f := newFixture(newClass("standard", true))
	stored := newClaim()
	stored.Spec.Type = &tenancyv1alpha1.WorkspaceTypeReference{Name: "team"}
	if err := f.send(t, alice, stored, nil); err != nil {
		t.Fatal(err)
	}
	for name, again := range map[string]*annexv1alpha1.WorkspaceClaim{"as it was": newClaim(), "without the type": newClaim()} {
		if name == "as it was" {
			again.Spec.Type = &tenancyv1alpha1.WorkspaceTypeReference{Name: "team"}
		}
		if err := f.send(t, alice, again, stored); err != nil || again.Spec.WorkspaceClassName != "standard" || *again.Spec.Type != *stored.Spec.Type {
			t.Errorf("%s: %v, %+v", name, err, again.Spec)
		}
	}
}
