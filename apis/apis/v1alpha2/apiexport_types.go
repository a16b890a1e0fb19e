package v1alpha2

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// Annotations and data keys around an APIExport.
const (
	// APIExportEndpointSliceSkipAnnotation keeps an APIExport without an endpoint slice of its own name, whatever its value.
	APIExportEndpointSliceSkipAnnotation = "apiexports.apis.kcp.io/skip-endpointslice"
	// ExtraAnnotationPrefix begins the keys of annotations that are copied from an APIExport to its APIBindings.
	ExtraAnnotationPrefix = "extra.apis.kcp.io/"
	// SecretKeyAPIExportIdentity is the data key of the identity Secret that holds the identity.
	SecretKeyAPIExportIdentity = "key"
	// IdentitySecretNamespace is the namespace in which the system makes identity Secrets.
	IdentitySecretNamespace = "kcp-system"
	// APIResourceSchemaCoreSuffix stands for the core group at the end of the name of an APIResourceSchema.
	APIResourceSchemaCoreSuffix = "core"
)

// Conditions of an APIExport and their reasons.
const (
	// APIExportIdentityValid says whether the identity is there and is the one it always was.
	APIExportIdentityValid conditionsv1alpha1.ConditionType = "IdentityValid"
	// APIExportVirtualWorkspaceURLsReady says whether the addresses of the virtual workspaces are known.
	APIExportVirtualWorkspaceURLsReady conditionsv1alpha1.ConditionType = "VirtualWorkspaceURLsReady"
	// APIExportSchemasValid says whether every APIResourceSchema that the export names exists.
	APIExportSchemasValid conditionsv1alpha1.ConditionType = "APIResourceSchemasValid"
	// SchemaNotFoundReason means that one does not.
	SchemaNotFoundReason = "APIResourceSchemaNotFound"
	// IdentityVerificationFailedReason means that the Secret is missing, or holds another identity than before.
	IdentityVerificationFailedReason = "IdentityVerificationFailed"
	// IdentityGenerationFailedReason means that the Secret could not be made.
	IdentityGenerationFailedReason = "IdentityGenerationFailed"
	// ErrorGeneratingURLsReason means that the addresses could not be made.
	ErrorGeneratingURLsReason = "ErrorGeneratingURLs"
)

// APIExport offers resources to other workspaces. They use them by an APIBinding that refers to it; whoever may use the
// content of the export works on the objects of all of them through its endpoints.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type APIExport struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what is offered.
	// +optional
	Spec APIExportSpec `json:"spec,omitempty"`
	// status is what was found.
	// +optional
	Status APIExportStatus `json:"status,omitempty"`
}

// APIExportSpec is what is offered.
type APIExportSpec struct {
	// resources are the resources on offer, each with the APIResourceSchema that says what it looks like. A change reaches the bindings by itself.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +listMapKey=group
	Resources []ResourceSchema `json:"resources,omitempty"`
	// identity says who owns the exported APIs. The system makes one when it is left out.
	// +optional
	Identity *Identity `json:"identity,omitempty"`
	// maximalPermissionPolicy limits what users of a binding may do to the exported resources. Not supported yet.
	// +optional
	MaximalPermissionPolicy *MaximalPermissionPolicy `json:"maximalPermissionPolicy,omitempty"`
	// permissionClaims ask for access to other resources in the workspaces that bind. Not supported yet.
	// +optional
	// +listType=map
	// +listMapKey=group
	// +listMapKey=resource
	PermissionClaims []PermissionClaim `json:"permissionClaims,omitempty"`
}

// ResourceSchema is one resource on offer.
type ResourceSchema struct {
	// name is the resource in plural, such as widgets.
	// +required
	Name string `json:"name"`
	// group is the API group of the resource; empty for the core group.
	// +required
	Group string `json:"group"`
	// schema is the name of the APIResourceSchema in the workspace of the APIExport. It ends in .name.group, with core for the core group.
	// +required
	Schema string `json:"schema"`
	// storage says where the objects live. Left out, it is crd.
	// +optional
	Storage ResourceSchemaStorage `json:"storage,omitempty"`
}

