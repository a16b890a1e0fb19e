//nolint:revive,staticcheck // the generators find functions by names with underscores
package v1alpha1

// SetDefaults_ShardSpec sets empty addresses to baseURL.
func SetDefaults_ShardSpec(spec *ShardSpec) {
	if spec.ExternalURL == "" {
		spec.ExternalURL = spec.BaseURL
	}
	if spec.VirtualWorkspaceURL == "" {
		spec.VirtualWorkspaceURL = spec.BaseURL
	}
}
