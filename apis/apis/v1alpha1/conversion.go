//nolint:revive,staticcheck // the generators find functions by names with underscores
package v1alpha1

import (
	"slices"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/conversion"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

// Convert_v1alpha1_APIExport_To_v1alpha2_APIExport converts without loss; see listConversion. in is not changed.
func Convert_v1alpha1_APIExport_To_v1alpha2_APIExport(in *APIExport, out *apisv1alpha2.APIExport, s conversion.Scope) error {
	if err := autoConvert_v1alpha1_APIExport_To_v1alpha2_APIExport(in, out, s); err != nil {
		return err
	}
	out.Annotations = ownAnnotations(in.Annotations)
	var err error
	if out.Spec.Resources, err = schemasToV2().convert(in.Spec.LatestResourceSchemas, out.Annotations); err != nil {
		return err
	}
	claims := claimsToV2(V1Alpha1PermissionClaimsAnnotation, PermissionClaimsAnnotation)
	if out.Spec.PermissionClaims, err = claims.convert(in.Spec.PermissionClaims, out.Annotations); err != nil {
		return err
	}
	out.Annotations = orNil(out.Annotations)
	return nil
}

// Convert_v1alpha2_APIExport_To_v1alpha1_APIExport converts without loss; see listConversion. in is not changed.
func Convert_v1alpha2_APIExport_To_v1alpha1_APIExport(in *apisv1alpha2.APIExport, out *APIExport, s conversion.Scope) error {
	if err := autoConvert_v1alpha2_APIExport_To_v1alpha1_APIExport(in, out, s); err != nil {
		return err
	}
	out.Annotations = ownAnnotations(in.Annotations)
	var err error
	if out.Spec.LatestResourceSchemas, err = schemasToV1().convert(in.Spec.Resources, out.Annotations); err != nil {
		return err
	}
	claims := claimsToV1(PermissionClaimsAnnotation, V1Alpha1PermissionClaimsAnnotation)
	if out.Spec.PermissionClaims, err = claims.convert(in.Spec.PermissionClaims, out.Annotations); err != nil {
		return err
	}
	out.Annotations = orNil(out.Annotations)
	return nil
}

// Convert_v1alpha1_APIBinding_To_v1alpha2_APIBinding converts without loss; see listConversion. in is not changed.
func Convert_v1alpha1_APIBinding_To_v1alpha2_APIBinding(in *APIBinding, out *apisv1alpha2.APIBinding, s conversion.Scope) error {
	if err := autoConvert_v1alpha1_APIBinding_To_v1alpha2_APIBinding(in, out, s); err != nil {
		return err
	}
	out.Annotations = ownAnnotations(in.Annotations)
	answers := acceptableClaimsToV2(V1Alpha1PermissionClaimsAnnotation, AcceptablePermissionClaimsAnnotation)
	exported := claimsToV2(V1Alpha1StatusExportPermissionClaimsAnnotation, StatusExportPermissionClaimsAnnotation)
	applied := scopedClaimsToV2(V1Alpha1StatusAppliedPermissionClaimsAnnotation, StatusAppliedPermissionClaimsAnnotation)
	var err error
	if out.Spec.PermissionClaims, err = answers.convert(in.Spec.PermissionClaims, out.Annotations); err != nil {
		return err
	}
	if out.Status.ExportPermissionClaims, err = exported.convert(in.Status.ExportPermissionClaims, out.Annotations); err != nil {
		return err
	}
	if out.Status.AppliedPermissionClaims, err = applied.convert(in.Status.AppliedPermissionClaims, out.Annotations); err != nil {
		return err
	}
	out.Annotations = orNil(out.Annotations)
	return nil
}

// Convert_v1alpha2_APIBinding_To_v1alpha1_APIBinding converts without loss; see listConversion. in is not changed.
func Convert_v1alpha2_APIBinding_To_v1alpha1_APIBinding(in *apisv1alpha2.APIBinding, out *APIBinding, s conversion.Scope) error {
	if err := autoConvert_v1alpha2_APIBinding_To_v1alpha1_APIBinding(in, out, s); err != nil {
		return err
	}
	out.Annotations = ownAnnotations(in.Annotations)
	answers := acceptableClaimsToV1(AcceptablePermissionClaimsAnnotation, V1Alpha1PermissionClaimsAnnotation)
	exported := claimsToV1(StatusExportPermissionClaimsAnnotation, V1Alpha1StatusExportPermissionClaimsAnnotation)
	applied := scopedClaimsToV1(StatusAppliedPermissionClaimsAnnotation, V1Alpha1StatusAppliedPermissionClaimsAnnotation)
	var err error
	if out.Spec.PermissionClaims, err = answers.convert(in.Spec.PermissionClaims, out.Annotations); err != nil {
		return err
	}
	if out.Status.ExportPermissionClaims, err = exported.convert(in.Status.ExportPermissionClaims, out.Annotations); err != nil {
		return err
	}
	if out.Status.AppliedPermissionClaims, err = applied.convert(in.Status.AppliedPermissionClaims, out.Annotations); err != nil {
		return err
	}
	out.Annotations = orNil(out.Annotations)
	return nil
}

// Convert_v1alpha1_APIExportSpec_To_v1alpha2_APIExportSpec converts what both versions can express.
func Convert_v1alpha1_APIExportSpec_To_v1alpha2_APIExportSpec(in *APIExportSpec, out *apisv1alpha2.APIExportSpec, s conversion.Scope) error {
	if err := autoConvert_v1alpha1_APIExportSpec_To_v1alpha2_APIExportSpec(in, out, s); err != nil {
		return err
	}
	out.Resources = each(schemaToV2)(in.LatestResourceSchemas)
	return nil
}

// Convert_v1alpha2_APIExportSpec_To_v1alpha1_APIExportSpec converts what both versions can express.
func Convert_v1alpha2_APIExportSpec_To_v1alpha1_APIExportSpec(in *apisv1alpha2.APIExportSpec, out *APIExportSpec, s conversion.Scope) error {
	if err := autoConvert_v1alpha2_APIExportSpec_To_v1alpha1_APIExportSpec(in, out, s); err != nil {
		return err
	}
	out.LatestResourceSchemas = schemaNames(in.Resources)
	return nil
}

// schemaToV2 reads resource and group from the name of a schema: prefix.resource.group. Validation refuses
// names of any other form; for these, it returns neither.
func schemaToV2(name string) apisv1alpha2.ResourceSchema {
	out := apisv1alpha2.ResourceSchema{
		Schema:  name,
		Storage: apisv1alpha2.ResourceSchemaStorage{CRD: &apisv1alpha2.ResourceSchemaStorageCRD{}},
	}
	if parts := strings.SplitN(name, ".", 3); len(parts) == 3 {
		out.Name, out.Group = parts[1], parts[2]
		if out.Group == apisv1alpha2.APIResourceSchemaCoreSuffix {
			out.Group = ""
		}
	}
	return out
}

// schemaNames returns the names of the schemas whose objects are stored as those of a CustomResourceDefinition; nil when
// there are none.
func schemaNames(resources []apisv1alpha2.ResourceSchema) []string {
	var names []string
	for _, r := range resources {
		if r.Storage.Virtual == nil {
			names = append(names, r.Schema)
		}
	}
	return names
}

func schemasToV2() listConversion[string, apisv1alpha2.ResourceSchema] {
	return listConversion[string, apisv1alpha2.ResourceSchema]{
		to: each(schemaToV2), back: schemaNames, merge: mergeResources, takeKey: ResourceSchemasAnnotation,
	}
}

func schemasToV1() listConversion[apisv1alpha2.ResourceSchema, string] {
	return listConversion[apisv1alpha2.ResourceSchema, string]{
		to: schemaNames, back: each(schemaToV2), merge: func(converted, _ []string) []string { return converted }, keepKey: ResourceSchemasAnnotation,
	}
}

// mergeResources restores the kept form of each schema that is still listed, and the kept resources that v1alpha1 cannot express.
func mergeResources(converted, kept []apisv1alpha2.ResourceSchema) []apisv1alpha2.ResourceSchema {
	for _, k := range kept {
		if k.Storage.Virtual == nil {
			if i := slices.IndexFunc(converted, func(r apisv1alpha2.ResourceSchema) bool { return r.Schema == k.Schema }); i >= 0 {
				converted[i] = k
			}
			continue
		}
		if !slices.ContainsFunc(converted, func(r apisv1alpha2.ResourceSchema) bool { return apiequality.Semantic.DeepEqual(r, k) }) {
			converted = append(converted, k)
		}
	}
	return converted
}
