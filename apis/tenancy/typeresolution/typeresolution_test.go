package typeresolution

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

type ref = tenancyv1alpha1.WorkspaceTypeReference

// newType returns the type called name in the workspace at path, whose cluster is named like the path with dashes.
func newType(qualified string, change ...func(*tenancyv1alpha1.WorkspaceTypeSpec)) *Type {
	path, name, ok := ParseQualified(qualified)
	if !ok {
		panic(qualified)
	}
	t := &Type{ObjectMeta: metav1.ObjectMeta{Name: string(name), Annotations: map[string]string{
		logicalcluster.PathAnnotationKey: path.String(),
		logicalcluster.AnnotationKey:     strings.ReplaceAll(path.String(), ":", "-"),
	}}}
	for _, c := range change {
		c(&t.Spec)
	}
	return t
}

func extends(qualified ...string) func(*tenancyv1alpha1.WorkspaceTypeSpec) {
	return func(s *tenancyv1alpha1.WorkspaceTypeSpec) { s.Extend.With = refs(qualified...) }
}

func refs(qualified ...string) []ref {
	var list []ref
	for _, q := range qualified {
		path, name, _ := ParseQualified(q)
		list = append(list, ref{Name: name, Path: path.String()})
	}
	return list
}

func getter(types ...*Type) Getter {
	return func(_ context.Context, path logicalcluster.Path, name tenancyv1alpha1.WorkspaceTypeName) (*Type, error) {
		for _, t := range types {
			if t.Name == string(name) && (Path(t) == path || logicalcluster.From(t).Path() == path) {
				return t, nil
			}
		}
		return nil, fmt.Errorf("%s not found", path.Join(string(name)))
	}
}

func TestSearchPath(t *testing.T) {
	for in, want := range map[logicalcluster.Path][]logicalcluster.Path{
		"root:org:team":  {"root:org:team", "root:org", "root"},
		"root":           {"root"},
		"user:bob:stuff": {"user:bob:stuff", "user:bob", "user", "root"},
		"system:admin":   {"system:admin", "root"},
	} {
		if diff := cmp.Diff(want, SearchPath(in)); diff != "" {
			t.Errorf("SearchPath(%s) (-want +got):\n%s", in, diff)
		}
	}
}

func TestAliases(t *testing.T) {
	types := []*Type{
		newType("root:universal"),
		newType("root:base", extends("root:universal")),
		newType("root:left", extends("root:base")),
		newType("root:right", extends("root:base")),
		newType("root:org:diamond", extends("root:left", "root:right")),
		newType("root:org:lost", extends("root:missing")),
		newType("root:a", extends("root:b")), newType("root:b", extends("root:c")), newType("root:c", extends("root:b")),
		newType("root:self", extends("root:self")),
		newType("root:org:local", func(s *tenancyv1alpha1.WorkspaceTypeSpec) { s.Extend.With = []ref{{Name: "diamond"}} }),
		newType("root:byid", func(s *tenancyv1alpha1.WorkspaceTypeSpec) { s.Extend.With = []ref{{Name: "diamond", Path: "root-org"}} }),
	}
	get := getter(types...)
	for _, tc := range []struct {
		name      string
		want      []string
		wantError string
	}{
		{name: "root:universal", want: []string{"root:universal"}},
		{name: "root:org:diamond", want: []string{"root:universal", "root:base", "root:left", "root:right", "root:org:diamond"}},
		{name: "root:org:local", want: []string{"root:universal", "root:base", "root:left", "root:right", "root:org:diamond", "root:org:local"}},
		{name: "root:byid", want: []string{"root:universal", "root:base", "root:left", "root:right", "root:org:diamond", "root:byid"}},
		{name: "root:org:lost", wantError: "unable to find inherited workspace type root:missing"},
		{name: "root:a", wantError: "circular reference: root:b -> root:c -> root:b"},
		{name: "root:self", wantError: "circular reference: root:self -> root:self"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path, name, _ := ParseQualified(tc.name)
			wt, err := get(t.Context(), path, name)
			if err != nil {
				t.Fatal(err)
			}
			aliases, err := Aliases(t.Context(), wt, get)
			if tc.wantError != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantError) {
					t.Fatalf("got %v, want error %q", err, tc.wantError)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, a := range aliases {
				got = append(got, Qualified(a))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("aliases (-want +got):\n%s", diff)
			}
		})
	}
}

// Each initializer is written into every workspace of the type.
func TestAliases_AreBounded(t *testing.T) {
	stage := func(s *tenancyv1alpha1.WorkspaceTypeSpec) { s.Initializer, s.Terminator = true, true }
	var types []*Type
	var names []string
	for i := range maxStages {
		names = append(names, fmt.Sprint("root:t", i))
		types = append(types, newType(names[i], stage))
	}
	bindings := func(s *tenancyv1alpha1.WorkspaceTypeSpec) {
		s.DefaultAPIBindings = []tenancyv1alpha1.APIExportReference{{Path: "root", Export: "tenancy.kcp.io"}}
	}
	if aliases, err := Aliases(t.Context(), newType("root:all", extends(names...), bindings), getter(types...)); err != nil || len(Initializers(aliases)) != maxStages+1 {
		t.Errorf("%d aliases, %v", len(aliases), err)
	}
	if _, err := Aliases(t.Context(), newType("root:more", extends(names...), stage), getter(types...)); err == nil || !strings.Contains(err.Error(), "at most 32") {
		t.Errorf("one more: %v", err)
	}
}

