//nolint:revive,staticcheck // the generators find functions by names with underscores
package v1alpha1

// SetDefaults_HostBindingSpec sets authorization to Workspace if it is empty.
func SetDefaults_HostBindingSpec(spec *HostBindingSpec) {
	if spec.Authorization == "" {
		spec.Authorization = AuthorizationWorkspace
	}
}

// SetDefaults_WorkspaceAccessSpec sets the format and the lifetime of tokens.
func SetDefaults_WorkspaceAccessSpec(spec *WorkspaceAccessSpec) {
	if spec.Format == "" {
		spec.Format = AccessFormatKubeconfig
	}
	if spec.ExpirationSeconds == nil {
		seconds := DefaultAccessSeconds
		spec.ExpirationSeconds = &seconds
	}
}
