package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/client-go/dynamic"
)

// judge validates objects by a schema as a stock kube-apiserver does for new ones.
type judge struct {
	structural *structuralschema.Structural
	strategy   rest.RESTCreateStrategy
}

// newJudge returns the judge of the one version of an APIResourceSchema for cluster-scoped widgets.
func newJudge(schema *unstructured.Unstructured) (*judge, error) {
	versions, _, err := unstructured.NestedSlice(schema.Object, "spec", "versions")
	if err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	if len(versions) != 1 {
		return nil, fmt.Errorf("reading the schema: there are %d versions, and not one", len(versions))
	}
	version, _ := versions[0].(map[string]any)
	text, err := json.Marshal(version["schema"])
	if err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	props, internal := &apiextensionsv1.JSONSchemaProps{}, &apiextensions.JSONSchemaProps{}
	if err := json.Unmarshal(text, props); err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(props, internal, nil); err != nil {
		return nil, fmt.Errorf("converting the schema: %w", err)
	}
	structural, err := structuralschema.NewStructural(internal)
	if err != nil {
		return nil, fmt.Errorf("compiling the schema: %w", err)
	}
	validator, _, err := validation.NewSchemaValidator(internal)
	if err != nil {
		return nil, fmt.Errorf("compiling the schema: %w", err)
	}
	kind := widgets.GroupVersion().WithKind("Widget")
	return &judge{structural: structural, strategy: customresource.NewStrategy(nil, false, kind, validator, nil, structural, nil, nil, nil)}, nil
}

// refuses reports whether obj would be refused. It changes obj.
func (j *judge) refuses(ctx context.Context, obj *unstructured.Unstructured) bool {
	pruning.Prune(obj.Object, j.structural, true)
	defaulting.Default(obj.Object, j.structural)
	return len(j.strategy.Validate(ctx, obj)) > 0
}

// all returns which objects of a collection would be refused, and how many there are.
func (j *judge) all(ctx context.Context, resource dynamic.ResourceInterface) (invalid map[string]bool, checked int, err error) {
	invalid = map[string]bool{}
	_, _, err = listOnce(ctx, resource, metav1.ListOptions{}, observer{listed: func(p part) bool {
		for i := range p.items {
			obj := &p.items[i]
			checked++
			if j.refuses(ctx, obj) {
				invalid[judged(clusterOf(obj), obj.GetName())] = true
			}
		}
		return false
	}})
	return invalid, checked, err
}

// judged is the key of an object among those of all consumers.
func judged(cluster, name string) string { return cluster + "/" + name }

// difference returns what only a has, in order.
func difference(a, b map[string]bool) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(a)), func(key string) bool { return b[key] })
}

// firstOf returns the first of them, "" if there is none.
func firstOf(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return all[0]
}
