// Package v1alpha1 is annex.dev/v1alpha1: [HostBinding], which projects the resources of an APIExport onto the host cluster,
// [APIExportRollout], which rolls out changes of an APIExport in waves, [APIChangeReport], which says what a change of an APIExport would break,
// [APIStorageMigration], which rewrites objects that are stored in an older version,
// [WorkspaceAccess], which keeps a Secret with credentials for a workspace, [WorkspaceClaim], by which users of the host ask for a workspace
// in their namespace, with [WorkspaceClass], which says what they may ask for, and the reviews [AccessExplanation] and [WhoCanReview], which
// explain permissions in a workspace and are stored nowhere.
//
// It contains types and their registration; validation is in apis/annex/validation, how namespaces map to workspaces in
// apis/annex/mapping. Anyone may import it.
//
// +k8s:deepcopy-gen=package
// +k8s:defaulter-gen=TypeMeta
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=dev.annex.v1alpha1
// +groupName=annex.dev
package v1alpha1
