package sharing

import (
	"context"
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/server/admission/request"
)

// reservedGroups prevents users from defining resources in the groups that the server itself serves.
type reservedGroups struct{ *admission.Handler }

var _ admission.ValidationInterface = &reservedGroups{}

// Validate implements admission.ValidationInterface.
func (p *reservedGroups) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if (!request.Is(a, crds) && !request.Is(a, schemas)) || request.IsMaster(a) {
		return nil
	}
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	group, err := groupOf(a.GetObject())
	if err != nil {
		return admission.NewForbidden(a, err)
	}
	if kinds.All.IsReserved(group, cluster) {
		return admission.NewForbidden(a, fmt.Errorf("spec.group: Invalid value: %q: the group is reserved for the server", group))
	}
	return nil
}

// groupOf returns the API group in which obj defines resources. It is an error if obj is of any other type than admission sees:
// CustomResourceDefinitions are internal objects there.
func groupOf(obj runtime.Object) (string, error) {
	switch o := obj.(type) {
	case *apisv1alpha1.APIResourceSchema:
		return o.Spec.Group, nil
	case *apiextensions.CustomResourceDefinition:
		return o.Spec.Group, nil
	}
	return "", fmt.Errorf("the group that a %T defines is unknown", obj)
}
