package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// MaxMigrationFailures is how many failures an APIStorageMigration lists.
const MaxMigrationFailures = 100

// Conditions of an APIStorageMigration.
const (
	// MigrationValid says whether the APIExport, or the CustomResourceDefinition, exists and has the resource.
	MigrationValid conditionsv1alpha1.ConditionType = "Valid"
	// MigrationComplete says whether every object of every consumer is stored in the current version, and no other version is needed any more.
	MigrationComplete conditionsv1alpha1.ConditionType = "Complete"
	// MigrationFailed says whether the migration has ended although it is not complete.
	MigrationFailed conditionsv1alpha1.ConditionType = "Failed"
)

// Reasons of those conditions. APIExportNotFound, MissingIdentityHash and APIResourceSchemaNotFound are reasons, too.
const (
	// ResourceNotFoundReason means that the APIExport does not have the resource, or that the workspace does not have the CustomResourceDefinition.
	ResourceNotFoundReason = "ResourceNotFound"
	// MigrationVirtualReason means that the objects of the resource are not stored by this server.
	MigrationVirtualReason = "VirtualStorage"
	// MigrationRunningReason means that objects are being rewritten.
	MigrationRunningReason = "Running"
	// MigrationWaitingReason means that the migration waits for others.
	MigrationWaitingReason = "WaitingForOthers"
	// MigrationSuspendedReason means that spec.suspend is set.
	MigrationSuspendedReason = "Suspended"
	// MigrationRestartedReason means that the schema, or the version in which objects are stored, has changed. The migration begins again.
	MigrationRestartedReason = "SchemaChanged"
	// MigrationObjectsFailedReason means that objects could not be rewritten.
	MigrationObjectsFailedReason = "ObjectsFailed"
	// MigrationConsumersBehindReason means that consumers do not have the schema that the APIExport names.
	MigrationConsumersBehindReason = "ConsumersBehind"
	// MigrationDeadlineExceededReason means that rewriting the objects takes too long.
	MigrationDeadlineExceededReason = "DeadlineExceeded"
	// MigrationStorageReason means that objects cannot be read or written at all.
	MigrationStorageReason = "StorageFailed"
)

// APIStorageMigration rewrites the objects of a resource that are stored in another version than the current one: those of all consumers of an
// APIExport of the same workspace, or those of a CustomResourceDefinition of the workspace. Clients see nothing of it, except a new
// resourceVersion. When all objects of a workspace are rewritten, the other versions leave status.boundResources[].storageVersions of its APIBinding, or
// status.storedVersions of the CustomResourceDefinition. The next schema then does not need them any more.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type APIStorageMigration struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec says which objects are rewritten.
	// +optional
	Spec APIStorageMigrationSpec `json:"spec,omitempty"`
	// status says how far the migration is.
	// +optional
	Status APIStorageMigrationStatus `json:"status,omitempty"`
}

