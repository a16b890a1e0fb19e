package v1alpha2

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// Annotations and data keys around an APIExport.
const (
	// APIExportEndpointSliceSkipAnnotation prevents an endpoint slice of the same name for an APIExport, whatever its value.
	APIExportEndpointSliceSkipAnnotation = "apiexports.apis.kcp.io/skip-endpointslice"
	// ExtraAnnotationPrefix begins the keys of annotations that are copied from an APIExport to its APIBindings.
	ExtraAnnotationPrefix = "extra.apis.kcp.io/"
	// SecretKeyAPIExportIdentity is the data key of the identity Secret that contains the identity.
	SecretKeyAPIExportIdentity = "key"
	// IdentitySecretNamespace is the namespace in which the system creates identity Secrets.
	IdentitySecretNamespace = "kcp-system"
	// APIResourceSchemaCoreSuffix stands for the core group at the end of the name of an APIResourceSchema.
	APIResourceSchemaCoreSuffix = "core"
)

// Conditions of an APIExport and their reasons.
const (
	// APIExportIdentityValid says whether the identity exists and has not changed.
	APIExportIdentityValid conditionsv1alpha1.ConditionType = "IdentityValid"
	// APIExportVirtualWorkspaceURLsReady says whether the addresses of the virtual workspaces are known.
	APIExportVirtualWorkspaceURLsReady conditionsv1alpha1.ConditionType = "VirtualWorkspaceURLsReady"
	// APIExportSchemasValid says whether every APIResourceSchema that the export names exists.
	APIExportSchemasValid conditionsv1alpha1.ConditionType = "APIResourceSchemasValid"
	// VirtualStorageReady says whether the endpoints of virtual storage are there. An APIExport has it while it offers resources with virtual storage
	// that is not a ClusterCachedResource, and so has an APIBinding that binds them.
	VirtualStorageReady conditionsv1alpha1.ConditionType = "VirtualStorageReady"
	// EndpointNotFoundReason means that an object that virtual storage refers to does not exist, or lists no endpoint for this server.
	EndpointNotFoundReason = "EndpointNotFound"
	// VirtualStorageNotEnabledReason means that the server sends no requests to other servers.
	VirtualStorageNotEnabledReason = "VirtualStorageNotEnabled"
	// SchemaNotFoundReason means that at least one of them does not exist.
	SchemaNotFoundReason = "APIResourceSchemaNotFound"
	// IdentityVerificationFailedReason means that the Secret is missing, or that its identity has changed.
	IdentityVerificationFailedReason = "IdentityVerificationFailed"
	// IdentityGenerationFailedReason means that the Secret could not be created.
	IdentityGenerationFailedReason = "IdentityGenerationFailed"
	// ErrorGeneratingURLsReason means that the addresses could not be generated.
	ErrorGeneratingURLsReason = "ErrorGeneratingURLs"
)

// APIExport offers resources to other workspaces. Another workspace uses the resources through an APIBinding that
// refers to the export. Users with permission for the content of the export can work on the objects in all those workspaces
// through its endpoints.
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
	// resources are the exported resources, each with the APIResourceSchema that describes it. Existing bindings get a change automatically.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +listMapKey=group
	Resources []ResourceSchema `json:"resources,omitempty"`
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

// ResourceSchema is one exported resource.
type ResourceSchema struct {
	// name is the plural name of the resource, such as widgets.
	// +required
	Name string `json:"name"`
	// group is the API group of the resource; empty for the core group.
	// +required
	Group string `json:"group"`
	// schema is the name of the APIResourceSchema in the workspace of the APIExport. It ends in .name.group, with core for the core group.
	// +required
	Schema string `json:"schema"`
	// storage defines where the objects are stored. If not set, it is crd.
	// +optional
	Storage ResourceSchemaStorage `json:"storage,omitempty"`
}

// ResourceSchemaStorage defines where the objects of a resource are stored. Exactly one of the fields is set.
type ResourceSchemaStorage struct {
	// crd stores the objects in the workspace that binds the export, like the objects of a CustomResourceDefinition.
	// +optional
	CRD *ResourceSchemaStorageCRD `json:"crd,omitempty"`
	// virtual serves the objects from somewhere else. The objects are stored neither in the workspace that binds the export, nor deleted with
	// the binding.
	// +optional
	Virtual *ResourceSchemaStorageVirtual `json:"virtual,omitempty"`
}

// ResourceSchemaStorageCRD stores objects like those of a CustomResourceDefinition. It has no settings.
type ResourceSchemaStorageCRD struct{}

// ResourceSchemaStorageVirtual serves objects from an endpoint.
type ResourceSchemaStorageVirtual struct {
	// reference refers to an object in the workspace of the APIExport. The status of that object lists the endpoints.
	// +required
	Reference corev1.TypedLocalObjectReference `json:"reference"`
	// identityHash is the identity of the resource that the endpoints serve.
	// +optional
	IdentityHash string `json:"identityHash,omitempty"`
}

// Identity refers to the stored identity of an APIExport.
type Identity struct {
	// secretRef refers to a Secret in the workspace of the APIExport. The data of the Secret contains the identity under "key".
	// +optional
	SecretRef *corev1.SecretReference `json:"secretRef,omitempty"`
}

// MaximalPermissionPolicyRBACUserGroupPrefix begins the names of users and groups of consumers in the RBAC of the workspace of an APIExport
// with a maximal permission policy.
const MaximalPermissionPolicyRBACUserGroupPrefix = "apis.kcp.io:binding:"

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
	Group string `json:"group"`
	// resource is the plural name of the resource.
	// +required
	Resource string `json:"resource"`
}

// PermissionClaim requests access to a resource that the APIExport itself does not offer.
type PermissionClaim struct {
	GroupResource `json:",inline"`
	// verbs are the requested verbs; * is every verb.
	// +required
	// +listType=set
	Verbs []string `json:"verbs"`
	// identityHash is the identity of the APIExport that the resource comes from. It is empty for a resource that every workspace has.
	// +optional
	// +default=""
	IdentityHash string `json:"identityHash,omitempty"`
	// defaultSelector selects the objects in default bindings, where no user accepts or rejects the claim.
	// +optional
	DefaultSelector *PermissionClaimSelector `json:"defaultSelector,omitempty"`
}

// PermissionClaimSelector selects objects: all, or those with some labels. Exactly one of the two is set.
type PermissionClaimSelector struct {
	metav1.LabelSelector `json:",inline"`
	// matchAll selects all objects.
	// +optional
	MatchAll bool `json:"matchAll,omitempty"`
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
