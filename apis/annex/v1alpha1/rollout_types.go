package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// Conditions of an APIExportRollout.
const (
	// RolloutProgressing says whether consumers get the new schemas, or all have them. It is False while the rollout waits or has stopped.
	RolloutProgressing conditionsv1alpha1.ConditionType = "Progressing"
	// RolloutReversible says whether consumers could return to the previous schemas.
	RolloutReversible conditionsv1alpha1.ConditionType = "Reversible"
)

// Reasons of those conditions, and of failures.
const (
	// RolloutExportNotFoundReason means that there is no APIExport of the same name in the workspace.
	RolloutExportNotFoundReason = "APIExportNotFound"
	// RolloutNotSupportedReason means that the server itself serves the resources of the APIExport.
	RolloutNotSupportedReason = "NotSupported"
	// RolloutPausedReason means that spec.paused is true.
	RolloutPausedReason = "Paused"
	// RolloutWaitingReason means that a wave is complete, and that the next one waits for time or approval.
	RolloutWaitingReason = "WaveComplete"
	// RolloutFailedReason means that more workspaces failed than spec.maxFailures allows.
	RolloutFailedReason = "WorkspacesFailed"
	// RolloutUndoneReason means that consumers return, or have returned, to the previous schemas.
	RolloutUndoneReason = "Undone"
	// RolloutSchemaNotFoundReason means that a schema does not exist.
	RolloutSchemaNotFoundReason = "SchemaNotFound"
	// RolloutNotReversibleReason means that consumers could not return to the previous schemas.
	RolloutNotReversibleReason = "NotReversible"
	// RolloutObjectsInvalidReason means that objects in a workspace are not valid in the new schema.
	RolloutObjectsInvalidReason = "ObjectsInvalid"
)

// APIExportRollout rolls out changes of an APIExport in waves. It has the name of the APIExport and is in the same workspace. While it exists, a
// consumer keeps the schemas that it has when the APIExport names new ones, until its wave comes. Before a consumer gets a new schema, its objects
// are validated against that schema. If they are not valid, the rollout stops.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type APIExportRollout struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata. The name is that of the APIExport.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec defines how changes are rolled out.
	// +optional
	Spec APIExportRolloutSpec `json:"spec,omitempty"`
	// status is the observed state.
	// +optional
	Status APIExportRolloutStatus `json:"status,omitempty"`
}

// APIExportRolloutSpec defines how changes are rolled out.
type APIExportRolloutSpec struct {
	// waves are the consumers that get new schemas first, in this order. A consumer belongs to the first wave that includes it. After the last
	// wave, all other consumers follow. There can be up to 20.
	// +optional
	// +listType=atomic
	Waves []RolloutWave `json:"waves,omitempty"`
	// paused stops the rollout before the next consumer.
	// +optional
	Paused bool `json:"paused,omitempty"`
	// resume ends the pause after a wave. It is valid for one revision.
	// +optional
	Resume *RolloutResume `json:"resume,omitempty"`
	// maxFailures is how many workspaces may fail before the rollout stops. Workspaces whose objects are not valid keep the schemas that they
	// have. The default is 0, the maximum is 100.
	// +optional
	MaxFailures int32 `json:"maxFailures,omitempty"`
	// skip names the logical clusters of consumers that keep the schemas that they have. The rollout does not wait for them. There can be up to
	// 1000.
	// +optional
	// +listType=set
	Skip []string `json:"skip,omitempty"`
	// undo is the revision to undo: while it is the current one, all consumers return to the previous schemas at once.
	// +optional
	Undo int64 `json:"undo,omitempty"`
}

// RolloutWave selects consumers. Exactly one of percentage, selector and clusters must be set.
type RolloutWave struct {
	// percentage selects about that part of all consumers, from 1 to 100. It is always the same consumers, and a larger percentage includes those
	// of a smaller one.
	// +optional
	Percentage *int32 `json:"percentage,omitempty"`
	// selector selects consumers by the labels of their APIBindings. Consumers set these labels.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
	// clusters selects consumers by the names of their logical clusters. There can be up to 1000.
	// +optional
	// +listType=set
	Clusters []string `json:"clusters,omitempty"`
	// pause makes the rollout wait when all consumers of the wave have the new schemas.
	// +optional
	Pause *RolloutPause `json:"pause,omitempty"`
}

// RolloutPause is a pause after a wave.
type RolloutPause struct {
	// duration is how long the pause lasts. If not set, it lasts until spec.resume ends it.
	// +optional
	Duration *metav1.Duration `json:"duration,omitempty"`
}

// RolloutResume ends pauses.
type RolloutResume struct {
	// revision is the revision of the rollout, as in the status.
	// +required
	Revision int64 `json:"revision"`
	// wave is the number of the last wave whose pause ends. The first wave has number 1.
	// +required
	Wave int32 `json:"wave"`
}

// RolloutPhase summarizes the state of a rollout.
// +enum
type RolloutPhase string

