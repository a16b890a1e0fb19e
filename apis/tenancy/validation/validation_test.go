package validation

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// check compares faults with wanted ones, each written as a part of "path: text".
func check(t *testing.T, errs field.ErrorList, want ...string) {
	t.Helper()
	for _, w := range want {
		found := false
		for _, e := range errs {
			found = found || strings.Contains(e.Error(), w)
		}
		if !found {
			t.Errorf("no fault has %q in it: %v", w, errs)
		}
	}
	if len(errs) != len(want) {
		t.Errorf("got %d faults, want %d: %v", len(errs), len(want), errs)
	}
}

type ref = tenancyv1alpha1.WorkspaceTypeReference

func TestValidateWorkspace(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*tenancyv1alpha1.Workspace)
		want   []string
	}{
		{"as it should be", func(*tenancyv1alpha1.Workspace) {}, nil},
		{"name of 63 characters", func(w *tenancyv1alpha1.Workspace) { w.Name = strings.Repeat("a", 63) }, nil},
		{"name too long", func(w *tenancyv1alpha1.Workspace) { w.Name = strings.Repeat("a", 64) }, []string{"metadata.name"}},
		{"name with a dot", func(w *tenancyv1alpha1.Workspace) { w.Name = "a.b" }, []string{"metadata.name"}},
		{"name in upper case", func(w *tenancyv1alpha1.Workspace) { w.Name = "A" }, []string{"metadata.name"}},
		{"generated name", func(w *tenancyv1alpha1.Workspace) { w.GenerateName = "team-" }, nil},
		{"type without path", func(w *tenancyv1alpha1.Workspace) { w.Spec.Type = &ref{Name: "universal"} }, nil},
		{"type without name", func(w *tenancyv1alpha1.Workspace) { w.Spec.Type = &ref{Path: "root"} }, []string{"spec.type.name: Required"}},
		{"type name with a digit first", func(w *tenancyv1alpha1.Workspace) { w.Spec.Type = &ref{Name: "1a"} }, []string{"spec.type.name"}},
		{"type path malformed", func(w *tenancyv1alpha1.Workspace) { w.Spec.Type = &ref{Name: "a", Path: "root::b"} }, []string{"spec.type.path"}},
		{"type path wildcard", func(w *tenancyv1alpha1.Workspace) { w.Spec.Type = &ref{Name: "a", Path: "*"} }, []string{"spec.type.path"}},
		{"location", func(w *tenancyv1alpha1.Workspace) {
			w.Spec.Location = &tenancyv1alpha1.WorkspaceLocation{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"region": "eu"}}}
		}, nil},
		{"location with a bad operator", func(w *tenancyv1alpha1.Workspace) {
			w.Spec.Location = &tenancyv1alpha1.WorkspaceLocation{Selector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}}}}
		}, []string{"spec.location.selector.matchExpressions[0].operator"}},
		{"cluster malformed", func(w *tenancyv1alpha1.Workspace) { w.Spec.Cluster = "A" }, []string{"spec.cluster"}},
		{"URL malformed", func(w *tenancyv1alpha1.Workspace) { w.Spec.URL = "nowhere" }, []string{"spec.URL"}},
		{"mount", func(w *tenancyv1alpha1.Workspace) { w.Spec.Mount = mountOn("example.com/v1", "a.b", "") }, nil},
		{"mount on the core group", func(w *tenancyv1alpha1.Workspace) { w.Spec.Mount = mountOn("v1", "a", "ns") }, nil},
		{"mount on nothing", func(w *tenancyv1alpha1.Workspace) { w.Spec.Mount = &tenancyv1alpha1.Mount{} },
			[]string{"spec.mount.ref.apiVersion: Required", "spec.mount.ref.kind: Required", "spec.mount.ref.name: Required"}},
		{"mount malformed", func(w *tenancyv1alpha1.Workspace) { w.Spec.Mount = mountOn("a/b/c", "../x", "A") },
			[]string{"spec.mount.ref.apiVersion: Invalid", "spec.mount.ref.name: Invalid", "spec.mount.ref.namespace: Invalid"}},
		{"mount and cluster", func(w *tenancyv1alpha1.Workspace) {
			w.Spec.Mount, w.Spec.Cluster = mountOn("example.com/v1", "a", ""), "c1"
		}, []string{"spec.cluster: Forbidden"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ws := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "team"}}
			tc.change(ws)
			check(t, ValidateWorkspace(ws), tc.want...)
		})
	}
}

