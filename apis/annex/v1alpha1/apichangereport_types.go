package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// AllowBreakingChangeAnnotationKey is, on an APIExport or a published CustomResourceDefinition, the annotation that names APIResourceSchemas, separated
// by commas, which may replace another schema although the change can break consumers. It holds for these schemas only.
const AllowBreakingChangeAnnotationKey = "annex.dev/allow-breaking-change"

// Bounds of an APIChangeReport.
const (
	// MaxReportedSchemas is how many schemas a report may be about.
	MaxReportedSchemas = 20
	// MaxReportedChanges is how many breaking changes a report lists.
	MaxReportedChanges = 200
	// MaxReportedWorkspaces is how many workspaces a report lists.
	MaxReportedWorkspaces = 1000
	// MaxReportedObjects is how many objects a report lists.
	MaxReportedObjects = 1000
)

// Conditions of an APIChangeReport.
const (
	// ReportValid says whether the APIExport and the schemas exist and belong together.
	ReportValid conditionsv1alpha1.ConditionType = "Valid"
	// ReportComplete says whether all objects of all consumers have been checked.
	ReportComplete conditionsv1alpha1.ConditionType = "Complete"
	// ReportCompatible says whether no change is breaking, every object fits, and every consumer can follow. It is unknown until the report is
	// complete.
	ReportCompatible conditionsv1alpha1.ConditionType = "Compatible"
)

// Reasons of those conditions. APIExportNotFound is one, too.
const (
	// APIResourceSchemaNotFoundReason means that a schema does not exist.
	APIResourceSchemaNotFoundReason = "APIResourceSchemaNotFound"
	// APIResourceSchemaMismatchReason means that a schema cannot replace one of the APIExport.
	APIResourceSchemaMismatchReason = "APIResourceSchemaMismatch"
	// ReportCheckingReason means that objects are being checked.
	ReportCheckingReason = "Checking"
	// ReportWaitingReason means that the report waits for others.
	ReportWaitingReason = "WaitingForOthers"
	// ReportSuspendedReason means that spec.suspend is set.
	ReportSuspendedReason = "Suspended"
	// ReportDeadlineExceededReason means that checking the objects took too long.
	ReportDeadlineExceededReason = "DeadlineExceeded"
	// ReportFailedReason means that the objects could not be read.
	ReportFailedReason = "ReadingFailed"
	// ReportBreaksReason means that the change can break clients, objects or consumers.
	ReportBreaksReason = "Breaks"
)

// APIChangeReport says what would break if APIResourceSchemas replaced those that an APIExport of the same workspace has now: it compares the
// schemas, and validates every object that the consumers of the APIExport store. It changes nothing.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type APIChangeReport struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec says which change the report is about.
	// +optional
	Spec APIChangeReportSpec `json:"spec,omitempty"`
	// status is the report.
	// +optional
	Status APIChangeReportStatus `json:"status,omitempty"`
}

