package claiming

import (
	"fmt"
	"slices"
	"strings"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// Default returns the class of claims that name none, the newest of those that are marked; nil if none is. Equally old ones are ordered by name.
func Default(classes []*annexv1alpha1.WorkspaceClass) *annexv1alpha1.WorkspaceClass {
	var newest *annexv1alpha1.WorkspaceClass
	for _, class := range classes {
		if class.Annotations[annexv1alpha1.DefaultClassAnnotationKey] != "true" || class.DeletionTimestamp != nil {
			continue
		}
		if newest == nil || newest.CreationTimestamp.Before(&class.CreationTimestamp) ||
			newest.CreationTimestamp.Equal(&class.CreationTimestamp) && class.Name < newest.Name {
			newest = class
		}
	}
	return newest
}

// Type returns the complete type for a claim that asks for ref, which may be nil; nil if the parent of the class decides. The error says
// that the class does not permit the type.
func Type(class *annexv1alpha1.WorkspaceClass, ref *tenancyv1alpha1.WorkspaceTypeReference) (*tenancyv1alpha1.WorkspaceTypeReference, error) {
	types := class.Spec.Types
	switch {
	case ref == nil && len(types) == 0:
		return nil, nil
	case ref == nil:
		return types[0].DeepCopy(), nil
	}
	i := slices.IndexFunc(types, func(t tenancyv1alpha1.WorkspaceTypeReference) bool {
		return t.Name == ref.Name && (ref.Path == "" || ref.Path == t.Path)
	})
	if i < 0 {
		return nil, fmt.Errorf("WorkspaceClass %s does not permit workspace type %s; it permits: %s", class.Name, name(*ref), names(types))
	}
	return types[i].DeepCopy(), nil
}

func name(ref tenancyv1alpha1.WorkspaceTypeReference) string {
	if ref.Path == "" {
		return string(ref.Name)
	}
	return ref.Path + ":" + string(ref.Name)
}

func names(types []tenancyv1alpha1.WorkspaceTypeReference) string {
	if len(types) == 0 {
		return "none by name"
	}
	var all []string
	for _, t := range types {
		all = append(all, name(t))
	}
	return strings.Join(all, ", ")
}

// Permits returns an error unless class permits what claim asks for.
func Permits(class *annexv1alpha1.WorkspaceClass, claim *annexv1alpha1.WorkspaceClaim) error {
	if allowed := class.Spec.Namespaces; len(allowed) > 0 && !slices.Contains(allowed, claim.Namespace) {
		return fmt.Errorf("WorkspaceClass %s does not permit claims in namespace %s", class.Name, claim.Namespace)
	}
	if claim.Spec.Secret != nil && class.Spec.Secret == nil {
		return fmt.Errorf("WorkspaceClass %s does not permit Secrets", class.Name)
	}
	_, err := Type(class, claim.Spec.Type)
	return err
}
