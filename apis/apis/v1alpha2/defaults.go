//nolint:revive,staticcheck // the generators find functions by names with underscores
package v1alpha2

// SetDefaults_ResourceSchemaStorage keeps objects as those of a CustomResourceDefinition when nothing else is asked for.
func SetDefaults_ResourceSchemaStorage(storage *ResourceSchemaStorage) {
	if storage.CRD == nil && storage.Virtual == nil {
		storage.CRD = &ResourceSchemaStorageCRD{}
	}
}