func mountOn(apiVersion, name, namespace string) *tenancyv1alpha1.Mount {
	return &tenancyv1alpha1.Mount{Reference: tenancyv1alpha1.ObjectReference{APIVersion: apiVersion, Kind: "Cluster", Name: name, Namespace: namespace}}
}

func TestValidateWorkspaceUpdate_Mount(t *testing.T) {
	one, other := mountOn("example.com/v1", "a", ""), mountOn("example.com/v1", "b", "")
	for name, tc := range map[string]struct {
		was, is *tenancyv1alpha1.Mount
		want    []string
	}{
		"as it was": {one, one.DeepCopy(), nil}, "added": {nil, one, []string{"spec.mount"}}, "changed": {one, other, []string{"spec.mount"}}, "removed": {one, nil, []string{"spec.mount"}},
	} {
		t.Run(name, func(t *testing.T) {
			old := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "team", ResourceVersion: "1"}, Spec: tenancyv1alpha1.WorkspaceSpec{Mount: tc.was}}
			ws := old.DeepCopy()
			ws.Spec.Mount = tc.is
			check(t, ValidateWorkspaceUpdate(ws, old), tc.want...)
		})
	}
}

func TestValidateWorkspaceUpdate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*tenancyv1alpha1.Workspace)
		want   []string
	}{
		{"labels", func(w *tenancyv1alpha1.Workspace) { w.Labels = map[string]string{"a": "b"} }, nil},
		{"type name", func(w *tenancyv1alpha1.Workspace) { w.Spec.Type.Name = "team" }, []string{"spec.type.name"}},
		{"type path", func(w *tenancyv1alpha1.Workspace) { w.Spec.Type.Path = "root:org" }, []string{"spec.type.path"}},
		{"type removed", func(w *tenancyv1alpha1.Workspace) { w.Spec.Type = nil }, []string{"spec.type"}},
		{"cluster changed", func(w *tenancyv1alpha1.Workspace) { w.Spec.Cluster = "other" }, []string{"spec.cluster"}},
		{"cluster removed", func(w *tenancyv1alpha1.Workspace) { w.Spec.Cluster = "" }, []string{"spec.cluster"}},
		{"URL changed", func(w *tenancyv1alpha1.Workspace) { w.Spec.URL = "https://other.example.com" }, nil},
		{"URL removed", func(w *tenancyv1alpha1.Workspace) { w.Spec.URL = "" }, []string{"spec.URL"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			old := &tenancyv1alpha1.Workspace{
				ObjectMeta: metav1.ObjectMeta{Name: "team", ResourceVersion: "1"},
				Spec:       tenancyv1alpha1.WorkspaceSpec{Type: &ref{Name: "universal", Path: "root"}, Cluster: "c1", URL: "https://example.com/clusters/root:team"},
			}
			ws := old.DeepCopy()
			tc.change(ws)
			check(t, ValidateWorkspaceUpdate(ws, old), tc.want...)
		})
	}
}

func TestValidateWorkspaceStatusUpdate(t *testing.T) {
	old := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "team", ResourceVersion: "1"}}
	ws := old.DeepCopy()
	ws.Status.Phase = "Ready"
	conditionsv1alpha1.MarkTrue(ws, tenancyv1alpha1.WorkspaceScheduled)
	check(t, ValidateWorkspaceStatusUpdate(ws, old))
	ws.Status.Phase = "Sleeping"
	ws.Status.Conditions[0].Severity = conditionsv1alpha1.ConditionSeverityError
	ws.Status.Initializers = append(ws.Status.Initializers, "nobody")
	check(t, ValidateWorkspaceStatusUpdate(ws, old), "status.phase", "status.conditions[0].severity", "status.initializers[0]")
}

