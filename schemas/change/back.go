package change

import (
	"fmt"
	"slices"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
)

// NoWayBack returns why consumers that have schema to could not return to schema from, and their objects with them; empty if they could. While
// consumers have both, all objects must be readable with either schema: objects of all consumers pass through the endpoint of the provider,
// which stores them in the version of one schema.
func NoWayBack(from, to *apisv1alpha1.APIResourceSchema) string {
	switch {
	case from.Spec.Scope != to.Spec.Scope:
		return fmt.Sprintf("it has scope %s, and APIResourceSchema %q has scope %s", to.Spec.Scope, from.Name, from.Spec.Scope)
	case from.Spec.Names.Kind != to.Spec.Names.Kind:
		return fmt.Sprintf("it has kind %s, and APIResourceSchema %q has kind %s", to.Spec.Names.Kind, from.Name, from.Spec.Names.Kind)
	}
	if stored := storedAs(to); !hasVersion(from, stored) {
		return fmt.Sprintf("it stores objects in version %q, which APIResourceSchema %q does not have: roll out a schema that serves this version and stores the previous one first", stored, from.Name)
	}
	if stored := storedAs(from); !hasVersion(to, stored) {
		return fmt.Sprintf("it does not have version %q, in which objects are stored: keep that version, if necessary with served: false", stored)
	}
	return ""
}

func storedAs(schema *apisv1alpha1.APIResourceSchema) string {
	for i := range schema.Spec.Versions {
		if schema.Spec.Versions[i].Storage {
			return schema.Spec.Versions[i].Name
		}
	}
	return ""
}

func hasVersion(schema *apisv1alpha1.APIResourceSchema, name string) bool {
	return slices.ContainsFunc(schema.Spec.Versions, func(v apisv1alpha1.APIResourceVersion) bool { return v.Name == name })
}
