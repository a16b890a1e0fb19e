package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// Finalizers, labels and annotations around a WorkspaceAccess.
const (
	// WorkspaceAccessFinalizer keeps a WorkspaceAccess until its ServiceAccount, bindings and Secret are deleted.
	WorkspaceAccessFinalizer = "annex.dev/workspaceaccess"
	// WorkspaceAccessClusterAnnotationKey, on a WorkspaceAccess, contains the logical cluster for which the permissions of its author were
	// checked. Only the server writes it.
	WorkspaceAccessClusterAnnotationKey = "annex.dev/workspace-cluster"
	// WorkspaceAccessUIDLabelKey, on everything that was made for a WorkspaceAccess, contains the UID of the WorkspaceAccess.
	WorkspaceAccessUIDLabelKey = "annex.dev/workspaceaccess-uid"
	// WorkspaceAccessAnnotationKey, on everything that was made for a WorkspaceAccess, names the WorkspaceAccess:
	// <logical cluster>/<namespace>/<name>.
	WorkspaceAccessAnnotationKey = "annex.dev/workspaceaccess"
	// WorkspaceAccessChecksumAnnotationKey, on the Secret of a WorkspaceAccess, tells whether somebody else has changed the Secret.
	WorkspaceAccessChecksumAnnotationKey = "annex.dev/workspaceaccess-checksum"
)

// Labels and annotations that tie objects in the host workspace to namespaces of the host.
const (
	// HostNamespaceUIDAnnotationKey, on an object that belongs to a namespace of the host, contains the UID of that namespace. Only the
	// server writes it.
	HostNamespaceUIDAnnotationKey = "annex.dev/host-namespace-uid"
	// HostNamespaceLabelKey, on a Namespace of the host workspace that the server created for a namespace of the host, contains the UID of
	// the namespace of the host. The server deletes the Namespace when the namespace of the host is gone.
	HostNamespaceLabelKey = "annex.dev/host-namespace"
)

// Conditions of a WorkspaceAccess.
const (
	// AccessGranted says whether the ServiceAccount and its bindings exist in the workspace.
	AccessGranted conditionsv1alpha1.ConditionType = "AccessGranted"
	// SecretWritten says whether the Secret contains valid credentials.
	SecretWritten conditionsv1alpha1.ConditionType = "SecretWritten"
)

// Reasons of these conditions, in addition to WorkspaceNotFound, Conflict and NotManaged.
const (
	// WorkspaceChangedReason means that the path leads to another workspace than the one that the author had permissions in.
	WorkspaceChangedReason = "WorkspaceChanged"
	// WorkspaceNotReadyReason means that the workspace is being initialized or deleted.
	WorkspaceNotReadyReason = "WorkspaceNotReady"
	// RevokedReason means that somebody has deleted the ServiceAccount or a binding in the workspace.
	RevokedReason = "Revoked"
	// ForbiddenReason means that the server may not write Secrets in the namespace of the host.
	ForbiddenReason = "Forbidden"
	// HostUnavailableReason means that the host cannot be reached.
	HostUnavailableReason = "HostUnavailable"
)

// Seconds that the token of a WorkspaceAccess may be valid.
const (
	DefaultAccessSeconds int64 = 3600
	MinAccessSeconds     int64 = 600
	MaxAccessSeconds     int64 = 86400
)

// WorkspaceAccess keeps a Secret with credentials for a workspace, for tools such as Argo CD and Flux. The server creates a ServiceAccount in
// the workspace, binds a ClusterRole to it, and renews its token. In the host workspace, the Secret is in the namespace of the
// host that has the same name; in every other workspace, it is next to the WorkspaceAccess. Deleting the WorkspaceAccess revokes the
// credentials.
//
// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type WorkspaceAccess struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec defines the credentials.
	// +optional
	Spec WorkspaceAccessSpec `json:"spec,omitempty"`
	// status is the observed state.
	// +optional
	Status WorkspaceAccessStatus `json:"status,omitempty"`
}