const (
	// RolloutPhaseProgressing means that consumers of the current wave get the new schemas.
	RolloutPhaseProgressing RolloutPhase = "Progressing"
	// RolloutPhasePaused means that the rollout waits: because of spec.paused, or in the pause after a wave.
	RolloutPhasePaused RolloutPhase = "Paused"
	// RolloutPhaseStopped means that the rollout has stopped because of an error. It continues when the error is gone.
	RolloutPhaseStopped RolloutPhase = "Stopped"
	// RolloutPhaseComplete means that consumers have the schemas that the APIExport names, except those that are skipped or have failed.
	RolloutPhaseComplete RolloutPhase = "Complete"
	// RolloutPhaseUndoing means that consumers return to the previous schemas.
	RolloutPhaseUndoing RolloutPhase = "Undoing"
	// RolloutPhaseUndone means that consumers have the previous schemas.
	RolloutPhaseUndone RolloutPhase = "Undone"
)

// APIExportRolloutStatus is the observed state of a rollout.
type APIExportRolloutStatus struct {
	// observedGeneration is the generation of the spec that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// revision counts the changes of the schemas that the APIExport names.
	// +optional
	Revision int64 `json:"revision,omitempty"`
	// phase summarizes the state.
	// +optional
	Phase RolloutPhase `json:"phase,omitempty"`
	// wave is the number of the current wave. The first wave has number 1. The consumers that no wave of the spec includes are the last one.
	// +optional
	Wave int32 `json:"wave,omitempty"`
	// waveCompletionTime is when the current wave was complete.
	// +optional
	WaveCompletionTime *metav1.Time `json:"waveCompletionTime,omitempty"`
	// resources are the resources of the APIExport, with their schemas.
	// +optional
	// +listType=atomic
	Resources []RolloutResource `json:"resources,omitempty"`
	// consumers is the number of consumers that have bound the APIExport.
	// +optional
	Consumers int32 `json:"consumers,omitempty"`
	// updated is how many of them have the new schemas.
	// +optional
	Updated int32 `json:"updated,omitempty"`
	// skipped is how many of the others spec.skip names.
	// +optional
	Skipped int32 `json:"skipped,omitempty"`
	// failed is how many of them have failed.
	// +optional
	Failed int32 `json:"failed,omitempty"`
	// waves are the numbers for each wave. The last item is for the consumers that no wave of the spec includes.
	// +optional
	// +listType=atomic
	Waves []RolloutWaveStatus `json:"waves,omitempty"`
	// failures are consumers that have failed, with the reasons. There are at most 110.
	// +optional
	// +listType=atomic
	Failures []RolloutFailure `json:"failures,omitempty"`
	// conditions are the latest observations.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions conditionsv1alpha1.Conditions `json:"conditions,omitempty"`
}

// RolloutResource is a resource of the APIExport, with its schemas.
type RolloutResource struct {
	// group is the API group, empty for the core group.
	// +optional
	Group string `json:"group,omitempty"`
	// resource is the name of the resource, such as widgets.
	// +required
	Resource string `json:"resource"`
	// from is the name of the APIResourceSchema that consumers have before their wave, and after an undo. It is the same as the field to if there is no other schema.
	// +required
	From string `json:"from"`
	// to is the name of the APIResourceSchema that consumers get.
	// +required
	To string `json:"to"`
}

// RolloutWaveStatus are the numbers of a wave.
type RolloutWaveStatus struct {
	// consumers is the number of consumers in the wave.
	// +optional
	Consumers int32 `json:"consumers,omitempty"`
	// updated is how many of them have the new schemas.
	// +optional
	Updated int32 `json:"updated,omitempty"`
	// failed is how many of them have failed.
	// +optional
	Failed int32 `json:"failed,omitempty"`
}

// RolloutFailure is a consumer that has failed.
type RolloutFailure struct {
	// cluster is the name of the consumer's logical cluster.
	// +required
	Cluster string `json:"cluster"`
	// binding is the name of the APIBinding.
	// +required
	Binding string `json:"binding"`
	// reason is ObjectsInvalid, or the reason for which the APIBinding is not up to date.
	// +required
	Reason string `json:"reason"`
	// message names the first objects that are not valid, with the fields. It does not contain values of fields.
	// +optional
	Message string `json:"message,omitempty"`
	// time is when the consumer failed.
	// +optional
	Time metav1.Time `json:"time,omitempty"`
}

// GetConditions returns the conditions of the status.
func (in *APIExportRollout) GetConditions() conditionsv1alpha1.Conditions {
	return in.Status.Conditions
}

// SetConditions replaces the conditions of the status.
func (in *APIExportRollout) SetConditions(c conditionsv1alpha1.Conditions) { in.Status.Conditions = c }

// APIExportRolloutList is a list of APIExportRollouts.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type APIExportRolloutList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []APIExportRollout `json:"items"`
}
