package validation

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
)

func validAccess() *annexv1alpha1.WorkspaceAccess {
	access := &annexv1alpha1.WorkspaceAccess{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "argo", ResourceVersion: "1"}}
	access.Spec.Workspace.Path, access.Spec.Role.ClusterRole = "root:team", "system:kcp:reader"
	access.Spec.Format, access.Spec.ExpirationSeconds = annexv1alpha1.AccessFormatArgoCD, ptr.To[int64](600)
	return access
}

func TestValidateWorkspaceAccess(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*annexv1alpha1.WorkspaceAccess)
		want   string
	}{
		"valid":                   {func(*annexv1alpha1.WorkspaceAccess) {}, ""},
		"a name for the Secret":   {func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.SecretName = "cluster-team" }, ""},
		"a day":                   {func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.ExpirationSeconds = ptr.To[int64](86400) }, ""},
		"no workspace":            {func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.Workspace.Path = "" }, "spec.workspace.path: Required"},
		"all workspaces":          {func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.Workspace.Path = "*" }, "spec.workspace.path: Invalid"},
		"the server's own":        {func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.Workspace.Path = "system:admin" }, "spec.workspace.path: Invalid"},
		"no path":                 {func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.Workspace.Path = "root:/x" }, "spec.workspace.path: Invalid"},
		"no role":                 {func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.Role.ClusterRole = "" }, "spec.role.clusterRole: Required"},
		"a role of no name":       {func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.Role.ClusterRole = "a/b" }, "spec.role.clusterRole: Invalid"},
		"a Secret of no name":     {func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.SecretName = "A" }, "spec.secretName: Invalid"},
		"unknown format":          {func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.Format = "Token" }, "spec.format: Unsupported"},
		"no format":               {func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.Format = "" }, "spec.format: Required"},
		"for no time":             {func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.ExpirationSeconds = nil }, "spec.expirationSeconds: Required"},
		"for a moment":            {func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.ExpirationSeconds = ptr.To[int64](599) }, "spec.expirationSeconds: Invalid"},
		"forever":                 {func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.ExpirationSeconds = ptr.To[int64](86401) }, "spec.expirationSeconds: Invalid"},
		"without a namespace":     {func(a *annexv1alpha1.WorkspaceAccess) { a.Namespace = "" }, "metadata.namespace: Required"},
		"a name that is no name":  {func(a *annexv1alpha1.WorkspaceAccess) { a.Name = "A" }, "metadata.name: Invalid"},
		"the name of its cluster": {func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.Workspace.Path = "2f8kq1z0c7a9x3bd" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			access := validAccess()
			tc.change(access)
			errs := ValidateWorkspaceAccess(access)
			if tc.want == "" && len(errs) > 0 || tc.want != "" && (len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), tc.want)) {
				t.Errorf("got %v, want %q", errs, tc.want)
			}
		})
	}
}

func TestValidateWorkspaceAccessUpdate(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*annexv1alpha1.WorkspaceAccess)
		want   string
	}{
		"format":            {func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.Format = annexv1alpha1.AccessFormatFlux }, ""},
		"lifetime":          {func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.ExpirationSeconds = ptr.To[int64](700) }, ""},
		"another workspace": {func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.Workspace.Path = "root:other" }, "spec.workspace: Invalid"},
		"another role":      {func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.Role.ClusterRole = "cluster-admin" }, "spec.role: Invalid"},
		"another Secret":    {func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.SecretName = "other" }, "spec.secretName: Invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			access := validAccess()
			tc.change(access)
			errs := ValidateWorkspaceAccessUpdate(access, validAccess())
			if tc.want == "" && len(errs) > 0 || tc.want != "" && (len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), tc.want)) {
				t.Errorf("got %v, want %q", errs, tc.want)
			}
		})
	}
}

func TestValidateWorkspaceAccessStatusUpdate(t *testing.T) {
	access := validAccess()
	access.Status.ClusterName, access.Status.URL = "c1", "https://annex/clusters/root:team"
	if errs := ValidateWorkspaceAccessStatusUpdate(access, validAccess()); len(errs) > 0 {
		t.Error(errs)
	}
	access.Status.ClusterName, access.Status.URL = "*", "annex"
	if errs := ValidateWorkspaceAccessStatusUpdate(access, validAccess()); len(errs) != 2 || errs[0].Field != "status.clusterName" || errs[1].Field != "status.url" {
		t.Error(errs)
	}
}
