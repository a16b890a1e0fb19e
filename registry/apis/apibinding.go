package apis

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/watch"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/schemas/validation"
)

var bindings = apisv1alpha2.Resource("apibindings")

func bindingKind() *kinds.Kind[apisv1alpha2.APIBinding, *apisv1alpha2.APIBinding] {
	return &kinds.Kind[apisv1alpha2.APIBinding, *apisv1alpha2.APIBinding]{
		ValidateCreate:       validation.ValidateAPIBinding,
		ValidateUpdate:       validation.ValidateAPIBindingUpdate,
		ValidateStatusUpdate: validation.ValidateAPIBindingStatusUpdate,
	}
}

type exportKey struct{}

// WithBindingsOf returns a context in which no apibindings can be seen but those that carry label as the value of
// internal.apis.kcp.io/export, the label that admission puts on every binding of one export.
func WithBindingsOf(ctx context.Context, label string) context.Context {
	return context.WithValue(ctx, exportKey{}, label)
}

// bindingREST serves apibindings.
type bindingREST struct{ *kinds.REST }

// Get implements rest.Getter.
func (r *bindingREST) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	obj, err := r.REST.Get(ctx, name, options)
	if err != nil {
		return nil, err
	}
	label, narrowed := ctx.Value(exportKey{}).(string)
	if !narrowed {
		return obj, nil
	}
	binding, err := meta.Accessor(obj)
	if err != nil || binding.GetLabels()[apisv1alpha2.InternalAPIBindingExportLabelKey] != label {
		return nil, apierrors.NewNotFound(bindings, name)
	}
	return obj, nil
}

// List implements rest.Lister.
func (r *bindingREST) List(ctx context.Context, options *metainternalversion.ListOptions) (runtime.Object, error) {
	options, err := narrow(ctx, options)
	if err != nil {
		return nil, err
	}
	return r.REST.List(ctx, options)
}

// Watch implements rest.Watcher.
func (r *bindingREST) Watch(ctx context.Context, options *metainternalversion.ListOptions) (watch.Interface, error) {
	options, err := narrow(ctx, options)
	if err != nil {
		return nil, err
	}
	return r.REST.Watch(ctx, options)
}

// narrow returns options that select nothing beyond what ctx lets through. Errors are API statuses.
func narrow(ctx context.Context, options *metainternalversion.ListOptions) (*metainternalversion.ListOptions, error) {
	label, narrowed := ctx.Value(exportKey{}).(string)
	if !narrowed {
		return options, nil
	}
	requirement, err := labels.NewRequirement(apisv1alpha2.InternalAPIBindingExportLabelKey, selection.Equals, []string{label})
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	if options == nil {
		options = &metainternalversion.ListOptions{}
	}
	options = options.DeepCopy()
	if options.LabelSelector == nil {
		options.LabelSelector = labels.Everything()
	}
	options.LabelSelector = options.LabelSelector.Add(*requirement)
	return options, nil
}
