//nolint:revive,staticcheck // the generators find functions by names with underscores
package v1alpha1

// SetDefaults_HostBindingSpec lets the workspaces decide, too, unless somebody says otherwise.
func SetDefaults_HostBindingSpec(spec *HostBindingSpec) {
	if spec.Authorization == "" {
		spec.Authorization = AuthorizationWorkspace
	}
}
