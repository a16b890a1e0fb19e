package sharing

import (
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/admission/request"
)

// The label of a binding says for which export it was accepted; see identity.AcceptedFor.

// labelOf returns the label of a binding.
func labelOf(binding metav1.Object) string {
	return binding.GetLabels()[apisv1alpha2.InternalAPIBindingExportLabelKey]
}

// setLabel sets the label, and refuses another value in the request. An empty one stands for no label.
func setLabel(a admission.Attributes, binding metav1.Object, label string) error {
	switch labelOf(binding) {
	case label:
		return nil
	case "":
		relabel(binding, label)
		return nil
	}
	return admission.NewForbidden(a, fmt.Errorf("label %s is set by the server and must not be set in the request", apisv1alpha2.InternalAPIBindingExportLabelKey))
}

func relabel(binding metav1.Object, label string) {
	labels := maps.Clone(binding.GetLabels())
	if labels == nil {
		labels = map[string]string{}
	}
	labels[apisv1alpha2.InternalAPIBindingExportLabelKey] = label
	binding.SetLabels(labels)
}

// newlyAccepts returns the provider that an update accepts by annotation; empty if it accepts none.
func newlyAccepts(binding, old metav1.Object) logicalcluster.Name {
	accepted := binding.GetAnnotations()[apisv1alpha2.AcceptProviderAnnotationKey]
	if accepted == old.GetAnnotations()[apisv1alpha2.AcceptProviderAnnotationKey] {
		return ""
	}
	return logicalcluster.Name(accepted)
}

// labelFits returns an error unless the label is the one of the export whose permission was checked. The path may lead to another
// workspace by now, or not to the one that the user accepts.
func labelFits(a admission.Attributes, binding metav1.Object, provider logicalcluster.Name, export string) error {
	if request.IsMaster(a) || labelOf(binding) == identity.ExportLabelValue(provider, export) {
		return nil
	}
	return apierrors.NewConflict(a.GetResource().GroupResource(), binding.GetName(),
		fmt.Errorf("the path of the export leads to logical cluster %s, for which the binding would not be accepted", provider))
}
