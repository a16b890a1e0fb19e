package crd

import (
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
)

// Structural returns the structural schema of each version of definition that has one. They share values with definition.
func Structural(definition *apiextensionsv1.CustomResourceDefinition) (map[string]*structuralschema.Structural, error) {
	all := map[string]*structuralschema.Structural{}
	for _, v := range definition.Spec.Versions {
		if v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
			continue
		}
		internal := &apiextensions.JSONSchemaProps{}
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, internal, nil); err != nil {
			return nil, fmt.Errorf("converting the schema of version %s: %w", v.Name, err)
		}
		s, err := structuralschema.NewStructural(internal)
		if err != nil {
			return nil, fmt.Errorf("reading the schema of version %s: %w", v.Name, err)
		}
		all[v.Name] = s
	}
	return all, nil
}
