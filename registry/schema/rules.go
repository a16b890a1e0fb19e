package schema

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	apischema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"github.com/annex-dev/annex/registry/room"
	"github.com/annex-dev/annex/schemas/conversion"
	"github.com/annex-dev/annex/schemas/crd"
)

// rules convert the objects of a definition as its APIConversion says.
type rules struct {
	// compiled are the rules, made when they are first needed. If they do not fit the definition, nothing is converted.
	compiled func() (*conversion.Rules, error)
	timeout  time.Duration
	stored   string // the version that is stored
	served   []string
}

// newRules returns the rules of a definition; nil if it has none.
func newRules(definition *apiextensionsv1.CustomResourceDefinition, timeout time.Duration) *rules {
	if !hasRules(definition) {
		return nil
	}
	r := &rules{timeout: timeout, compiled: sync.OnceValues(func() (compiled *conversion.Rules, err error) {
		room.Large(definition.Size(), func() { compiled, err = compile(definition) })
		return compiled, err
	})}
	for _, v := range definition.Spec.Versions {
		if v.Storage {
			r.stored = v.Name
		}
		if v.Served {
			r.served = append(r.served, v.Name)
		}
	}
	return r
}

func compile(definition *apiextensionsv1.CustomResourceDefinition) (*conversion.Rules, error) {
	spec, err := crd.Conversion(definition)
	if err != nil {
		return nil, err
	}
	compiled, errs := conversion.Compile(spec, definition)
	if len(errs) > 0 {
		return nil, fmt.Errorf("the APIConversion does not fit the APIResourceSchema: %w", errs.ToAggregate())
	}
	return compiled, nil
}

// convert returns objects, which are not changed, in the version to.
func (r *rules) convert(objects []*unstructured.Unstructured, to apischema.GroupVersion) ([]*unstructured.Unstructured, error) {
	compiled, err := r.compiled()
	if err != nil {
		return nil, err
	}
	bytes := 0
	for _, obj := range objects {
		bytes += conversion.Size(obj.Object)
	}
	budget := conversion.NewBudget(len(objects), bytes)
	all := make([]*unstructured.Unstructured, len(objects))
	for i, obj := range objects {
		converted, err := r.one(compiled, obj.Object, to.Version, budget)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", obj.GetKind(), cache.ObjectName{Namespace: obj.GetNamespace(), Name: obj.GetName()}, err)
		}
		all[i] = &unstructured.Unstructured{Object: converted}
	}
	return all, nil
}

// one returns one object in a version. No request says how long that may take: the time is limited for each object.
func (r *rules) one(compiled *conversion.Rules, obj map[string]any, to string, budget *conversion.Budget) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	defer cancel()
	return compiled.Convert(ctx, obj, to, budget)
}

// ruleConvertor is a runtime.ObjectConvertor for a converter: what that converts has valid versions.
type ruleConvertor struct {
	runtime.ObjectConvertor // the stock one, for what is not asked here
	rules                   *rules
}

// ConvertToVersion implements runtime.ObjectConvertor.
func (c ruleConvertor) ConvertToVersion(in runtime.Object, target runtime.GroupVersioner) (runtime.Object, error) {
	to, ok := target.(apischema.GroupVersion)
	if !ok {
		return nil, fmt.Errorf("converting to %s: it is not one version", target.Identifier())
	}
	switch in := in.(type) {
	case *unstructured.Unstructured:
		all, err := c.rules.convert([]*unstructured.Unstructured{in}, to)
		if err != nil {
			return nil, err
		}
		return all[0], nil
	case *unstructured.UnstructuredList:
		objects := make([]*unstructured.Unstructured, len(in.Items))
		for i := range in.Items {
			objects[i] = &in.Items[i]
		}
		all, err := c.rules.convert(objects, to)
		if err != nil {
			return nil, err
		}
		out := &unstructured.UnstructuredList{Object: in.Object}
		for _, obj := range all {
			out.Items = append(out.Items, *obj)
		}
		return out, nil
	}
	return nil, errors.New("only custom resources can be converted")
}

// inProcess is where the stock handler believes that the webhook of a definition with rules is. No request goes there.
const inProcess = "https://apiconversion.invalid/"

// withRules returns the definition as the stock handler gets it: with a webhook, which is all that it knows in addition to no conversion. The
// rules answer in its place (ruleHooks).
func withRules(definition *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceDefinition {
	hooked := *definition
	hooked.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{
		Strategy: apiextensionsv1.WebhookConverter,
		Webhook: &apiextensionsv1.WebhookConversion{
			ClientConfig:             &apiextensionsv1.WebhookClientConfig{URL: ptr.To(inProcess)},
			ConversionReviewVersions: []string{apiextensionsv1.SchemeGroupVersion.Version},
		},
	}
	return &hooked
}
