package sharing

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
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
	if group, known := groupOf(a.GetObject()); known && reserved(group, cluster) {
		return admission.NewForbidden(a, fmt.Errorf("spec.group: Invalid value: %q: the group is reserved for the server", group))
	}
	return nil
}

// reserved reports whether only the server may define resources of group in cluster. root publishes the schemas of the groups that
// workspaces get through a binding.
func reserved(group string, cluster logicalcluster.Name) bool {
	if cluster.IsSystem() {
		return false
	}
	switch group {
	case corev1alpha1.GroupName, tenancyv1alpha1.GroupName, topologyv1alpha1.GroupName:
		return cluster != logicalcluster.Root
	}
	return within(group, apisv1alpha2.GroupName) || within(group, annexv1alpha1.GroupName)
}

// within reports whether name is domain or ends in it, as apis.kcp.io and internal.apis.kcp.io do.
func within(name, domain string) bool { return name == domain || strings.HasSuffix(name, "."+domain) }

// groupOf returns the API group in which obj defines resources; false if objects of this kind define none.
func groupOf(obj runtime.Object) (string, bool) {
	switch o := obj.(type) {
	case *apisv1alpha1.APIResourceSchema:
		return o.Spec.Group, true
	case *apiextensions.CustomResourceDefinition:
		return o.Spec.Group, true
	case *apiextensionsv1.CustomResourceDefinition:
		return o.Spec.Group, true
	}
	return "", false
}
