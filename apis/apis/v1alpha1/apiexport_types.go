package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// APIExport offers resources to other workspaces. This is the older version; see v1alpha2.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type APIExport struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec describes the exported APIs.
	// +optional
	Spec APIExportSpec `json:"spec,omitempty"`
	// status is the observed state.
	// +optional
	Status APIExportStatus `json:"status,omitempty"`
}

// APIExportSpec describes the exported APIs.
type APIExportSpec struct {
	// latestResourceSchemas are the names of the APIResourceSchemas of the exported resources.
	// +optional
	// +listType=set
	LatestResourceSchemas []string `json:"latestResourceSchemas,omitempty"`
	// identity identifies the owner of the exported APIs. If it is not set, the system creates one.
	// +optional
	Identity *Identity `json:"identity,omitempty"`
	// maximalPermissionPolicy limits what users of a binding may do to the exported resources.
	// +optional
	MaximalPermissionPolicy *MaximalPermissionPolicy `json:"maximalPermissionPolicy,omitempty"`
	// permissionClaims request access to other resources in the workspaces that bind the export.
	// +optional
	// +listType=map
	// +listMapKey=group
	// +listMapKey=resource
	PermissionClaims []PermissionClaim `json:"permissionClaims,omitempty"`
}

// Identity refers to the stored identity of an APIExport.
type Identity struct {
	// secretRef refers to a Secret in the workspace of the APIExport. The data of the Secret contains the identity under "key".
	// +optional
	SecretRef *corev1.SecretReference `json:"secretRef,omitempty"`
}

// MaximalPermissionPolicy limits what users of a binding may do. Exactly one field must be set.
type MaximalPermissionPolicy struct {
	// local takes the limits from RBAC in the workspace of the APIExport: users of a binding may do only what this RBAC allows to their
	// names and groups with the prefix apis.kcp.io:binding:.
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
	Group string `json:"group,omitempty"`
	// resource is the plural name of the resource.
	// +required
	Resource string `json:"resource"`
}

// PermissionClaim requests access to a resource that the APIExport itself does not offer.
type PermissionClaim struct {
	GroupResource `json:",inline"`
	// all requests access to all objects.
	// +optional
	All bool `json:"all,omitempty"`
	// resourceSelector requests access to some objects. It has the same effect as all.
	// +optional
	// +listType=atomic
	ResourceSelector []ResourceSelector `json:"resourceSelector,omitempty"`
	// identityHash is the identity of the APIExport that the resource comes from. It is empty for a resource that every workspace has.
	// +optional
	IdentityHash string `json:"identityHash,omitempty"`
}

// ResourceSelector selects objects by name or namespace.
type ResourceSelector struct {
	// name is the name of the object.
	// +optional
	Name string `json:"name,omitempty"`
	// namespace is the namespace of the object.
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// APIExportStatus is the observed state of an export.
type APIExportStatus struct {
	// identityHash is the SHA-256 of the identity, in hexadecimal. Once set it never changes.
	// +optional
	IdentityHash string `json:"identityHash,omitempty"`
	// conditions are the latest observations.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions conditionsv1alpha1.Conditions `json:"conditions,omitempty"`
	// virtualWorkspaces exists for old clients and is always empty. The addresses are in APIExportEndpointSlices.
	// +optional
	// +listType=atomic
	VirtualWorkspaces []VirtualWorkspace `json:"virtualWorkspaces,omitempty"`
	// consumers says how the workspaces that bind the export follow it. It is updated at most once a second. The exports tenancy.kcp.io,
	// topology.kcp.io and shards.core.kcp.io of root do not have it. kcp has no such field.
	// +optional
	Consumers *APIExportConsumers `json:"consumers,omitempty"`
}

// APIExportConsumers says how the workspaces that bind an export follow it.
type APIExportConsumers struct {
	// bound is how many workspaces have bound the export.
	// +required
	Bound int32 `json:"bound"`
	// pending is how many APIBindings refer to the export but could not bind its resources yet.
	// +optional
	Pending int32 `json:"pending"`
	// behind is how many workspaces have bound the export but could not follow its last change. They use the previous schemas.
	// +optional
	Behind int32 `json:"behind"`
	// schemas says how many workspaces use which APIResourceSchema of a resource, at most 50 entries.
	// +optional
	// +listType=atomic
	Schemas []APIExportSchemaUse `json:"schemas,omitempty"`
	// problems are APIBindings that could not bind or follow, at most ten.
	// +optional
	// +listType=atomic
	Problems []APIExportConsumerProblem `json:"problems,omitempty"`
}

// APIExportSchemaUse says how many workspaces use an APIResourceSchema.
type APIExportSchemaUse struct {
	// group is the API group of the resource; empty for the core group.
	// +optional
	Group string `json:"group,omitempty"`
	// resource is the plural name of the resource.
	// +required
	Resource string `json:"resource"`
	// schema is the name of the APIResourceSchema.
	// +required
	Schema string `json:"schema"`
	// workspaces is how many workspaces use it.
	// +required
	Workspaces int32 `json:"workspaces"`
}

// APIExportConsumerProblem is an APIBinding that could not bind or follow an export.
type APIExportConsumerProblem struct {
	// cluster is the name of the logical cluster of the APIBinding.
	// +required
	Cluster string `json:"cluster"`
	// binding is the name of the APIBinding.
	// +required
	Binding string `json:"binding"`
	// reason is the reason in the condition of the APIBinding that says so, such as NamingConflicts.
	// +required
	Reason string `json:"reason"`
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
