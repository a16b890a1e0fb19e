package parity

import (
	"context"
	"fmt"
	"net/http"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/annex-dev/annex/test/framework/annex"
)

// bind gives both servers the definition in corpus/bound: the stock server as it is, and the workspace as an API that another workspace
// exports.
func (w *world) bind(ctx context.Context, provider string, server *annex.Server) error {
	data, err := files.ReadFile("corpus/bound/widgets.yaml")
	if err != nil {
		return fmt.Errorf("reading the definition to bind: %w", err)
	}
	var definition map[string]any // with $$ for a dollar, as in all steps
	if err := yaml.UnmarshalStrict(data, &definition); err != nil {
		return fmt.Errorf("parsing the definition to bind: %w", err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(data, &crd); err != nil {
		return fmt.Errorf("parsing the definition to bind: %w", err)
	}
	served := Step{Do: "GET /apis/" + crd.Spec.Group + "/v1/" + crd.Spec.Names.Plural, Until: map[string]any{"code": float64(http.StatusOK)}}
	if err := w.stock.all(ctx, Step{Do: "POST /apis/apiextensions.k8s.io/v1/customresourcedefinitions", Body: definition}, served); err != nil {
		return err
	}
	exporting, err := NewSide(server.Workspace(provider), nil)
	if err != nil {
		return err
	}
	schema := "v1." + crd.Name
	if err := exporting.all(ctx,
		Step{Do: "POST /apis/apis.kcp.io/v1alpha1/apiresourceschemas", Body: exported(schema, definition)},
		Step{Do: "POST /apis/apis.kcp.io/v1alpha2/apiexports", Body: map[string]any{
			"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIExport", "metadata": map[string]any{"name": "widgets"},
			"spec": map[string]any{"resources": []any{map[string]any{
				"name": crd.Spec.Names.Plural, "group": crd.Spec.Group, "schema": schema, "storage": map[string]any{"crd": map[string]any{}},
			}}},
		}},
	); err != nil {
		return err
	}
	return w.workspace.all(ctx, Step{Do: "POST /apis/apis.kcp.io/v1alpha2/apibindings", Body: map[string]any{
		"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIBinding", "metadata": map[string]any{"name": "widgets"},
		"spec": map[string]any{"reference": map[string]any{"export": map[string]any{"path": provider, "name": "widgets"}}},
	}}, served)
}

// exported returns the APIResourceSchema with what a CustomResourceDefinition says.
func exported(name string, definition map[string]any) map[string]any {
	spec, _ := definition["spec"].(map[string]any)
	var versions []any
	for _, version := range spec["versions"].([]any) {
		copied := map[string]any{}
		for key, value := range version.(map[string]any) {
			copied[key] = value
		}
		copied["schema"] = valueAt(version, "schema.openAPIV3Schema")
		versions = append(versions, copied)
	}
	return map[string]any{
		"apiVersion": "apis.kcp.io/v1alpha1", "kind": "APIResourceSchema", "metadata": map[string]any{"name": name},
		"spec": map[string]any{"group": spec["group"], "scope": spec["scope"], "names": spec["names"], "versions": versions, "conversion": map[string]any{"strategy": "None"}},
	}
}

// all sends steps that must succeed.
func (s *Side) all(ctx context.Context, steps ...Step) error {
	for _, step := range steps {
		r, err := newRequest(step, nil)
		if err != nil {
			return err
		}
		answer, err := s.repeat(ctx, step, r)
		if err != nil {
			return fmt.Errorf("%s: %w", step.Do, err)
		}
		if answer.Code >= http.StatusBadRequest {
			return fmt.Errorf("%s is answered with %d: %v", step.Do, answer.Code, answer.Body)
		}
	}
	return nil
}
