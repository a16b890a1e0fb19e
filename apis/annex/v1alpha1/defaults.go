//nolint:revive,staticcheck // the generators find functions by names with underscores
package v1alpha1

// SetDefaults_HostBindingSpec sets authorization to Workspace if it is empty.
func SetDefaults_HostBindingSpec(spec *HostBindingSpec) {
	if spec.Authorization == "" {
		spec.Authorization = AuthorizationWorkspace
	}
}
