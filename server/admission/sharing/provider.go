package sharing

import (
	"context"
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

// accept returns an error unless the user of a, who is about to do what, may bind the export called name at path, as written in an object of
// cluster, and the label of binding is for it. The response is the same for an export that the user may not bind and for one that does
// not exist. It contains only what the user wrote.
func (e exports) accept(ctx context.Context, a admission.Attributes, cluster logicalcluster.Name, binding metav1.Object, path, name, what string) error {
	provider, err := e.resolve(ctx, cluster, path)
	if err != nil {
		return err
	}
	allowed, err := e.mayBind(ctx, a, cluster, provider, name)
	if err != nil {
		return err
	}
	if allowed {
		return labelFits(a, binding, provider, name)
	}
	if path == "" {
		path = cluster.String()
	}
	return admission.NewForbidden(a, fmt.Errorf("unable to %s: no permission to bind to export %s:%s", what, path, name))
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