// ResourceSchemaStorage says where the objects of a resource live. Exactly one of the fields is set.
type ResourceSchemaStorage struct {
	// crd keeps the objects in the workspace that binds, as those of a CustomResourceDefinition.
	// +optional
	CRD *ResourceSchemaStorageCRD `json:"crd,omitempty"`
	// virtual serves the objects from somewhere else. Not supported yet.
	// +optional
	Virtual *ResourceSchemaStorageVirtual `json:"virtual,omitempty"`
}

// ResourceSchemaStorageCRD keeps objects as those of a CustomResourceDefinition. It has no settings.
type ResourceSchemaStorageCRD struct{}

// ResourceSchemaStorageVirtual serves objects from an endpoint.
type ResourceSchemaStorageVirtual struct {
	// reference points to the object, in the workspace of the APIExport, whose status lists the endpoints.
	// +required
	Reference corev1.TypedLocalObjectReference `json:"reference"`
	// identityHash is the identity of the resource behind the endpoints.
	// +optional
	IdentityHash string `json:"identityHash,omitempty"`
}

// Identity says where the identity of an APIExport is kept.
type Identity struct {
	// secretRef points to a Secret in the workspace of the APIExport whose data holds the identity under "key".
	// +optional
	SecretRef *corev1.SecretReference `json:"secretRef,omitempty"`
}

// MaximalPermissionPolicy limits what users of a binding may do.
type MaximalPermissionPolicy struct {
	// local takes the limits from RBAC in the workspace of the APIExport.
	// +optional
	Local *LocalAPIExportPolicy `json:"local,omitempty"`
}

// LocalAPIExportPolicy takes limits from RBAC in the workspace of the APIExport. It has no settings.
type LocalAPIExportPolicy struct{}

// GroupResource names a resource.
type GroupResource struct {
	// group is the API group of the resource; empty for the core group.
	// +optional
	// +default=""
	Group string `json:"group"`
	// resource is the resource in plural.
	// +required
	Resource string `json:"resource"`
}

// PermissionClaim asks for access to a resource that the APIExport does not offer itself.
type PermissionClaim struct {
	GroupResource `json:",inline"`
	// verbs are what is asked for; * is every verb.
	// +required
	// +listType=set
	Verbs []string `json:"verbs"`
	// identityHash is the identity of the APIExport that the resource comes from. It is empty for a resource that every workspace has.
	// +optional
	// +default=""
	IdentityHash string `json:"identityHash,omitempty"`
	// defaultSelector picks the objects in default bindings, where no user answers the claim.
	// +optional
	DefaultSelector *PermissionClaimSelector `json:"defaultSelector,omitempty"`
}

// PermissionClaimSelector picks objects: all, or those with some labels. Exactly one kind of choice is set.
type PermissionClaimSelector struct {
	metav1.LabelSelector `json:",inline"`
	// matchAll picks all objects.
	// +optional
	MatchAll bool `json:"matchAll,omitempty"`
}

// APIExportStatus is what was found of an export.
type APIExportStatus struct {
	// identityHash is the SHA-256 of the identity, in hexadecimal. Once set it never changes.
	// +optional
	IdentityHash string `json:"identityHash,omitempty"`
	// conditions are the latest observations.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions conditionsv1alpha1.Conditions `json:"conditions,omitempty"`
	// virtualWorkspaces is kept for old clients and not filled: addresses stand in APIExportEndpointSlices.
	// +optional
	// +listType=atomic
	VirtualWorkspaces []VirtualWorkspace `json:"virtualWorkspaces,omitempty"`
}

// VirtualWorkspace is the address of a virtual workspace.
type VirtualWorkspace struct {
	// url is the address.
	// +required
	URL string `json:"url"`
}

// GetConditions returns the conditions of the status.
func (in *APIExport) GetConditions() conditionsv1alpha1.Conditions { return in.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (in *APIExport) SetConditions(c conditionsv1alpha1.Conditions) { in.Status.Conditions = c }

// APIExportList is a list of APIExports.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type APIExportList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []APIExport `json:"items"`
}
