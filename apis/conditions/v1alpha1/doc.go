// Package v1alpha1 contains the condition that all kinds of our API groups carry in status.conditions, with the functions
// that read and set it.
//
// It has the fields of metav1.Condition without the generation, and a severity: Error means that somebody must act, Warning may
// recover by itself, and Info means that work continues. The wire format is that of the Cluster API project, which kcp uses.
//
// The list of an object is kept with Ready first and the others by name, one entry for each type, so that two writers who
// set the same conditions write the same bytes. Anyone may import this package; it imports only apimachinery and k8s.io/api.
//
// +k8s:deepcopy-gen=package
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.kcp.conditions.v1alpha1
package v1alpha1
