package claiming

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

func newClaim() *annexv1alpha1.WorkspaceClaim {
	c := &annexv1alpha1.WorkspaceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "app", Annotations: map[string]string{
		logicalcluster.AnnotationKey:                "root",
		annexv1alpha1.HostNamespaceUIDAnnotationKey: "1", annexv1alpha1.ClaimOwnerAnnotationKey: `{"username":"alice"}`,
	}}}
	c.Spec.WorkspaceClassName = "standard"
	return c
}

func TestRefOf(t *testing.T) {
	ref, err := RefOf(newClaim())
	want := Ref{Cluster: "root", Class: "standard", Namespace: "team-a", NamespaceUID: "1", Name: "app", User: "alice"}
	if err != nil || ref != want {
		t.Fatalf("got %v, %v", ref, err)
	}
	if again, ok := ParseRef(ref.String()); !ok || again != want {
		t.Errorf("%s is parsed as %v, %t", ref, again, ok)
	}
	for name, change := range map[string]func(*annexv1alpha1.WorkspaceClaim){
		"no namespace": func(c *annexv1alpha1.WorkspaceClaim) {
			delete(c.Annotations, annexv1alpha1.HostNamespaceUIDAnnotationKey)
		},
		"a damaged user":    func(c *annexv1alpha1.WorkspaceClaim) { c.Annotations[annexv1alpha1.ClaimOwnerAnnotationKey] = "alice" },
		"an unnamed user":   func(c *annexv1alpha1.WorkspaceClaim) { c.Annotations[annexv1alpha1.ClaimOwnerAnnotationKey] = "{}" },
		"a user left empty": func(c *annexv1alpha1.WorkspaceClaim) { c.Annotations[annexv1alpha1.ClaimOwnerAnnotationKey] = "" },
	} {
		c := newClaim()
		change(c)
		if ref, err := RefOf(c); err == nil {
			t.Errorf("%s: got %v", name, ref)
		}
	}
	for _, value := range []string{"", "{}", "null", `{"cluster":"root","class":"standard","namespace":"team-a","name":"app"}`, "[]"} {
		if ref, ok := ParseRef(value); ok {
			t.Errorf("%q is parsed as %v", value, ref)
		}
	}
}

// No two claims have one workspace, and every name is that of a workspace.
func TestWorkspaceName(t *testing.T) {
	seen := map[string]Ref{}
	long := strings.Repeat("n", 63)
	for _, ref := range []Ref{
		{"root", "c", "a-b", "1", "c", ""}, {"root", "c", "a", "1", "b-c", ""}, {"root", "c", "a", "2", "b-c", ""}, {"root", "d", "a", "1", "b-c", ""},
		{"root", "c", "a", "1", "b.c", ""}, {"root", "c", long, "1", "x", ""}, {"root", "c", long, "1", "y", ""},
		{"root", "c", strings.Repeat("n", 50), "1", "x", ""}, {"root", "c", strings.Repeat("n", 49), "1", "x", ""},
		{"root", "c", "a", "1", strings.Repeat("m.", 126) + "m", ""},
	} {
		name := ref.WorkspaceName()
		if faults := validation.IsDNS1123Label(name); len(faults) > 0 {
			t.Errorf("%v: %s: %v", ref, name, faults)
		}
		if other, taken := seen[name]; taken {
			t.Errorf("%v and %v have workspace %s", ref, other, name)
		}
		seen[name] = ref
	}
	one, other := Ref{"root", "c", "a", "1", "x", "alice"}, Ref{"root", "c", "a", "1", "x", "bob"}
	if one.WorkspaceName() != other.WorkspaceName() {
		t.Error("the name depends on the user")
	}
}

func class(name string, age time.Duration, marked string) *annexv1alpha1.WorkspaceClass {
	c := &annexv1alpha1.WorkspaceClass{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(time.Unix(1e9, 0).Add(-age))}}
	if marked != "" {
		c.Annotations = map[string]string{annexv1alpha1.DefaultClassAnnotationKey: marked}
	}
	return c
}

