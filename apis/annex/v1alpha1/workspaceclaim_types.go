package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// Annotations around a WorkspaceClaim. Only the server writes them.
const (
	// ClaimOwnerAnnotationKey, on a WorkspaceClaim, contains the user who created it, as the JSON of a UserInfo.
	ClaimOwnerAnnotationKey = "annex.dev/owner"
	// ClaimRefAnnotationKey, on a Workspace, names the claim that it was created for, as JSON. Administrators of the server may change it.
	ClaimRefAnnotationKey = "annex.dev/workspaceclaim"
	// DeleteAfterAnnotationKey, on a Workspace without its claim, is the time after which it is deleted (RFC 3339), or "never".
	DeleteAfterAnnotationKey = "annex.dev/delete-after"
)

// DeleteNever is the value of DeleteAfterAnnotationKey for a workspace that is kept until somebody deletes it.
const DeleteNever = "never"

// Conditions of a WorkspaceClaim.
const (
	// WorkspaceBound says whether the claim has its workspace.
	WorkspaceBound conditionsv1alpha1.ConditionType = "WorkspaceBound"
	// WorkspaceReady says whether the workspace can be used.
	WorkspaceReady conditionsv1alpha1.ConditionType = "WorkspaceReady"
	// SecretReady says whether the Secret that the claim asks for is there.
	SecretReady conditionsv1alpha1.ConditionType = "SecretReady"
)

// Reasons of those conditions, in addition to WorkspaceNotFound, WorkspaceNotReady and Conflict.
const (
	// ClassNotFoundReason means that the WorkspaceClass does not exist.
	ClassNotFoundReason = "ClassNotFound"
	// NotPermittedReason means that the WorkspaceClass no longer permits what the claim asks for.
	NotPermittedReason = "NotPermittedByClass"
	// ParentNotFoundReason means that the parent workspace of the class does not exist, or is not the one that the class was accepted for.
	ParentNotFoundReason = "ParentNotFound"
	// LimitReachedReason means that the class has no room for one more workspace.
	LimitReachedReason = "LimitReached"
	// WorkspaceTerminatingReason means that the workspace of an earlier claim of this name is being deleted.
	WorkspaceTerminatingReason = "WorkspaceTerminating"
	// WorkspaceRefusedReason means that the workspace cannot be created. The message gives the reason.
	WorkspaceRefusedReason = "WorkspaceRefused"
	// WorkspaceLostReason means that the workspace of the claim was deleted.
	WorkspaceLostReason = "WorkspaceLost"
	// SecretPendingReason means that the Secret is not there yet. The message gives the reason.
	SecretPendingReason = "SecretPending"
)

// WorkspaceClaim asks for a workspace, as a PersistentVolumeClaim asks for a volume. It is in a namespace of the host. The WorkspaceClass
// says what it may ask for. The user who creates the claim becomes the owner of the workspace. If the claim or its namespace is deleted,
// the workspace is kept for the grace period of the class. WorkspaceClaims exist only in the host workspace.
//
// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type WorkspaceClaim struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec says what the claim asks for. It cannot be changed.
	// +optional
	Spec WorkspaceClaimSpec `json:"spec,omitempty"`
	// status is the observed state.
	// +optional
	Status WorkspaceClaimStatus `json:"status,omitempty"`
}

// WorkspaceClaimSpec says what a claim asks for.
type WorkspaceClaimSpec struct {
	// workspaceClassName is the name of the WorkspaceClass. If not set, the default class is used, and the server sets it.
	// +optional
	WorkspaceClassName string `json:"workspaceClassName,omitempty"`
	// type is the type of the workspace. The class must permit it. If not set, it is the first type of the class. If only the path is not
	// set, it is that of the first type in the class with this name. The server sets it.
	// +optional
	Type *tenancyv1alpha1.WorkspaceTypeReference `json:"type,omitempty"`
	// secret asks for a Secret in the namespace of the claim, with credentials for the workspace.
	// +optional
	Secret *WorkspaceClaimSecret `json:"secret,omitempty"`
	// workspaceName is the name of an existing workspace in the parent of the class, which an administrator has handed over to this claim.
	// If not set, the server makes a name from the namespace and the name of the claim.
	// +optional
	WorkspaceName string `json:"workspaceName,omitempty"`
}

// WorkspaceClaimSecret asks for a Secret.
type WorkspaceClaimSecret struct {
	// name is the name of the Secret.
	// +required
	Name string `json:"name"`
	// format is Kubeconfig, the default, ArgoCD or Flux.
	// +optional
	Format AccessFormat `json:"format,omitempty"`
}

// WorkspaceClaimPhase says where a claim stands.
// +enum
type WorkspaceClaimPhase string

const (
	// WorkspaceClaimPending is a claim without a workspace yet.
	WorkspaceClaimPending WorkspaceClaimPhase = "Pending"
	// WorkspaceClaimBound is a claim that has its workspace.
	WorkspaceClaimBound WorkspaceClaimPhase = "Bound"
	// WorkspaceClaimLost is a claim whose workspace was deleted. It gets no other one.
	WorkspaceClaimLost WorkspaceClaimPhase = "Lost"
)

// WorkspaceClaimStatus is the observed state of a claim.
type WorkspaceClaimStatus struct {
	// observedGeneration is the generation that the rest of the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// phase is Pending, Bound or Lost.
	// +optional
	Phase WorkspaceClaimPhase `json:"phase,omitempty"`
	// workspace is the workspace of the claim.
	// +optional
	Workspace *ClaimedWorkspace `json:"workspace,omitempty"`
	// url is the address of the workspace at the server's own endpoint.
	// +optional
	URL string `json:"url,omitempty"`
	// conditions are the latest observations.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions conditionsv1alpha1.Conditions `json:"conditions,omitempty"`
}

// ClaimedWorkspace is the workspace of a claim.
type ClaimedWorkspace struct {
	// path is the path of the workspace, such as root:teams:team-a-app-1b2c3d4e5f.
	// +required
	Path string `json:"path"`
	// cluster is the name of its logical cluster. It is empty until that is chosen, and then never changes.
	// +optional
	Cluster string `json:"cluster,omitempty"`
}

// GetConditions returns the conditions of the status.
func (in *WorkspaceClaim) GetConditions() conditionsv1alpha1.Conditions { return in.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (in *WorkspaceClaim) SetConditions(c conditionsv1alpha1.Conditions) { in.Status.Conditions = c }

// WorkspaceClaimList is a list of WorkspaceClaims.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type WorkspaceClaimList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []WorkspaceClaim `json:"items"`
}
