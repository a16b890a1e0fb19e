//nolint:revive,staticcheck // the generators find functions by names with underscores
package v1alpha2

// SetDefaults_ResourceSchemaStorage sets crd if no storage is set.
func SetDefaults_ResourceSchemaStorage(storage *ResourceSchemaStorage) {
	if storage.CRD == nil && storage.Virtual == nil {
		storage.CRD = &ResourceSchemaStorageCRD{}
	}
}