func TestAllowed(t *testing.T) {
	parents := func(qualified ...string) func(*tenancyv1alpha1.WorkspaceTypeSpec) {
		return func(s *tenancyv1alpha1.WorkspaceTypeSpec) {
			s.LimitAllowedParents = &tenancyv1alpha1.WorkspaceTypeSelector{Types: refs(qualified...), None: len(qualified) == 0}
		}
	}
	children := func(qualified ...string) func(*tenancyv1alpha1.WorkspaceTypeSpec) {
		return func(s *tenancyv1alpha1.WorkspaceTypeSpec) {
			s.LimitAllowedChildren = &tenancyv1alpha1.WorkspaceTypeSelector{Types: refs(qualified...), None: len(qualified) == 0}
		}
	}
	plain := []*Type{newType("root:plain")}
	for _, tc := range []struct {
		name          string
		parent, child []*Type
		wantError     string
	}{
		{"no limits", plain, plain, ""},
		{"child allows no parent", plain, []*Type{newType("root:top", parents())}, "workspace type root:top cannot have any parent"},
		{"parent allows no child", []*Type{newType("root:leaf", children())}, plain, "workspace type root:leaf cannot have any child"},
		{"child wants another parent", plain, []*Type{newType("root:team", parents("root:organization"))},
			"workspace type root:team only allows [root:organization] parent workspaces, but parent type root:plain only implements [root:plain]"},
		{"parent wants another child", []*Type{newType("root:org", children("root:universal"))}, plain,
			"workspace type root:org only allows [root:universal] child workspaces, but child type root:plain only implements [root:plain]"},
		{"child extends an allowed one", []*Type{newType("root:org", children("root:universal"))}, []*Type{newType("root:universal"), newType("root:team")}, ""},
		{"parent extends an allowed one", []*Type{newType("root:organization"), newType("root:x:special")}, []*Type{newType("root:team", parents("root:organization"))}, ""},
		{"inherited limit", plain, []*Type{newType("root:base", parents("root:organization")), newType("root:team")},
			"workspace type root:base only allows [root:organization]"},
		{"inherited none", plain, []*Type{newType("root:base", parents()), newType("root:team")}, "(inherited by root:team)"},
		{"same name in another workspace is not allowed", []*Type{newType("root:x:organization")}, []*Type{newType("root:team", parents("root:organization"))}, "only allows"},
		{"reference by cluster name", []*Type{newType("root:x:organization")}, []*Type{newType("root:team", parents("root-x:organization"))}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := Allowed(tc.parent, tc.child)
			switch {
			case tc.wantError == "" && err != nil:
				t.Errorf("got %v, want none", err)
			case tc.wantError != "" && (err == nil || !strings.Contains(err.Error(), tc.wantError)):
				t.Errorf("got %v, want %q", err, tc.wantError)
			}
		})
	}
}

func TestWhatAWorkspaceGets(t *testing.T) {
	aliases := []*Type{
		newType("root:base", func(s *tenancyv1alpha1.WorkspaceTypeSpec) {
			s.Initializer, s.Terminator = true, true
			s.DefaultAPIBindings = []tenancyv1alpha1.APIExportReference{{Path: "root", Export: "tenancy.kcp.io"}, {Export: "mine"}}
		}),
		newType("root:org:team", func(s *tenancyv1alpha1.WorkspaceTypeSpec) {
			s.Initializer = true
			s.DefaultAPIBindings = []tenancyv1alpha1.APIExportReference{{Path: "root", Export: "mine"}, {Export: "mine"}}
		}),
	}
	if diff := cmp.Diff([]corev1alpha1.LogicalClusterInitializer{"root:base", "root-org:team", "system:apibindings"}, Initializers(aliases)); diff != "" {
		t.Errorf("initializers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]corev1alpha1.LogicalClusterTerminator{"root:base"}, Terminators(aliases)); diff != "" {
		t.Errorf("terminators (-want +got):\n%s", diff)
	}
	if err := RecordExportClusters(aliases[1], func(ref tenancyv1alpha1.APIExportReference) (logicalcluster.Name, error) {
		return map[string]logicalcluster.Name{"root": "rootid"}[ref.Path], nil
	}); err != nil {
		t.Fatal(err)
	}
	want := []DefaultBinding{{Path: "root", Export: "tenancy.kcp.io"}, {Path: "root", Export: "mine", Cluster: "rootid"}, {Path: "root:org", Export: "mine"}}
	if diff := cmp.Diff(want, DefaultAPIBindings(aliases)); diff != "" {
		t.Errorf("default bindings (-want +got):\n%s", diff)
	}
}