func TestValidateWorkspaceType(t *testing.T) {
	type wt = tenancyv1alpha1.WorkspaceType
	for _, tc := range []struct {
		name   string
		change func(*wt)
		want   []string
	}{
		{"as it should be", func(*wt) {}, nil},
		{"name with a dot", func(w *wt) { w.Name = "a.b" }, []string{"metadata.name"}},
		{"name with a digit first", func(w *wt) { w.Name = "1" }, []string{"metadata.name"}},
		{"name any", func(w *wt) { w.Name = "any" }, []string{"is reserved"}},
		{"name system", func(w *wt) { w.Name = "system" }, []string{"is reserved"}},
		{"extends without path", func(w *wt) { w.Spec.Extend.With = []ref{{Name: "base"}} }, nil},
		{"extends nothing", func(w *wt) { w.Spec.Extend.With = []ref{{Path: "root"}} }, []string{"spec.extend.with[0].name"}},
		{"label malformed", func(w *wt) { w.Spec.AdditionalWorkspaceLabels = map[string]string{"a": "-"} }, []string{"spec.additionalWorkspaceLabels"}},
		{"default child without path", func(w *wt) { w.Spec.DefaultChildWorkspaceType = &ref{Name: "a"} }, []string{"spec.defaultChildWorkspaceType.path: Required"}},
		{"limits", func(w *wt) {
			w.Spec.LimitAllowedParents = &tenancyv1alpha1.WorkspaceTypeSelector{None: true}
			w.Spec.LimitAllowedChildren = &tenancyv1alpha1.WorkspaceTypeSelector{Types: []ref{{Name: "a", Path: "root"}}}
		}, nil},
		{"limit says nothing", func(w *wt) { w.Spec.LimitAllowedParents = &tenancyv1alpha1.WorkspaceTypeSelector{} }, []string{"spec.limitAllowedParents: Invalid"}},
		{"limit says both", func(w *wt) {
			w.Spec.LimitAllowedChildren = &tenancyv1alpha1.WorkspaceTypeSelector{None: true, Types: []ref{{Name: "a", Path: "root"}}}
		}, []string{"spec.limitAllowedChildren: Invalid"}},
		{"limit without path", func(w *wt) {
			w.Spec.LimitAllowedChildren = &tenancyv1alpha1.WorkspaceTypeSelector{Types: []ref{{Name: "a"}}}
		}, []string{"spec.limitAllowedChildren.types[0].path: Required"}},
		{"default bindings", func(w *wt) {
			w.Spec.DefaultAPIBindings = []tenancyv1alpha1.APIExportReference{{Path: "root", Export: "tenancy.kcp.io"}, {Path: "-"}}
		}, []string{"spec.defaultAPIBindings[1].path", "spec.defaultAPIBindings[1].export: Required"}},
		{"lifecycle InitializeOnly", func(w *wt) {
			w.Spec.DefaultAPIBindingLifecycle = ptr.To(tenancyv1alpha1.APIBindingLifecycleModeInitializeOnly)
		}, nil},
		{"lifecycle Maintain", func(w *wt) {
			w.Spec.DefaultAPIBindingLifecycle = ptr.To(tenancyv1alpha1.APIBindingLifecycleModeMaintain)
		}, nil},
		{"lifecycle unknown", func(w *wt) { w.Spec.DefaultAPIBindingLifecycle = ptr.To(tenancyv1alpha1.APIBindingLifecycleMode("X")) },
			[]string{"spec.defaultAPIBindingLifecycle: Unsupported value"}},
		{"initializers and terminators", func(w *wt) {
			w.Spec.Initializer, w.Spec.Terminator = true, true
			w.Spec.InitializerPermissions = []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"secrets"}}}
			w.Spec.TerminatorPermissions = []rbacv1.PolicyRule{{Verbs: []string{"get"}, NonResourceURLs: []string{"/healthz"}}}
		}, nil},
		{"permissions for nothing", func(w *wt) {
			w.Spec.InitializerPermissions = []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}}}
			w.Spec.TerminatorPermissions = []rbacv1.PolicyRule{{}}
		}, []string{
			"spec.initializerPermissions[0].resources: Required", "spec.terminatorPermissions[0].verbs: Required",
			"spec.terminatorPermissions[0].apiGroups: Required", "spec.terminatorPermissions[0].resources: Required",
		}},
		{"authentication", func(w *wt) {
			w.Spec.AuthenticationConfigurations = []tenancyv1alpha1.AuthenticationConfigurationReference{{Name: "a"}, {Name: ""}, {Name: "a"}, {Name: "B"}}
		}, []string{"spec.authenticationConfigurations[1].name: Required", "spec.authenticationConfigurations[2].name: Duplicate", "spec.authenticationConfigurations[3].name: Invalid"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := &wt{ObjectMeta: metav1.ObjectMeta{Name: "team"}}
			tenancyv1alpha1.SetObjectDefaults_WorkspaceType(w)
			tc.change(w)
			check(t, ValidateWorkspaceType(w), tc.want...)
			w.ResourceVersion = "1"
			check(t, ValidateWorkspaceTypeUpdate(w, w), tc.want...)
		})
	}
}
