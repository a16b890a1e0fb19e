//nolint:revive,staticcheck // the generators find functions by names with underscores
package v1alpha1

import "k8s.io/utils/ptr"

// Defaults of a WorkspaceClass.
const (
	// DefaultMaxWorkspacesPerNamespace limits the workspaces for the claims of one namespace.
	DefaultMaxWorkspacesPerNamespace = 10
	// DefaultGracePeriodSeconds is three days.
	DefaultGracePeriodSeconds = 3 * 24 * 60 * 60
	// DefaultSecretClusterRole is the ClusterRole of Secrets.
	DefaultSecretClusterRole = "admin"
)

// SetDefaults_WorkspaceClassSpec sets owner, reclaimPolicy, gracePeriodSeconds and maxWorkspacesPerNamespace if they are not set.
func SetDefaults_WorkspaceClassSpec(spec *WorkspaceClassSpec) {
	if spec.Owner == "" {
		spec.Owner = WorkspaceClassOwnerCreator
	}
	if spec.ReclaimPolicy == "" {
		spec.ReclaimPolicy = WorkspaceReclaimDelete
	}
	if spec.GracePeriodSeconds == nil {
		spec.GracePeriodSeconds = ptr.To[int64](DefaultGracePeriodSeconds)
	}
	if spec.MaxWorkspacesPerNamespace == nil {
		spec.MaxWorkspacesPerNamespace = ptr.To[int32](DefaultMaxWorkspacesPerNamespace)
	}
}

// SetDefaults_WorkspaceClassSecret sets clusterRole to admin if it is empty.
func SetDefaults_WorkspaceClassSecret(secret *WorkspaceClassSecret) {
	if secret.ClusterRole == "" {
		secret.ClusterRole = DefaultSecretClusterRole
	}
}

// SetDefaults_WorkspaceClaimSecret sets format to Kubeconfig if it is empty.
func SetDefaults_WorkspaceClaimSecret(secret *WorkspaceClaimSecret) {
	if secret.Format == "" {
		secret.Format = AccessFormatKubeconfig
	}
}
