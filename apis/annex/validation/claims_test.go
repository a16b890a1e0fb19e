package validation

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// expect checks that there is no fault, or the one that begins with want.
func expect(t *testing.T, errs field.ErrorList, want string) {
	t.Helper()
	if want == "" && len(errs) > 0 || want != "" && (len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), want)) {
		t.Errorf("got %v, want %q", errs, want)
	}
}

func validClass() *annexv1alpha1.WorkspaceClass {
	class := &annexv1alpha1.WorkspaceClass{ObjectMeta: metav1.ObjectMeta{Name: "standard", ResourceVersion: "1"}}
	class.Spec = annexv1alpha1.WorkspaceClassSpec{
		Parent: "root:teams", Types: []tenancyv1alpha1.WorkspaceTypeReference{{Name: "team", Path: "root"}},
		Secret: &annexv1alpha1.WorkspaceClassSecret{},
	}
	annexv1alpha1.SetDefaults_WorkspaceClassSpec(&class.Spec)
	annexv1alpha1.SetDefaults_WorkspaceClassSecret(class.Spec.Secret)
	return class
}

func TestValidateWorkspaceClass(t *testing.T) {
	type class = annexv1alpha1.WorkspaceClass
	for name, tc := range map[string]struct {
		change func(*class)
		want   string
	}{
		"valid":                    {func(*class) {}, ""},
		"root":                     {func(c *class) { c.Spec.Parent = "root" }, ""},
		"no parent":                {func(c *class) { c.Spec.Parent = "" }, "spec.parent: Required"},
		"all workspaces":           {func(c *class) { c.Spec.Parent = "*" }, "spec.parent: Invalid"},
		"the server's own":         {func(c *class) { c.Spec.Parent = "system:admin" }, "spec.parent: Invalid"},
		"a parent by namespace":    {func(c *class) { c.Spec.Parent = "root:teams:{namespace}" }, "spec.parent: Invalid"},
		"a type of no name":        {func(c *class) { c.Spec.Types[0].Name = "" }, "spec.types[0].name: Required"},
		"a type of nowhere":        {func(c *class) { c.Spec.Types[0].Path = "" }, "spec.types[0].path: Required"},
		"a type twice":             {func(c *class) { c.Spec.Types = append(c.Spec.Types, c.Spec.Types[0]) }, "spec.types[1]: Duplicate"},
		"no namespace":             {func(c *class) { c.Spec.Namespaces = []string{"a", "B"} }, "spec.namespaces[1]: Invalid"},
		"an unknown owner":         {func(c *class) { c.Spec.Owner = "Everybody" }, "spec.owner: Unsupported"},
		"no role":                  {func(c *class) { c.Spec.Secret.ClusterRole = "" }, "spec.secret.clusterRole: Required"},
		"a role that is no name":   {func(c *class) { c.Spec.Secret.ClusterRole = "a/b" }, "spec.secret.clusterRole: Invalid"},
		"none at all":              {func(c *class) { c.Spec.MaxWorkspaces = ptr.To[int32](0) }, ""},
		"fewer than none":          {func(c *class) { c.Spec.MaxWorkspaces = ptr.To[int32](-1) }, "spec.maxWorkspaces: Invalid"},
		"fewer for a namespace":    {func(c *class) { c.Spec.MaxWorkspacesPerNamespace = ptr.To[int32](-1) }, "spec.maxWorkspacesPerNamespace: Invalid"},
		"an unknown reclaimPolicy": {func(c *class) { c.Spec.ReclaimPolicy = "Recycle" }, "spec.reclaimPolicy: Unsupported"},
		"at once":                  {func(c *class) { c.Spec.GracePeriodSeconds = ptr.To[int64](0) }, ""},
		"before":                   {func(c *class) { c.Spec.GracePeriodSeconds = ptr.To[int64](-1) }, "spec.gracePeriodSeconds: Invalid"},
		"a period that overflows":  {func(c *class) { c.Spec.GracePeriodSeconds = ptr.To[int64](1 << 40) }, "spec.gracePeriodSeconds: Invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			c := validClass()
			tc.change(c)
			expect(t, ValidateWorkspaceClass(c), tc.want)
		})
	}
	moved := validClass()
	moved.Spec.Parent = "root:others"
	expect(t, ValidateWorkspaceClassUpdate(moved, validClass()), "spec.parent: Invalid")
	expect(t, ValidateWorkspaceClassUpdate(validClass(), validClass()), "")
}

