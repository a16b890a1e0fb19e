package validation

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/rule"
)

// ValidateAPIExport returns what is wrong with a new APIExport.
func ValidateAPIExport(export *apisv1alpha2.APIExport) field.ErrorList {
	errs := rule.ObjectMeta(&export.ObjectMeta, rule.SubdomainName)
	spec := field.NewPath("spec")
	type key struct{ name, group string }
	seen := map[key]int{}
	for i := range export.Spec.Resources {
		r := &export.Spec.Resources[i]
		at := spec.Child("resources").Index(i)
		errs = append(errs, validateResource(r, at)...)
		k := key{r.Name, r.Group}
		if first, twice := seen[k]; twice {
			errs = append(errs, listedTwice(at, strings.TrimSuffix(r.Name+"."+r.Group, "."), spec.Child("resources").Index(first)))
		} else {
			seen[k] = i
		}
	}
	if identity := export.Spec.Identity; identity != nil {
		at := spec.Child("identity", "secretRef")
		if ref := identity.SecretRef; ref == nil {
			errs = append(errs, field.Required(at, ""))
		} else {
			errs = append(errs, rule.SubdomainRequired(ref.Namespace, at.Child("namespace"))...)
			errs = append(errs, rule.SubdomainRequired(ref.Name, at.Child("name"))...)
		}
	}
	if policy := export.Spec.MaximalPermissionPolicy; policy != nil && policy.Local == nil {
		errs = append(errs, field.Required(spec.Child("maximalPermissionPolicy", "local"), "a maximal permission policy is local"))
	}
	return append(errs, validateExportClaims(export, spec.Child("permissionClaims"))...)
}

// ValidateAPIExportUpdate returns what is wrong with the change of an APIExport from old to export.
func ValidateAPIExportUpdate(export, old *apisv1alpha2.APIExport) field.ErrorList {
	return append(rule.ObjectMetaUpdate(&export.ObjectMeta, &old.ObjectMeta), ValidateAPIExport(export)...)
}

// ValidateAPIExportStatusUpdate returns what is wrong with the change of the status of an APIExport from old to export.
func ValidateAPIExportStatusUpdate(export, old *apisv1alpha2.APIExport) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&export.ObjectMeta, &old.ObjectMeta)
	status := field.NewPath("status")
	errs = append(errs, rule.SetOnce(export.Status.IdentityHash, old.Status.IdentityHash, status.Child("identityHash"))...)
	errs = append(errs, rule.Conditions(export.Status.Conditions, status.Child("conditions"))...)
	for i, vw := range export.Status.VirtualWorkspaces {
		at := status.Child("virtualWorkspaces").Index(i).Child("url")
		errs = append(errs, rule.Required(vw.URL, at)...)
		errs = append(errs, rule.URL(vw.URL, at)...)
	}
	return errs
}

func validateResource(r *apisv1alpha2.ResourceSchema, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	errs = append(errs, validatePlural(r.Name, path.Child("name"))...)
	suffix := r.Group
	if r.Group == "" {
		suffix = apisv1alpha2.APIResourceSchemaCoreSuffix
		errs = append(errs, rule.NotSupportedYet(path.Child("group"), "resources of the core group are"))
	} else {
		errs = append(errs, validateGroup(r.Group, path.Child("group"))...)
	}
	errs = append(errs, validateSchemaName(r.Schema, r.Name, suffix, path.Child("schema"))...)

	storage := path.Child("storage")
	switch {
	case r.Storage.Virtual != nil && r.Storage.CRD != nil:
		errs = append(errs, field.Invalid(storage, "crd and virtual", "must have exactly one of crd and virtual"))
	case r.Storage.Virtual != nil:
		errs = append(errs, validateVirtual(r.Storage.Virtual, storage.Child("virtual"))...)
	case r.Storage.CRD == nil:
		errs = append(errs, field.Required(storage, "must have exactly one of crd and virtual"))
	}
	return errs
}

// validateVirtual checks what virtual storage refers to.
func validateVirtual(v *apisv1alpha2.ResourceSchemaStorageVirtual, path *field.Path) field.ErrorList {
	reference := path.Child("reference")
	errs := rule.Required(v.Reference.Kind, reference.Child("kind"))
	errs = append(errs, rule.SubdomainRequired(v.Reference.Name, reference.Child("name"))...)
	group := ""
	if v.Reference.APIGroup != nil {
		group = *v.Reference.APIGroup
	}
	errs = append(errs, rule.SubdomainRequired(group, reference.Child("apiGroup"))...)
	if len(errs) == 0 && v.IdentityHash == "" && apisv1alpha2.IsCached(&v.Reference) {
		errs = append(errs, field.Required(path.Child("identityHash"), "the identity of the ClusterCachedResource, from its status"))
	}
	return errs
}