// WorkspaceAccessSpec defines credentials for a workspace.
type WorkspaceAccessSpec struct {
	// workspace is the workspace that the credentials are for. It cannot be changed.
	// +required
	Workspace WorkspaceAccessTarget `json:"workspace"`
	// role is what the credentials allow. It cannot be changed.
	// +required
	Role WorkspaceAccessRole `json:"role"`
	// secretName is the name of the Secret. If not set, it is the name of the WorkspaceAccess. It cannot be changed.
	// +optional
	SecretName string `json:"secretName,omitempty"`
	// format is what the Secret contains: Kubeconfig (the default), ArgoCD or Flux.
	// +optional
	Format AccessFormat `json:"format,omitempty"`
	// expirationSeconds is how long a token is valid, between 600 and 86400. The default is 3600. The server renews the token after half of
	// that time. The server may have a lower limit.
	// +optional
	ExpirationSeconds *int64 `json:"expirationSeconds,omitempty"`
}

// WorkspaceAccessTarget is the workspace that credentials are for.
type WorkspaceAccessTarget struct {
	// path is the path of the workspace, such as root:team, or the name of its logical cluster.
	// +required
	Path string `json:"path"`
}

// WorkspaceAccessRole is what credentials allow.
type WorkspaceAccessRole struct {
	// clusterRole is the name of a ClusterRole, such as admin. It is bound in the whole workspace.
	// +required
	ClusterRole string `json:"clusterRole"`
}

// AccessFormat is what a Secret with credentials contains.
// +enum
type AccessFormat string

const (
	// AccessFormatKubeconfig is a kubeconfig in the key kubeconfig.
	AccessFormatKubeconfig AccessFormat = "Kubeconfig"
	// AccessFormatArgoCD is a cluster of Argo CD: the keys name, server and config, and the label argocd.argoproj.io/secret-type.
	AccessFormatArgoCD AccessFormat = "ArgoCD"
	// AccessFormatFlux is a kubeconfig in the key value, as spec.kubeConfig.secretRef of Flux expects it.
	AccessFormatFlux AccessFormat = "Flux"
)

// WorkspaceAccessStatus is the observed state of credentials.
type WorkspaceAccessStatus struct {
	// observedGeneration is the generation of the spec that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// secretName is the name of the Secret; empty while there is none.
	// +optional
	SecretName string `json:"secretName,omitempty"`
	// serviceAccount is the ServiceAccount in the workspace; empty while there is none.
	// +optional
	ServiceAccount *WorkspaceAccessServiceAccount `json:"serviceAccount,omitempty"`
	// clusterName is the logical cluster of the workspace.
	// +optional
	ClusterName string `json:"clusterName,omitempty"`
	// url is the address of the workspace in the Secret.
	// +optional
	URL string `json:"url,omitempty"`
	// expirationTime is when the token in the Secret expires. The server renews the token before.
	// +optional
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`
	// renewalTime is when the server renews the token.
	// +optional
	RenewalTime *metav1.Time `json:"renewalTime,omitempty"`
	// conditions are the latest observations.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions conditionsv1alpha1.Conditions `json:"conditions,omitempty"`
}

// WorkspaceAccessServiceAccount is a ServiceAccount in the workspace.
type WorkspaceAccessServiceAccount struct {
	// namespace of the ServiceAccount.
	Namespace string `json:"namespace"`
	// name of the ServiceAccount.
	Name string `json:"name"`
	// uid of the ServiceAccount.
	UID types.UID `json:"uid"`
}

// GetConditions returns the conditions of the status.
func (in *WorkspaceAccess) GetConditions() conditionsv1alpha1.Conditions { return in.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (in *WorkspaceAccess) SetConditions(c conditionsv1alpha1.Conditions) { in.Status.Conditions = c }

// WorkspaceAccessList is a list of WorkspaceAccesses.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type WorkspaceAccessList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []WorkspaceAccess `json:"items"`
}
