package v1alpha1

// If one version of an object can express something that the other version cannot, these annotations of the other version keep it, as
// the JSON of the whole list. Conversion adds and removes them: an object never has annotations for what its own version can express.
const (
	annotationPrefix = "apis.v1alpha2.kcp.io/"

	// ResourceSchemasAnnotation keeps spec.resources of a v1alpha2 APIExport.
	ResourceSchemasAnnotation = annotationPrefix + "resource-schemas"
	// PermissionClaimsAnnotation keeps spec.permissionClaims of a v1alpha2 APIExport.
	PermissionClaimsAnnotation = annotationPrefix + "permission-claims"
	// AcceptablePermissionClaimsAnnotation keeps spec.permissionClaims of a v1alpha2 APIBinding.
	AcceptablePermissionClaimsAnnotation = annotationPrefix + "acceptable-permission-claims"
	// StatusExportPermissionClaimsAnnotation keeps status.exportPermissionClaims of a v1alpha2 APIBinding.
	StatusExportPermissionClaimsAnnotation = annotationPrefix + "status-export-permission-claims"
	// StatusAppliedPermissionClaimsAnnotation keeps status.appliedPermissionClaims of a v1alpha2 APIBinding.
	StatusAppliedPermissionClaimsAnnotation = annotationPrefix + "status-applied-permission-claims"

	// V1Alpha1PermissionClaimsAnnotation keeps spec.permissionClaims of a v1alpha1 APIExport or APIBinding.
	V1Alpha1PermissionClaimsAnnotation = annotationPrefix + "v1alpha1-permission-claims"
	// V1Alpha1StatusExportPermissionClaimsAnnotation keeps status.exportPermissionClaims of a v1alpha1 APIBinding.
	V1Alpha1StatusExportPermissionClaimsAnnotation = annotationPrefix + "v1alpha1-status-export-permission-claims"
	// V1Alpha1StatusAppliedPermissionClaimsAnnotation keeps status.appliedPermissionClaims of a v1alpha1 APIBinding.
	V1Alpha1StatusAppliedPermissionClaimsAnnotation = annotationPrefix + "v1alpha1-status-applied-permission-claims"
)
