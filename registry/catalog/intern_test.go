package catalog

import (
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/client/clienttest"
)

// Hashing takes milliseconds for a large definition, and a change of one of them must not cost that for all.
func TestBuild_HashesOnlyWhatChanged(t *testing.T) {
	fake := clienttest.NewFake()
	create := func(plural string) *apiextensionsv1.CustomResourceDefinition {
		t.Helper()
		created, err := fake.Create(t.Context(), definitionsResource, "c1", local("c1", plural, "string"))
		if err != nil {
			t.Fatal(err)
		}
		return created.(*apiextensionsv1.CustomResourceDefinition)
	}
	same, other := create("same"), create("other")
	c := New(Config{Reader: fake})
	before, err := c.build(t.Context(), fake, "c1")
	if err != nil {
		t.Fatal(err)
	}
	// What is remembered is found by UID and version only, so that nothing is hashed.
	stranger := local("c1", "stranger", "integer")
	stranger.UID, stranger.ResourceVersion = same.UID, same.ResourceVersion
	if found, err := c.stored(stranger, "c1"); err != nil || found.definition.Spec.Names.Plural != "same" {
		t.Errorf("a version that was hashed before: %v, %v", found, err)
	}
	changed := other.DeepCopy()
	changed.Spec.Scope = apiextensionsv1.ClusterScoped
	if _, err := fake.Update(t.Context(), definitionsResource, "c1", changed); err != nil {
		t.Fatal(err)
	}
	after, err := c.build(t.Context(), fake, "c1")
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []struct {
		crd  *apiextensionsv1.CustomResourceDefinition
		same bool
	}{{same, true}, {other, false}} {
		gr := widgets
		gr.Resource = of.crd.Spec.Names.Plural
		if same := before.index[gr].Hash == after.index[gr].Hash; same != of.same {
			t.Errorf("the hash of %s is the same: %v", gr, same)
		}
	}
	// Objects that are not stored are not remembered, nor is what was kept for a cluster that is gone.
	unsaved := local("c1", "unsaved", "string")
	for range 2 {
		if _, err := c.stored(unsaved, "c1"); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.hashes.Len(); n != 3 {
		t.Errorf("%d hashes, want those of two objects, one of which has two versions", n)
	}
	c.Forget("c1")
	if n := c.hashes.Len(); n != 0 {
		t.Errorf("%d hashes are left", n)
	}
}

// The rules by which a definition converts, and the names that it allows, are part of what it stands for.
func TestDefinition_HasItsRules(t *testing.T) {
	c := New(Config{Reader: clienttest.NewFake()})
	with := func(rules string) *apiextensionsv1.CustomResourceDefinition {
		crd := local("c1", "widgets", "string")
		if rules != "" {
			crd.Annotations = map[string]string{apisv1alpha2.AnnotationConversionKey: rules, "other": "goes"}
		}
		definition, err := c.Definition(crd)
		if err != nil {
			t.Fatal(err)
		}
		return definition
	}
	none, one, same, two := with(""), with("{}"), with("{}"), with(`{"conversions":[]}`)
	if one != same || one.UID == none.UID || one.UID == two.UID || two.UID == none.UID {
		t.Errorf("hashes %s, %s, %s, %s", none.UID, one.UID, same.UID, two.UID)
	}
	named := local("c1", "widgets", "string")
	named.Annotations = map[string]string{apisv1alpha2.AnnotationNameValidationKey: "PathSegmentName"}
	if definition, err := c.Definition(named); err != nil || definition.UID == none.UID || definition.Annotations[apisv1alpha2.AnnotationNameValidationKey] != "PathSegmentName" {
		t.Errorf("with other names: %v, %v", definition, err)
	}
	if len(none.Annotations) != 0 || len(one.Annotations) != 1 || one.Annotations[apisv1alpha2.AnnotationConversionKey] != "{}" {
		t.Errorf("annotations %v, %v", none.Annotations, one.Annotations)
	}
}
