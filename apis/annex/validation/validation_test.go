package validation

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

func valid() *annexv1alpha1.HostBinding {
	return &annexv1alpha1.HostBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "widgets", ResourceVersion: "1"},
		Spec: annexv1alpha1.HostBindingSpec{
			Reference:     annexv1alpha1.HostBindingReference{Export: &annexv1alpha1.HostBindingExport{Path: "root:provider", Name: "widgets.example.com"}},
			Workspace:     annexv1alpha1.HostBindingWorkspace{Path: "root:teams:{namespace}", Create: &annexv1alpha1.HostBindingCreate{}},
			Authorization: annexv1alpha1.AuthorizationWorkspace,
		},
	}
}

func TestValidateHostBinding(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*annexv1alpha1.HostBinding)
		want   string
	}{
		"valid": {func(*annexv1alpha1.HostBinding) {}, ""},
		"of a type": {func(b *annexv1alpha1.HostBinding) {
			b.Spec.Workspace.Create.Type = &tenancyv1alpha1.WorkspaceTypeReference{Name: "team", Path: "root"}
		}, ""},
		"a fixed workspace": {func(b *annexv1alpha1.HostBinding) { b.Spec.Workspace.Path = "root:platform" }, ""},
		"root": {func(b *annexv1alpha1.HostBinding) {
			b.Spec.Workspace = annexv1alpha1.HostBindingWorkspace{Path: "root"}
		}, ""},
		"no export":            {func(b *annexv1alpha1.HostBinding) { b.Spec.Reference.Export = nil }, "spec.reference.export: Required"},
		"an export of no name": {func(b *annexv1alpha1.HostBinding) { b.Spec.Reference.Export.Name = "" }, "spec.reference.export.name: Required"},
		"an export of all":     {func(b *annexv1alpha1.HostBinding) { b.Spec.Reference.Export.Path = "*" }, "spec.reference.export.path: Invalid"},
		"no path":              {func(b *annexv1alpha1.HostBinding) { b.Spec.Workspace.Path = "" }, "spec.workspace.path: Required"},
		"all workspaces":       {func(b *annexv1alpha1.HostBinding) { b.Spec.Workspace.Path = "*" }, "spec.workspace.path: Invalid"},
		"the server's own":     {func(b *annexv1alpha1.HostBinding) { b.Spec.Workspace.Path = "system:admin" }, "spec.workspace.path: Invalid"},
		"part of a segment":    {func(b *annexv1alpha1.HostBinding) { b.Spec.Workspace.Path = "root:team-{namespace}" }, "spec.workspace.path: Invalid"},
		"create at the top":    {func(b *annexv1alpha1.HostBinding) { b.Spec.Workspace.Path = "root" }, "spec.workspace.path: Invalid"},
		"create below a gap":   {func(b *annexv1alpha1.HostBinding) { b.Spec.Workspace.Path = "root:{namespace}:prod" }, "spec.workspace.path: Invalid"},
		"a type of no name": {func(b *annexv1alpha1.HostBinding) {
			b.Spec.Workspace.Create.Type = &tenancyv1alpha1.WorkspaceTypeReference{Path: "root"}
		}, "spec.workspace.create.type.name: Required"},
		"a type of nowhere": {func(b *annexv1alpha1.HostBinding) {
			b.Spec.Workspace.Create.Type = &tenancyv1alpha1.WorkspaceTypeReference{Name: "team"}
		}, "spec.workspace.create.type.path: Required"},
		"unknown authorization": {func(b *annexv1alpha1.HostBinding) { b.Spec.Authorization = "Nobody" }, "spec.authorization: Unsupported"},
		"no authorization":      {func(b *annexv1alpha1.HostBinding) { b.Spec.Authorization = "" }, "spec.authorization: Required"},
	} {
		t.Run(name, func(t *testing.T) {
			b := valid()
			tc.change(b)
			errs := ValidateHostBinding(b)
			if tc.want == "" && len(errs) > 0 || tc.want != "" && (len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), tc.want)) {
				t.Errorf("got %v, want %q", errs, tc.want)
			}
		})
	}
}

func TestValidateHostBindingUpdate(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*annexv1alpha1.HostBinding)
		want   string
	}{
		"authorization":    {func(b *annexv1alpha1.HostBinding) { b.Spec.Authorization = annexv1alpha1.AuthorizationHost }, ""},
		"nothing made":     {func(b *annexv1alpha1.HostBinding) { b.Spec.Workspace.Create = nil }, ""},
		"another export":   {func(b *annexv1alpha1.HostBinding) { b.Spec.Reference.Export.Name = "gadgets.example.com" }, "spec.reference: Invalid"},
		"other workspaces": {func(b *annexv1alpha1.HostBinding) { b.Spec.Workspace.Path = "root:others:{namespace}" }, "spec.workspace.path: Invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			b := valid()
			tc.change(b)
			errs := ValidateHostBindingUpdate(b, valid())
			if tc.want == "" && len(errs) > 0 || tc.want != "" && (len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), tc.want)) {
				t.Errorf("got %v, want %q", errs, tc.want)
			}
		})
	}
}

func TestValidateHostBindingStatusUpdate(t *testing.T) {
	b := valid()
	b.Status.GroupVersions = []annexv1alpha1.HostGroupVersion{{Name: "example.com/v1", State: annexv1alpha1.HostGroupVersionPending}}
	if errs := ValidateHostBindingStatusUpdate(b, valid()); len(errs) > 0 {
		t.Error(errs)
	}
	b.Status.GroupVersions = append(b.Status.GroupVersions, annexv1alpha1.HostGroupVersion{Name: "example.com/v1", State: "Lost"})
	errs := ValidateHostBindingStatusUpdate(b, valid())
	if len(errs) != 2 || errs[0].Field != "status.groupVersions[1].name" || errs[1].Field != "status.groupVersions[1].state" {
		t.Error(errs)
	}
}
