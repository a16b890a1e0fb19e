package annex

import (
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/annex/validation"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kind"
	"github.com/annex-dev/annex/registry/scheme"
)

// NewGroup returns the storage of the group. The error says which store could not be set up.
func NewGroup(s *scheme.Scheme, getter generic.RESTOptionsGetter) (*group.Group, error) {
	g := &group.Group{Name: annexv1alpha1.GroupName}
	if err := hostBindingKind().Install(g, s, getter); err != nil {
		return nil, err
	}
	return g, nil
}

// HostBindingColumns returns what kubectl get hostbindings shows after the name.
func HostBindingColumns() []apiextensionsv1.CustomResourceColumnDefinition {
	return []apiextensionsv1.CustomResourceColumnDefinition{
		{Name: "Ready", Type: "string", JSONPath: `.status.conditions[?(@.type=="Ready")].status`, Description: "Whether the host forwards requests for all of it"},
		{Name: "Export", Type: "string", JSONPath: ".spec.reference.export.name", Description: "APIExport that is projected"},
		{Name: "Workspace", Type: "string", JSONPath: ".spec.workspace.path", Description: "Workspace that a namespace maps to"},
		{Name: "Age", Type: "date", JSONPath: ".metadata.creationTimestamp"},
		{Name: "Authorization", Type: "string", Priority: 1, JSONPath: ".spec.authorization", Description: "Who decides beside the host"},
		{Name: "Reason", Type: "string", Priority: 1, JSONPath: `.status.conditions[?(@.type=="Ready")].reason`, Description: "Why it is not ready"},
	}
}

func hostBindingKind() *kind.Kind[annexv1alpha1.HostBinding, *annexv1alpha1.HostBinding] {
	return &kind.Kind[annexv1alpha1.HostBinding, *annexv1alpha1.HostBinding]{
		Version:              annexv1alpha1.SchemeGroupVersion.Version,
		Resource:             annexv1alpha1.Resource("hostbindings"),
		Singular:             "hostbinding",
		List:                 func() runtime.Object { return &annexv1alpha1.HostBindingList{} },
		Columns:              HostBindingColumns(),
		Spec:                 func(b *annexv1alpha1.HostBinding) any { return &b.Spec },
		CopyStatus:           func(to, from *annexv1alpha1.HostBinding) { to.Status = *from.Status.DeepCopy() },
		Prepare:              prepareHostBinding,
		Validate:             validation.ValidateHostBinding,
		ValidateUpdate:       validation.ValidateHostBindingUpdate,
		ValidateStatusUpdate: validation.ValidateHostBindingStatusUpdate,
	}
}

// prepareHostBinding sets the finalizer. Set here, and not by the controller, it costs no write of its own.
func prepareHostBinding(binding, old *annexv1alpha1.HostBinding) {
	if old == nil && !slices.Contains(binding.Finalizers, annexv1alpha1.HostBindingFinalizer) {
		binding.Finalizers = append(slices.Clone(binding.Finalizers), annexv1alpha1.HostBindingFinalizer)
	}
}