func TestDefault(t *testing.T) {
	if got := Default([]*annexv1alpha1.WorkspaceClass{class("a", 0, ""), class("b", 0, "false")}); got != nil {
		t.Errorf("without a default: %s", got.Name)
	}
	all := []*annexv1alpha1.WorkspaceClass{class("old", time.Hour, "true"), class("z", time.Minute, "true"), class("a", time.Minute, "true"), class("new", 0, "")}
	if got := Default(all); got == nil || got.Name != "a" {
		t.Errorf("got %v", got)
	}
	now := metav1.Now()
	all[2].DeletionTimestamp = &now
	if got := Default(all); got == nil || got.Name != "z" {
		t.Errorf("while one is being deleted: %v", got)
	}
}

func TestPermits(t *testing.T) {
	team, prod := tenancyv1alpha1.WorkspaceTypeReference{Name: "team", Path: "root"}, tenancyv1alpha1.WorkspaceTypeReference{Name: "prod", Path: "root:org"}
	for name, tt := range map[string]struct {
		change   func(*annexv1alpha1.WorkspaceClass, *annexv1alpha1.WorkspaceClaim)
		want     string
		wantType string
	}{
		"nothing special": {func(*annexv1alpha1.WorkspaceClass, *annexv1alpha1.WorkspaceClaim) {}, "", ""},
		"the first type": {func(c *annexv1alpha1.WorkspaceClass, _ *annexv1alpha1.WorkspaceClaim) {
			c.Spec.Types = []tenancyv1alpha1.WorkspaceTypeReference{team, prod}
		}, "", "root:team"},
		"a type by name": {func(c *annexv1alpha1.WorkspaceClass, cl *annexv1alpha1.WorkspaceClaim) {
			c.Spec.Types = []tenancyv1alpha1.WorkspaceTypeReference{team, prod}
			cl.Spec.Type = &tenancyv1alpha1.WorkspaceTypeReference{Name: "prod"}
		}, "", "root:org:prod"},
		"a type of another path": {func(c *annexv1alpha1.WorkspaceClass, cl *annexv1alpha1.WorkspaceClaim) {
			c.Spec.Types = []tenancyv1alpha1.WorkspaceTypeReference{team, prod}
			cl.Spec.Type = &tenancyv1alpha1.WorkspaceTypeReference{Name: "prod", Path: "root:mine"}
		}, "does not permit workspace type root:mine:prod; it permits: root:team, root:org:prod", ""},
		"a type where none may be named": {func(_ *annexv1alpha1.WorkspaceClass, cl *annexv1alpha1.WorkspaceClaim) {
			cl.Spec.Type = &team
		}, "it permits: none by name", ""},
		"another namespace": {func(c *annexv1alpha1.WorkspaceClass, _ *annexv1alpha1.WorkspaceClaim) {
			c.Spec.Namespaces = []string{"team-b"}
		}, "does not permit claims in namespace team-a", ""},
		"its namespace": {func(c *annexv1alpha1.WorkspaceClass, _ *annexv1alpha1.WorkspaceClaim) {
			c.Spec.Namespaces = []string{"team-b", "team-a"}
		}, "", ""},
		"a Secret": {func(_ *annexv1alpha1.WorkspaceClass, cl *annexv1alpha1.WorkspaceClaim) {
			cl.Spec.Secret = &annexv1alpha1.WorkspaceClaimSecret{Name: "s"}
		}, "does not permit Secrets", ""},
		"a Secret that is permitted": {func(c *annexv1alpha1.WorkspaceClass, cl *annexv1alpha1.WorkspaceClaim) {
			c.Spec.Secret = &annexv1alpha1.WorkspaceClassSecret{}
			cl.Spec.Secret = &annexv1alpha1.WorkspaceClaimSecret{Name: "s"}
		}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			cl, c := newClaim(), class("standard", 0, "")
			tt.change(c, cl)
			err := Permits(c, cl)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if err != nil {
				return
			}
			got := ""
			if ref, _ := Type(c, cl.Spec.Type); ref != nil {
				got = ref.Path + ":" + string(ref.Name)
			}
			if got != tt.wantType {
				t.Errorf("type %q, want %q", got, tt.wantType)
			}
		})
	}
}
