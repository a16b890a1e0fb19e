package schema

import (
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/conversion"
	"k8s.io/apiextensions-apiserver/pkg/crdserverscheme"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	apischema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
)

// Interfaces returns what admission needs to know of a resource of cluster that is not Typed, for writes that come by no handler.
func (h *Handlers) Interfaces(resource *catalog.Resource, cluster logicalcluster.Name) (admission.ObjectInterfaces, error) {
	e, err := h.entry(resource, cluster)
	if err != nil {
		return nil, err
	}
	return e.interfaces()
}

// briefTimeout is how long the server waits for a conversion when it writes itself: controllers write for all workspaces in turn.
const briefTimeout = time.Second

// brief are webhooks that have less time to answer.
type brief struct{ Webhooks }

// ClientConfigFor implements webhook.AuthenticationInfoResolver.
func (b brief) ClientConfigFor(host string) (*rest.Config, error) {
	return b.of(b.Webhooks.ClientConfigFor(host))
}

// ClientConfigForService implements webhook.AuthenticationInfoResolver.
func (b brief) ClientConfigForService(name, namespace string, port int) (*rest.Config, error) {
	return b.of(b.Webhooks.ClientConfigForService(name, namespace, port))
}

func (brief) of(config *rest.Config, err error) (*rest.Config, error) {
	if err != nil {
		return nil, err
	}
	config.Timeout = briefTimeout
	return config, nil
}

// newInterfaces returns what admission needs to know of a definition.
func newInterfaces(definition *apiextensionsv1.CustomResourceDefinition, hooks Webhooks) (admission.ObjectInterfaces, error) {
	factory, err := conversion.NewCRConverterFactory(hooks, through(hooks))
	if err != nil {
		return nil, err
	}
	convertor, _, err := factory.NewConverter(definition)
	if err != nil {
		return nil, err
	}
	mapper := runtime.NewEquivalentResourceRegistry()
	for _, v := range definition.Spec.Versions {
		gv := apischema.GroupVersion{Group: definition.Spec.Group, Version: v.Name}
		resource, kind := gv.WithResource(definition.Status.AcceptedNames.Plural), gv.WithKind(definition.Status.AcceptedNames.Kind)
		mapper.RegisterKindFor(resource, "", kind)
		if v.Subresources != nil && v.Subresources.Status != nil {
			mapper.RegisterKindFor(resource, "status", kind)
		}
		if v.Subresources != nil && v.Subresources.Scale != nil {
			mapper.RegisterKindFor(resource, "scale", autoscalingv1.SchemeGroupVersion.WithKind("Scale"))
		}
	}
	return &admission.RuntimeObjectInterfaces{
		ObjectCreater:            creater{},
		ObjectTyper:              crdserverscheme.NewUnstructuredObjectTyper(),
		ObjectDefaulter:          noDefaults{},
		ObjectConvertor:          convertor,
		EquivalentResourceMapper: mapper,
	}, nil
}

// creater makes custom resources.
type creater struct{}

// New implements runtime.ObjectCreater.
func (creater) New(kind apischema.GroupVersionKind) (runtime.Object, error) {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(kind)
	return obj, nil
}

// noDefaults is for what the server itself writes: objects as they are stored, with changed metadata.
type noDefaults struct{}

// Default implements runtime.ObjectDefaulter.
func (noDefaults) Default(runtime.Object) {}