// APIChangeReportSpec says which change a report is about.
type APIChangeReportSpec struct {
	// export is the name of an APIExport in the same workspace. It cannot be changed.
	// +required
	Export string `json:"export"`
	// schemas are the names of APIResourceSchemas in the same workspace, one for each resource of the APIExport that would change. They cannot be
	// changed.
	// +required
	// +listType=set
	Schemas []string `json:"schemas"`
	// suspend ends checking. When it is no longer set, the report begins again.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// APIChangeReportPhase says how far a report is.
// +enum
type APIChangeReportPhase string

const (
	// APIChangeReportPending means that the report has not begun.
	APIChangeReportPending APIChangeReportPhase = "Pending"
	// APIChangeReportChecking means that objects are being checked.
	APIChangeReportChecking APIChangeReportPhase = "Checking"
	// APIChangeReportSuspended means that spec.suspend is set.
	APIChangeReportSuspended APIChangeReportPhase = "Suspended"
	// APIChangeReportComplete means that all objects have been checked.
	APIChangeReportComplete APIChangeReportPhase = "Complete"
	// APIChangeReportFailed means that the objects could not be checked: a condition says why.
	APIChangeReportFailed APIChangeReportPhase = "Failed"
)

// APIChangeReportStatus is a report. Lists are bounded, and next to each of them is how many there are in all. Changes and objects are listed only
// when the report is complete or has failed.
type APIChangeReportStatus struct {
	// observedGeneration is the generation of the spec that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// phase says how far the report is.
	// +optional
	Phase APIChangeReportPhase `json:"phase,omitempty"`
	// startTime is when the report began.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// completionTime is when the report ended.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`
	// resourceVersion is that of the server when the report began. Objects have been checked as they were then, or as they were changed while the
	// report was made.
	// +optional
	ResourceVersion string `json:"resourceVersion,omitempty"`
	// consumers counts the consumers of the APIExport.
	// +optional
	Consumers APIChangeReportConsumers `json:"consumers,omitempty"`
	// objects counts the objects of consumers.
	// +optional
	Objects APIChangeReportObjects `json:"objects,omitempty"`
	// breakingChanges counts the changes that can break clients or objects.
	// +optional
	BreakingChanges int32 `json:"breakingChanges,omitempty"`
	// changes are the first breaking changes.
	// +optional
	// +listType=atomic
	Changes []APIChange `json:"changes,omitempty"`
	// storedVersions counts objects by the version in which they are stored.
	// +optional
	// +listType=atomic
	StoredVersions []APIChangeReportStoredVersion `json:"storedVersions,omitempty"`
	// workspaces are the first consumers with objects that would be invalid, most of them first.
	// +optional
	// +listType=atomic
	Workspaces []APIChangeReportWorkspace `json:"workspaces,omitempty"`
	// invalidObjects are the first objects that would be invalid, by workspace.
	// +optional
	// +listType=atomic
	InvalidObjects []APIChangeReportObject `json:"invalidObjects,omitempty"`
	// conditions are the latest observations.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions conditionsv1alpha1.Conditions `json:"conditions,omitempty"`
}

// APIChangeReportConsumers counts the consumers of the APIExport.
type APIChangeReportConsumers struct {
	// total is how many workspaces have bound a resource that would change.
	// +optional
	Total int32 `json:"total,omitempty"`
	// checked is how many of them have been checked.
	// +optional
	Checked int32 `json:"checked,omitempty"`
	// invalid is how many of them have objects that would be invalid.
	// +optional
	Invalid int32 `json:"invalid,omitempty"`
	// behind is how many of them would keep the schema that they have, because the new one has another scope or kind, or does not have a version in
	// which objects may be stored.
	// +optional
	Behind int32 `json:"behind,omitempty"`
}

// APIChangeReportObjects counts the objects of consumers.
type APIChangeReportObjects struct {
	// checked is how many objects have been checked.
	// +optional
	Checked int64 `json:"checked,omitempty"`
	// invalid is how many of them would be invalid.
	// +optional
	Invalid int64 `json:"invalid,omitempty"`
	// unreadable is how many of them cannot be read even now. They count as invalid.
	// +optional
	Unreadable int64 `json:"unreadable,omitempty"`
}

// APIChange is a change of an API that can break clients or objects.
type APIChange struct {
	// schema is the name of the new APIResourceSchema.
	// +required
	Schema string `json:"schema"`
	// version is the version of the API that changes; empty for the API as a whole.
	// +optional
	Version string `json:"version,omitempty"`
	// field is the field that changes, such as spec.ports[].name; "." for the object as a whole.
	// +optional
	Field string `json:"field,omitempty"`
	// message says what changes.
	// +required
	Message string `json:"message"`
}

// APIChangeReportStoredVersion counts the objects that are stored in a version.
type APIChangeReportStoredVersion struct {
	// group is the API group.
	// +required
	Group string `json:"group"`
	// resource is the plural name.
	// +required
	Resource string `json:"resource"`
	// version is the version in which the objects are stored.
	// +required
	Version string `json:"version"`
	// objects is how many there are.
	// +required
	Objects int64 `json:"objects"`
	// removed says that the new schema does not have the version.
	// +optional
	Removed bool `json:"removed,omitempty"`
}

// APIChangeReportWorkspace is a consumer with objects that would be invalid.
type APIChangeReportWorkspace struct {
	// cluster is the name of the logical cluster of the consumer.
	// +required
	Cluster string `json:"cluster"`
	// objects is how many objects have been checked.
	// +required
	Objects int64 `json:"objects"`
	// invalid is how many of them would be invalid.
	// +required
	Invalid int64 `json:"invalid"`
}

// APIChangeReportObject is an object that would be invalid.
type APIChangeReportObject struct {
	// cluster is the name of the logical cluster that contains the object.
	// +required
	Cluster string `json:"cluster"`
	// group is the API group.
	// +required
	Group string `json:"group"`
	// resource is the plural name.
	// +required
	Resource string `json:"resource"`
	// namespace is the namespace; empty for cluster-scoped objects.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// name is the name of the object.
	// +required
	Name string `json:"name"`
	// errors are the first errors. They contain no values of the object.
	// +optional
	// +listType=atomic
	Errors []APIChangeReportError `json:"errors,omitempty"`
	// moreErrors is how many errors there are in addition.
	// +optional
	MoreErrors int32 `json:"moreErrors,omitempty"`
}

// APIChangeReportError is why an object would be invalid.
type APIChangeReportError struct {
	// version is the version in which the object would be invalid.
	// +optional
	Version string `json:"version,omitempty"`
	// field is the path of the field; empty for the object as a whole.
	// +optional
	Field string `json:"field,omitempty"`
	// message says what the new schema requires.
	// +required
	Message string `json:"message"`
}

// GetConditions returns the conditions of the status.
func (in *APIChangeReport) GetConditions() conditionsv1alpha1.Conditions { return in.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (in *APIChangeReport) SetConditions(c conditionsv1alpha1.Conditions) { in.Status.Conditions = c }

// APIChangeReportList is a list of APIChangeReports.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type APIChangeReportList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []APIChangeReport `json:"items"`
}
