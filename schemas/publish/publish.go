package publish

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/schemas/crd"
)

const (
	// AnnotationKey publishes the CustomResourceDefinition that has it. Its value is the name of the APIExport; empty or "true" stands for the group
	// of the CustomResourceDefinition.
	AnnotationKey = "annex.dev/publish"
	// FromAnnotationKey names, on an APIResourceSchema, the CustomResourceDefinition that it was made from. Such a schema is removed when nothing
	// uses it any more.
	FromAnnotationKey = "annex.dev/published-from"
)

// prefix begins the names of schemas, before the hash of their content.
const prefix = "crd-"

// ExportOf returns the name of the APIExport by which a CustomResourceDefinition of group with these annotations is published; false if it is not.
func ExportOf(annotations map[string]string, group string) (string, bool) {
	name, published := annotations[AnnotationKey]
	switch {
	case !published:
		return "", false
	case name == "" || name == "true":
		return group, true
	}
	return name, true
}

// SchemaOf returns the schema of definition, defaulted. Its name contains a hash of its content, so that the same content always has the
// same name, for example crd-0f1e2d3c4b.widgets.example.com. The error says what an APIResourceSchema cannot express.
func SchemaOf(definition *apiextensionsv1.CustomResourceDefinition) (*apisv1alpha1.APIResourceSchema, error) {
	schema, err := crd.ToSchema(definition, "x")
	if err != nil {
		return nil, fmt.Errorf("publishing CustomResourceDefinition %q: %w", definition.Name, err)
	}
	apisv1alpha1.SetObjectDefaults_APIResourceSchema(schema)
	content, err := json.Marshal(struct {
		Spec        any
		Annotations map[string]string // approval of a protected group
	}{schema.Spec, schema.Annotations})
	if err != nil {
		return nil, fmt.Errorf("hashing the schema of CustomResourceDefinition %q: %w", definition.Name, err)
	}
	hash := sha256.Sum256(content)
	schema.Name = prefix + hex.EncodeToString(hash[:5]) + "." + schema.Spec.Names.Plural + "." + schema.Spec.Group
	if schema.Annotations == nil {
		schema.Annotations = map[string]string{}
	}
	schema.Annotations[FromAnnotationKey] = definition.Name
	return schema, nil
}
