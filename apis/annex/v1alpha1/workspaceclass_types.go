package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// Annotations of a WorkspaceClass.
const (
	// DefaultClassAnnotationKey, with the value "true", makes a WorkspaceClass the class of claims that name none. If several classes
	// have it, the newest counts.
	DefaultClassAnnotationKey = "workspaceclass.annex.dev/is-default-class"
	// ClassClustersAnnotationKey contains the names of the logical clusters in which the permissions of the author of a WorkspaceClass were
	// checked, separated by commas: the parent, and that of each type. Only the server writes it.
	ClassClustersAnnotationKey = "internal.annex.dev/class-clusters"
)

// WorkspaceClass says what WorkspaceClaims of the class may ask for, as a StorageClass does for volumes. It is the permission: a user
// who may create WorkspaceClaims in one namespace of the host needs no other permission. Without a class, claims are refused.
// WorkspaceClasses exist only in the host workspace.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type WorkspaceClass struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec says what claims of the class may ask for.
	// +optional
	Spec WorkspaceClassSpec `json:"spec,omitempty"`
}

// WorkspaceClassSpec says what claims of a class may ask for.
type WorkspaceClassSpec struct {
	// parent is the path of the workspace that the workspaces of the class are created in, such as root:teams. It cannot be changed.
	// +required
	Parent string `json:"parent"`
	// types are the workspace types that claims may name, each with its path. A claim that names none gets the first one. If the list is
	// empty, claims cannot name a type, and a workspace has the default child type of the type of the parent.
	// +optional
	// +listType=atomic
	Types []tenancyv1alpha1.WorkspaceTypeReference `json:"types,omitempty"`
	// namespaces are the namespaces of the host whose claims may use the class. If the list is empty, all may.
	// +optional
	// +listType=set
	Namespaces []string `json:"namespaces,omitempty"`
	// owner says who becomes the administrator of a workspace: Creator, the default, for the user who created the claim, or None.
	// +optional
	Owner WorkspaceClassOwner `json:"owner,omitempty"`
	// secret permits claims to ask for a Secret with credentials for the workspace. If not set, claims cannot ask for one.
	// +optional
	Secret *WorkspaceClassSecret `json:"secret,omitempty"`
	// maxWorkspaces limits how many workspaces of the class there are, including those that are kept after their claim was deleted. If not
	// set, there is no limit.
	// +optional
	MaxWorkspaces *int32 `json:"maxWorkspaces,omitempty"`
	// maxWorkspacesPerNamespace limits how many of them are for the claims of one namespace. The default is 10.
	// +optional
	MaxWorkspacesPerNamespace *int32 `json:"maxWorkspacesPerNamespace,omitempty"`
	// reclaimPolicy says what happens to a workspace whose claim, or the namespace of the claim, was deleted: Delete, the default, deletes
	// it after the grace period. Retain keeps it until somebody deletes it.
	// +optional
	ReclaimPolicy WorkspaceReclaimPolicy `json:"reclaimPolicy,omitempty"`
	// gracePeriodSeconds is how long a workspace without a claim is kept before it is deleted. In this time, the same user can take it back
	// by creating the claim again. The default is 259200, three days.
	// +optional
	GracePeriodSeconds *int64 `json:"gracePeriodSeconds,omitempty"`
}

// WorkspaceClassSecret defines the credentials in the Secrets of claims.
type WorkspaceClassSecret struct {
	// clusterRole is the ClusterRole that a Secret has in its workspace. The default is admin.
	// +optional
	ClusterRole string `json:"clusterRole,omitempty"`
}

// WorkspaceClassOwner says who becomes the administrator of a workspace.
// +enum
type WorkspaceClassOwner string

const (
	// WorkspaceClassOwnerCreator makes the user who created the claim the administrator.
	WorkspaceClassOwnerCreator WorkspaceClassOwner = "Creator"
	// WorkspaceClassOwnerNone makes nobody the administrator.
	WorkspaceClassOwnerNone WorkspaceClassOwner = "None"
)

// WorkspaceReclaimPolicy says what happens to a workspace without a claim.
// +enum
type WorkspaceReclaimPolicy string

const (
	// WorkspaceReclaimDelete deletes the workspace after the grace period.
	WorkspaceReclaimDelete WorkspaceReclaimPolicy = "Delete"
	// WorkspaceReclaimRetain keeps the workspace until somebody deletes it.
	WorkspaceReclaimRetain WorkspaceReclaimPolicy = "Retain"
)

// WorkspaceClassList is a list of WorkspaceClasses.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type WorkspaceClassList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []WorkspaceClass `json:"items"`
}
