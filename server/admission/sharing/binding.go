package sharing

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/server/admission/request"
)

// bindingPlugin checks apibindings.
type bindingPlugin struct {
	*admission.Handler
	exports exports
}

var (
	_ admission.MutationInterface   = &bindingPlugin{}
	_ admission.ValidationInterface = &bindingPlugin{}
)

// Admit implements admission.MutationInterface: it sets the label, which says for which export the binding is accepted, and the
// finalizer.
func (p *bindingPlugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	binding, ok := a.GetObject().(*apisv1alpha2.APIBinding)
	if !ok || !request.Is(a, apiBindings) {
		return nil
	}
	if a.GetOperation() == admission.Update {
		old, ok := a.GetOldObject().(*apisv1alpha2.APIBinding)
		if !ok {
			return nil
		}
		if err := keepServersOwn(a, binding, old.Annotations); err != nil {
			return err
		}
		if err := keep(a, binding, old); err != nil {
			return err
		}
		if provider := newlyAccepts(binding, old); !provider.Empty() && old.Spec.Reference.Export != nil {
			relabel(binding, identity.ExportLabelValue(provider, old.Spec.Reference.Export.Name)) // Validate checks it
		}
		return nil
	}
	if err := keepServersOwn(a, binding, nil); err != nil {
		return err
	}
	export := binding.Spec.Reference.Export
	if export == nil {
		return nil // validation reports what is missing
	}
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	provider, err := p.exports.resolve(ctx, cluster, export.Path)
	if err != nil {
		return err
	}
	addFinalizer(binding)
	if provider.Empty() || labelOf(binding) != "" && request.IsMaster(a) {
		return nil // Validate refuses it, after validation has refused malformed paths as Invalid; the server knows for whom it binds
	}
	return setLabel(a, binding, identity.ExportLabelValue(provider, export.Name))
}

// Validate implements admission.ValidationInterface: the creator must have permission to bind, and only the server may end a
// deletion.
func (p *bindingPlugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	binding, ok := a.GetObject().(*apisv1alpha2.APIBinding)
	if !ok || !request.Is(a, apiBindings) {
		return nil
	}
	if a.GetOperation() == admission.Update {
		if err := p.validateUpdate(a, binding); err != nil {
			return err
		}
		if old, ok := a.GetOldObject().(*apisv1alpha2.APIBinding); !ok || newlyAccepts(binding, old).Empty() {
			return nil
		}
	}
	export := binding.Spec.Reference.Export
	if export == nil {
		return nil
	}
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	return p.exports.accept(ctx, a, cluster, binding, export.Path, export.Name, strings.ToLower(string(a.GetOperation()))+" APIBinding")
}

func (p *bindingPlugin) validateUpdate(a admission.Attributes, binding *apisv1alpha2.APIBinding) error {
	old, ok := a.GetOldObject().(*apisv1alpha2.APIBinding)
	if !ok || old.DeletionTimestamp == nil || request.IsMaster(a) {
		return nil
	}
	if slices.Contains(old.Finalizers, apisv1alpha2.APIBindingFinalizer) && !slices.Contains(binding.Finalizers, apisv1alpha2.APIBindingFinalizer) {
		return admission.NewForbidden(a, fmt.Errorf("only the server removes the finalizer %s, once the objects of the bound resources are gone", apisv1alpha2.APIBindingFinalizer))
	}
	return nil
}

// keep restores the label and, until deletion, the finalizer in an update that omits them. Only the server adds a label that is
// missing.
func keep(a admission.Attributes, binding, old *apisv1alpha2.APIBinding) error {
	if label := old.Labels[apisv1alpha2.InternalAPIBindingExportLabelKey]; label != "" || !request.IsMaster(a) {
		if err := setLabel(a, binding, label); err != nil {
			return err
		}
	}
	if old.DeletionTimestamp == nil {
		addFinalizer(binding)
	}
	return nil
}

// serversOwn are annotations that only the server writes. Without the first, a binding would be free of a policy that cannot be read any more;
// without the second, objects could be created that nobody can reach later.
var serversOwn = []string{apisv1alpha2.LimitedBindingAnnotationKey, apisv1alpha2.LeavingResourcesAnnotationKey}

// keepServersOwn restores these annotations in a request that omits them, and refuses other values.
func keepServersOwn(a admission.Attributes, binding *apisv1alpha2.APIBinding, before map[string]string) error {
	for _, key := range serversOwn {
		if err := keepAnnotation(a, binding, before, key); err != nil {
			return err
		}
	}
	return nil
}

func keepAnnotation(a admission.Attributes, binding *apisv1alpha2.APIBinding, before map[string]string, key string) error {
	was, now := before[key], binding.Annotations[key]
	switch {
	case was == now || request.IsMaster(a):
		return nil
	case now != "":
		return admission.NewForbidden(a, fmt.Errorf("annotation %s is set by the server and must not be set in the request", key))
	}
	binding.Annotations = maps.Clone(binding.Annotations)
	if binding.Annotations == nil {
		binding.Annotations = map[string]string{}
	}
	binding.Annotations[key] = was
	return nil
}

func addFinalizer(binding *apisv1alpha2.APIBinding) {
	if !slices.Contains(binding.Finalizers, apisv1alpha2.APIBindingFinalizer) {
		binding.Finalizers = append(slices.Clone(binding.Finalizers), apisv1alpha2.APIBindingFinalizer)
	}
}
