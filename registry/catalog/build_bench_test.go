package catalog

import (
	"fmt"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/client/clienttest"
)

// BenchmarkBuild_OneChange is what one change costs in a cluster that has so many definitions with so many properties.
func BenchmarkBuild_OneChange(b *testing.B) {
	for _, size := range []struct{ definitions, properties int }{{10, 20}, {500, 20}, {500, 500}} {
		b.Run(fmt.Sprintf("%d definitions of %d properties", size.definitions, size.properties), func(b *testing.B) {
			fake := clienttest.NewFake()
			var one *apiextensionsv1.CustomResourceDefinition
			for i := range size.definitions {
				one = local("c1", fmt.Sprint("widgets", i), "string")
				one.UID = types.UID(one.Name)
				properties := one.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties
				for j := range size.properties {
					properties[fmt.Sprint("property", j)] = apiextensionsv1.JSONSchemaProps{Type: "string", Description: "what it is for"}
				}
				created, err := fake.Create(b.Context(), definitionsResource, "c1", one)
				if err != nil {
					b.Fatal(err)
				}
				one = created.(*apiextensionsv1.CustomResourceDefinition)
			}
			c := New(Config{Reader: fake})
			held, err := c.build(b.Context(), fake, "c1")
			if err != nil {
				b.Fatal(err)
			}
			for i := 0; b.Loop(); i++ {
				changed := one.DeepCopy()
				changed.Labels = map[string]string{"n": fmt.Sprint(i)}
				changed.ResourceVersion = ""
				if _, err := fake.Update(b.Context(), definitionsResource, "c1", changed); err != nil {
					b.Fatal(err)
				}
				if held, err = c.build(b.Context(), fake, "c1"); err != nil {
					b.Fatal(err)
				}
			}
			if len(held.Resources()) != size.definitions {
				b.Errorf("%d resources", len(held.Resources()))
			}
		})
	}
}