func validClaim() *annexv1alpha1.WorkspaceClaim {
	c := &annexv1alpha1.WorkspaceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "app", ResourceVersion: "1"}}
	c.Spec = annexv1alpha1.WorkspaceClaimSpec{
		WorkspaceClassName: "standard", Type: &tenancyv1alpha1.WorkspaceTypeReference{Name: "team", Path: "root"},
		Secret: &annexv1alpha1.WorkspaceClaimSecret{Name: "app-cluster", Format: annexv1alpha1.AccessFormatFlux},
	}
	return c
}

func TestValidateWorkspaceClaim(t *testing.T) {
	type claim = annexv1alpha1.WorkspaceClaim
	for name, tc := range map[string]struct {
		change func(*claim)
		want   string
	}{
		"valid":              {func(*claim) {}, ""},
		"no class":           {func(c *claim) { c.Spec.WorkspaceClassName = "" }, "spec.workspaceClassName: Required"},
		"a class of no name": {func(c *claim) { c.Spec.WorkspaceClassName = "A" }, "spec.workspaceClassName: Invalid"},
		"a type of no name":  {func(c *claim) { c.Spec.Type.Name = "" }, "spec.type.name: Required"},
		"a type of all":      {func(c *claim) { c.Spec.Type.Path = "*" }, "spec.type.path: Invalid"},
		"no Secret name":     {func(c *claim) { c.Spec.Secret.Name = "" }, "spec.secret.name: Required"},
		"an unknown format":  {func(c *claim) { c.Spec.Secret.Format = "Helm" }, "spec.secret.format: Unsupported"},
		"no format":          {func(c *claim) { c.Spec.Secret.Format = "" }, "spec.secret.format: Required"},
		"by name":            {func(c *claim) { c.Spec.WorkspaceName = "old" }, ""},
		"by a path":          {func(c *claim) { c.Spec.WorkspaceName = "root:old" }, "spec.workspaceName: Invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			c := validClaim()
			tc.change(c)
			expect(t, ValidateWorkspaceClaim(c), tc.want)
		})
	}
	changed := validClaim()
	changed.Spec.Secret = nil
	expect(t, ValidateWorkspaceClaimUpdate(changed, validClaim()), "spec: Invalid")
	expect(t, ValidateWorkspaceClaimUpdate(validClaim(), validClaim()), "")
}

func TestValidateWorkspaceClaimStatusUpdate(t *testing.T) {
	bound := validClaim()
	bound.Status = annexv1alpha1.WorkspaceClaimStatus{Phase: annexv1alpha1.WorkspaceClaimBound, Workspace: &annexv1alpha1.ClaimedWorkspace{Path: "root:teams:x", Cluster: "abc"}}
	expect(t, ValidateWorkspaceClaimStatusUpdate(bound, validClaim()), "")
	for want, change := range map[string]func(*annexv1alpha1.WorkspaceClaimStatus){
		"status.phase: Unsupported":          func(s *annexv1alpha1.WorkspaceClaimStatus) { s.Phase = "Released" },
		"status.workspace.path: Required":    func(s *annexv1alpha1.WorkspaceClaimStatus) { s.Workspace.Path = "" },
		"status.workspace.cluster: Invalid":  func(s *annexv1alpha1.WorkspaceClaimStatus) { s.Workspace.Cluster = "other" },
		"status.workspace.cluster: Required": func(s *annexv1alpha1.WorkspaceClaimStatus) { s.Workspace = nil },
	} {
		changed := bound.DeepCopy()
		change(&changed.Status)
		expect(t, ValidateWorkspaceClaimStatusUpdate(changed, bound), want)
	}
}
