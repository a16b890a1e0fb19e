// Package v1alpha1 holds the condition that all kinds of our API groups carry in status.conditions, with the functions
// that read and set it.
//
// It has what metav1.Condition has, less the generation, and a severity: an Error needs somebody's action, a Warning may
// heal by itself, and Info is how things are while work goes on. The wire format is that of the Cluster API project, as kcp uses it.
//
// The list of an object is kept with Ready first and the others by name, one entry for each type, so that two writers who
// set the same conditions write the same bytes. Anyone may import this package; it imports only apimachinery and k8s.io/api.
//
// +k8s:deepcopy-gen=package
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.kcp.conditions.v1alpha1
package v1alpha1
