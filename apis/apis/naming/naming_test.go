package naming

import (
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

func TestConflicts(t *testing.T) {
	widgets := Names{Group: "example.com", Plural: "widgets", Singular: "widget", ShortNames: []string{"wd"}, Kind: "Widget", ListKind: "WidgetList"}
	with := func(change func(*Names)) Names {
		n := Names{Group: "example.com", Plural: "gadgets", Singular: "gadget", ShortNames: []string{"gd"}, Kind: "Gadget", ListKind: "GadgetList"}
		change(&n)
		return n
	}
	for _, tc := range []struct {
		name     string
		newcomer Names
		want     []string
	}{
		{"nothing in common", with(func(*Names) {}), nil},
		{"another group", func() Names { n := widgets; n.Group = "other.example.com"; return n }(), nil},
		{"same plural", with(func(n *Names) { n.Plural = "widgets" }), []string{"plural"}},
		{"same singular", with(func(n *Names) { n.Singular = "widget" }), []string{"singular"}},
		{"a short name", with(func(n *Names) { n.ShortNames = []string{"x", "wd"} }), []string{"shortNames"}},
		{"a short name that is a plural", with(func(n *Names) { n.ShortNames = []string{"widgets"} }), []string{"shortNames"}},
		{"same kind", with(func(n *Names) { n.Kind = "Widget" }), []string{"kind"}},
		{"kind that is a list kind", with(func(n *Names) { n.Kind = "WidgetList" }), []string{"kind"}},
		{"same list kind", with(func(n *Names) { n.ListKind = "WidgetList" }), []string{"listKind"}},
		{"everything", widgets, []string{"plural", "singular", "shortNames", "kind", "listKind"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Conflicts(tc.newcomer, widgets)
			if len(got) != len(tc.want) {
				t.Fatalf("got %v, want fields %v", got, tc.want)
			}
			for i, c := range got {
				if c.Field != tc.want[i] || c.With != "widgets.example.com" {
					t.Errorf("got %+v, want field %s", c, tc.want[i])
				}
			}
		})
	}
}

func TestOfCRD_PrefersAcceptedNames(t *testing.T) {
	crd := &apiextensionsv1.CustomResourceDefinition{Spec: apiextensionsv1.CustomResourceDefinitionSpec{
		Group: "example.com", Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Kind: "Widget", ShortNames: []string{"wd"}},
	}}
	if got := OfCRD(crd); got.Singular != "widget" || got.ListKind != "WidgetList" || len(got.ShortNames) != 1 {
		t.Errorf("names asked for: %+v", got)
	}
	crd.Status.AcceptedNames = apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Kind: "Widget"}
	if got := OfCRD(crd); len(got.ShortNames) != 0 {
		t.Errorf("names granted: %+v", got)
	}
}
