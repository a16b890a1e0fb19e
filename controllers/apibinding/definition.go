package apibinding

import (
	"context"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/schemas/crd"
)

// definitionKey returns the key of the definition of the schema with the given UID.
func definitionKey(uid string) client.Key {
	return client.Key{Cluster: logicalcluster.SystemBoundCRDs, Name: uid}
}

// definitionsOf returns the keys of the definitions that binding uses; typed resources have none.
func (c *Controller) definitionsOf(binding *apisv1alpha2.APIBinding) []client.Key {
	provider := logicalcluster.Name(binding.Status.APIExportClusterName)
	var keys []client.Key
	for _, bound := range binding.Status.BoundResources {
		if !c.isTyped(provider, groupResource(bound.Group, bound.Resource)) {
			keys = append(keys, definitionKey(bound.Schema.UID))
		}
	}
	return keys
}

// definition returns the definition of the schema with the given UID; nil when there is none.
func (c *Controller) definition(ctx context.Context, uid string) (*apiextensionsv1.CustomResourceDefinition, error) {
	return client.Find[apiextensionsv1.CustomResourceDefinition](ctx, c.Client, definitions, definitionKey(uid))
}

// ensureDefinition creates the definition of source if it does not exist. The definition is created in its final state, because each
// cluster that binds it checks conflicts itself.
func (c *Controller) ensureDefinition(ctx context.Context, source *apisv1alpha1.APIResourceSchema) (*fault, error) {
	_, err := c.Client.Get(ctx, definitions, definitionKey(string(source.UID)))
	if err == nil {
		return nil, nil
	}
	if !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading the definition of schema %q: %w", source.UID, err)
	}
	var rules *apisv1alpha1.APIConversion
	if crd.Converts(source) {
		// If it is not known yet, the controller of conversions follows (controllers/apiconversion).
		if rules, err = client.Find[apisv1alpha1.APIConversion](ctx, c.Client, conversions, client.KeyOf(source)); err != nil {
			return nil, fmt.Errorf("reading the APIConversion of schema %q: %w", source.UID, err)
		}
	}
	bound, err := crd.Bound(source, rules)
	if err != nil {
		return invalidSchema("APIResourceSchema %q is invalid: %v", source.Name, err), nil
	}
	establish(bound)
	_, err = c.Client.Create(ctx, definitions, logicalcluster.SystemBoundCRDs, bound)
	switch {
	case err == nil, apierrors.IsAlreadyExists(err):
		return nil, nil
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err), apierrors.IsBadRequest(err):
		return invalidSchema("APIResourceSchema %q is invalid: %v", source.Name, err), nil
	}
	return nil, fmt.Errorf("creating the definition of schema %q: %w", source.UID, err)
}

// establish sets the status that definition would get if no name was in use.
func establish(definition *apiextensionsv1.CustomResourceDefinition) {
	definition.Status.AcceptedNames = *definition.Spec.Names.DeepCopy()
	for _, condition := range []apiextensionsv1.CustomResourceDefinitionCondition{
		{Type: apiextensionsv1.NamesAccepted, Reason: "NoConflicts", Message: "no conflicts found"},
		{Type: apiextensionsv1.Established, Reason: "InitialNamesAccepted", Message: "the initial names have been accepted"},
	} {
		condition.Status, condition.LastTransitionTime = apiextensionsv1.ConditionTrue, metav1.Now()
		definition.Status.Conditions = append(definition.Status.Conditions, condition)
	}
}