// APIStorageMigrationSpec says which objects are rewritten.
type APIStorageMigrationSpec struct {
	// export is the name of an APIExport in the same workspace. It is empty for a CustomResourceDefinition of the workspace. It cannot be changed.
	// +optional
	Export string `json:"export,omitempty"`
	// resource is the resource whose objects are rewritten, such as widgets.example.com. It cannot be changed.
	// +required
	Resource string `json:"resource"`
	// suspend ends rewriting. When it is no longer set, the migration looks at all objects again. Those that are rewritten remain so.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// APIStorageMigrationPhase says how far a migration is.
// +enum
type APIStorageMigrationPhase string

const (
	// APIStorageMigrationPending means that the migration has not begun.
	APIStorageMigrationPending APIStorageMigrationPhase = "Pending"
	// APIStorageMigrationRunning means that objects are being rewritten.
	APIStorageMigrationRunning APIStorageMigrationPhase = "Running"
	// APIStorageMigrationSuspended means that spec.suspend is set.
	APIStorageMigrationSuspended APIStorageMigrationPhase = "Suspended"
	// APIStorageMigrationComplete means that all objects are stored in the current version.
	APIStorageMigrationComplete APIStorageMigrationPhase = "Complete"
	// APIStorageMigrationFailed means that the migration has ended although it is not complete. A condition says why.
	APIStorageMigrationFailed APIStorageMigrationPhase = "Failed"
)

// APIStorageMigrationStatus says how far a migration is.
type APIStorageMigrationStatus struct {
	// observedGeneration is the generation of the spec that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// phase says how far the migration is.
	// +optional
	Phase APIStorageMigrationPhase `json:"phase,omitempty"`
	// startTime is when the migration began, or began again.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// completionTime is when the migration ended.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`
	// schema is the name of the APIResourceSchema that the consumers must have. It is empty for a CustomResourceDefinition.
	// +optional
	Schema string `json:"schema,omitempty"`
	// version is the version in which objects are stored now.
	// +optional
	Version string `json:"version,omitempty"`
	// consumers counts the workspaces whose objects are rewritten.
	// +optional
	Consumers APIStorageMigrationConsumers `json:"consumers,omitempty"`
	// objects counts the objects since the migration began, or began again.
	// +optional
	Objects APIStorageMigrationObjects `json:"objects,omitempty"`
	// failures are the first workspaces and objects that have failed.
	// +optional
	// +listType=atomic
	Failures []APIStorageMigrationFailure `json:"failures,omitempty"`
	// conditions are the latest observations.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions conditionsv1alpha1.Conditions `json:"conditions,omitempty"`
}

// APIStorageMigrationConsumers counts workspaces.
type APIStorageMigrationConsumers struct {
	// total is how many workspaces have bound the resource. It is 1 for a CustomResourceDefinition.
	// +optional
	Total int32 `json:"total,omitempty"`
	// migrated is how many of them store all objects in the current version, and need no other version any more.
	// +optional
	Migrated int32 `json:"migrated,omitempty"`
	// behind is how many of them do not have the schema that the APIExport names. Their objects are not rewritten.
	// +optional
	Behind int32 `json:"behind,omitempty"`
	// failed is how many of them have objects that could not be rewritten.
	// +optional
	Failed int32 `json:"failed,omitempty"`
}

// APIStorageMigrationObjects counts objects.
type APIStorageMigrationObjects struct {
	// seen is how many objects were looked at.
	// +optional
	Seen int64 `json:"seen,omitempty"`
	// rewritten is how many of them were stored in another version, and are rewritten.
	// +optional
	Rewritten int64 `json:"rewritten,omitempty"`
	// failed is how many of them could not be rewritten. They are stored as they were.
	// +optional
	Failed int64 `json:"failed,omitempty"`
}

// APIStorageMigrationFailure is an object that could not be rewritten, or a workspace whose objects were not all rewritten.
type APIStorageMigrationFailure struct {
	// cluster is the name of the logical cluster that contains the object.
	// +required
	Cluster string `json:"cluster"`
	// namespace is the namespace; empty for cluster-scoped objects.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// name is the name of the object; empty for the workspace as a whole.
	// +optional
	Name string `json:"name,omitempty"`
	// version is the version in which the object is stored.
	// +optional
	Version string `json:"version,omitempty"`
	// message says why, without values of the object.
	// +required
	Message string `json:"message"`
}

// GetConditions returns the conditions of the status.
func (in *APIStorageMigration) GetConditions() conditionsv1alpha1.Conditions {
	return in.Status.Conditions
}

// SetConditions replaces the conditions of the status.
func (in *APIStorageMigration) SetConditions(c conditionsv1alpha1.Conditions) {
	in.Status.Conditions = c
}

// APIStorageMigrationList is a list of APIStorageMigrations.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type APIStorageMigrationList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []APIStorageMigration `json:"items"`
}
