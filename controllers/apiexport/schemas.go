package apiexport

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/client"
)

// checkSchemas sets a condition of export, which the caller owns, that lists missing schemas. Consumers see this fault in their
// bindings; the provider would not see it otherwise.
func (r *reconciler) checkSchemas(ctx context.Context, key client.Key, export *apisv1alpha2.APIExport) error {
	var missing []string
	for _, resource := range export.Spec.Resources {
		_, err := r.client.Get(ctx, schemas, client.Key{Cluster: key.Cluster, Name: resource.Schema})
		switch {
		case apierrors.IsNotFound(err):
			missing = append(missing, resource.Schema)
		case err != nil:
			return fmt.Errorf("reading APIResourceSchema %q in %q: %w", resource.Schema, key.Cluster, err)
		}
	}
	if len(missing) == 0 {
		conditionsv1alpha1.MarkTrue(export, apisv1alpha2.APIExportSchemasValid)
		return nil
	}
	conditionsv1alpha1.MarkFalse(export, apisv1alpha2.APIExportSchemasValid, apisv1alpha2.SchemaNotFoundReason, conditionsv1alpha1.ConditionSeverityError,
		"there is no APIResourceSchema %s in this workspace: resources that refer to it cannot be bound", strings.Join(missing, ", "))
	return nil
}

// forSchema returns the exports that name a schema that was created or deleted. Schemas never change.
func (r *reconciler) forSchema(ctx context.Context, event client.Event) ([]client.Key, error) {
	if event.Type == client.Modified {
		return nil, nil
	}
	key := client.KeyOf(event.Object)
	all, err := client.List[apisv1alpha2.APIExport](ctx, r.client, exports, client.Scope{Cluster: key.Cluster})
	if err != nil {
		return nil, err
	}
	var keys []client.Key
	for _, export := range all {
		if slices.ContainsFunc(export.Spec.Resources, func(r apisv1alpha2.ResourceSchema) bool { return r.Schema == key.Name }) {
			keys = append(keys, client.Key{Cluster: key.Cluster, Name: export.Name})
		}
	}
	return keys, nil
}
