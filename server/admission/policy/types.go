package policy

import (
	"context"
	"fmt"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/cel/openapi/resolver"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/room"
)

// checkTime bounds how long the types of one policy are checked. An expression is compiled for up to ten types, with an environment of CEL
// for each, and a policy may have thousands of expressions. The first ones are checked.
const checkTime = time.Second

// Check returns what is wrong with the expressions of a policy for the types that it is for, as the workspace serves them; nil if nothing is.
func (p *Plugins) Check(ctx context.Context, cluster logicalcluster.Name, policy *admissionregistrationv1.ValidatingAdmissionPolicy) ([]admissionregistrationv1.ExpressionWarning, error) {
	snapshot, err := p.custom.Catalog.For(ctx, cluster)
	if err != nil {
		return nil, err
	}
	types := &types{builtin: p.builtin(), snapshot: snapshot}
	checker := validating.TypeChecker{SchemaResolver: types, RestMapper: types.mapper()}
	known := checker.CreateContext(policy)
	until := time.Now().Add(checkTime)
	var warnings []admissionregistrationv1.ExpressionWarning
	check := func(at *field.Path, expression string) {
		if expression == "" || time.Now().After(until) || ctx.Err() != nil {
			return
		}
		if results := checker.CheckExpression(known, expression); len(results) > 0 {
			warnings = append(warnings, admissionregistrationv1.ExpressionWarning{FieldRef: at.String(), Warning: results.String()})
		}
	}
	for i, v := range policy.Spec.Validations {
		at := field.NewPath("spec", "validations").Index(i)
		check(at.Child("expression"), v.Expression)
		check(at.Child("messageExpression"), v.MessageExpression)
	}
	return warnings, ctx.Err()
}

// types are those that one workspace serves.
type types struct {
	builtin  resolver.SchemaResolver
	snapshot *catalog.Snapshot
}

var _ resolver.SchemaResolver = &types{}

// mapper returns the kinds of all resources of the workspace.
func (t *types) mapper() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	add := func(group, version, kind, plural, singular string, namespaced bool) {
		gv := schema.GroupVersion{Group: group, Version: version}
		mapper.AddSpecific(gv.WithKind(kind), gv.WithResource(plural), gv.WithResource(singular), scope(namespaced))
	}
	for _, row := range kinds.All.Rows() {
		gr := row.GroupResource()
		if _, bound := t.snapshot.Lookup(gr); !bound && !kinds.All.IsEverywhere(gr) {
			continue
		}
		for _, version := range row.Versions {
			add(gr.Group, version, row.Kind(), gr.Resource, strings.ToLower(row.Kind()), row.Namespaced)
		}
	}
	for _, resource := range t.snapshot.Resources() {
		if resource.Typed {
			continue
		}
		for _, v := range resource.CRD.Spec.Versions {
			if v.Served {
				add(resource.Group, v.Name, resource.Kind, resource.Plural, resource.Singular, resource.Namespaced)
			}
		}
	}
	return mapper
}

// ResolveSchema implements resolver.SchemaResolver.
func (t *types) ResolveSchema(gvk schema.GroupVersionKind) (*spec.Schema, error) {
	for _, resource := range t.snapshot.Resources() {
		if resource.Group != gvk.Group || resource.Kind != gvk.Kind || resource.Typed || !serves(resource, gvk.Version) {
			continue
		}
		var found *spec.Schema
		var err error
		room.Large(resource.CRD.Size(), func() { found, err = customSchema(resource.CRD, gvk) })
		if err != nil {
			return nil, fmt.Errorf("reading the schema of %s: %w", gvk, err)
		}
		return found, nil
	}
	return t.builtin.ResolveSchema(gvk)
}

// customSchema returns the schema of one version of a definition, as its OpenAPI document has it.
func customSchema(definition *apiextensionsv1.CustomResourceDefinition, gvk schema.GroupVersionKind) (*spec.Schema, error) {
	document, err := builder.BuildOpenAPIV3(definition, gvk.Version, builder.Options{})
	if err != nil {
		return nil, err
	}
	for name, s := range document.Components.Schemas {
		// A list names the same group and version, and another kind.
		if kinds, _ := s.Extensions["x-kubernetes-group-version-kind"].([]any); len(kinds) == 1 {
			if of, _ := kinds[0].(map[string]any); of["kind"] == gvk.Kind {
				const prefix = "#/components/schemas/"
				return resolver.PopulateRefs(func(ref string) (*spec.Schema, bool) {
					s, ok := document.Components.Schemas[strings.TrimPrefix(ref, prefix)]
					return s, ok
				}, prefix+name)
			}
		}
	}
	return nil, fmt.Errorf("cannot resolve %v: %w", gvk, resolver.ErrSchemaNotFound)
}
