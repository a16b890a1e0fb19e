package check

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// registration is the part of an APIService that this package reads.
type registration struct {
	Spec struct {
		// Service is nil if the host itself serves the group version, for example for a CRD.
		Service *struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"service"`
	} `json:"spec"`
	Status struct {
		Conditions []metav1.Condition `json:"conditions"`
	} `json:"status"`
}

// apiService returns the state of the APIService for the group version, and its fault, both as text. Both are empty if the user may
// not read the APIService.
func apiService(ctx context.Context, client *rest.RESTClient, gv schema.GroupVersion) (state, fault string) {
	name := gv.Version + "." + gv.Group
	var found registration
	_, err := get(ctx, client, "/apis/apiregistration.k8s.io/v1/apiservices/"+name, &found)
	switch {
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return "", ""
	case apierrors.IsNotFound(err):
		return "missing", "APIService " + name + " is missing"
	case err != nil:
		return "", fmt.Sprintf("reading APIService %s: %v", name, err)
	case found.Spec.Service == nil:
		return "local", "APIService " + name + " belongs to the host itself: something else, such as a CustomResourceDefinition, serves this group version"
	}
	for _, condition := range found.Status.Conditions {
		if condition.Type != "Available" {
			continue
		}
		state = fmt.Sprintf("%s/%s, Available: %s", found.Spec.Service.Namespace, found.Spec.Service.Name, condition.Status)
		if condition.Status != metav1.ConditionTrue {
			fault = fmt.Sprintf("APIService %s is not available: %s: %s", name, condition.Reason, condition.Message)
		}
		return state, fault
	}
	return found.Spec.Service.Namespace + "/" + found.Spec.Service.Name, "the host has not checked APIService " + name
}
