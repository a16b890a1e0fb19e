package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"

	claimslogic "github.com/annex-dev/annex/apis/apis/claims"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/cmd/annex/sync/names"
	"github.com/annex-dev/annex/cmd/annex/sync/projection"
	"github.com/annex-dev/annex/schemas/publish"
)

// ErrRefused is wrapped by what a provider must change.
var ErrRefused = errors.New("not published")

// Publisher publishes definitions in the provider's workspace.
type Publisher struct {
	// Reader reads from the server each time.
	Reader ctrlclient.Reader
	Writer ctrlclient.Writer
	// Agent and Export are those of the configuration.
	Agent, Export string
	Claims        []apisv1alpha2.PermissionClaim
}

// Publish copies definition, as projection.Definition returns it, and reports whether the export offers it with all claims. The server needs a
// moment after a change.
func (p *Publisher) Publish(ctx context.Context, definition *apiextensionsv1.CustomResourceDefinition) (done bool, err error) {
	stored, err := p.copy(ctx, definition.DeepCopy())
	if err != nil {
		return false, err
	}
	schema, err := publish.SchemaOf(stored)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	export := &apisv1alpha2.APIExport{}
	switch err := p.Reader.Get(ctx, ctrlclient.ObjectKey{Name: p.Export}, export); {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("reading APIExport %q: %w", p.Export, err)
	}
	if err := p.claim(ctx, export); err != nil {
		return false, err
	}
	return slices.ContainsFunc(export.Spec.Resources, func(r apisv1alpha2.ResourceSchema) bool { return r.Schema == schema.Name }), nil
}

// copy makes the definition in the provider's workspace the same, and returns it.
func (p *Publisher) copy(ctx context.Context, definition *apiextensionsv1.CustomResourceDefinition) (*apiextensionsv1.CustomResourceDefinition, error) {
	hash, err := projection.Hash(definition)
	if err != nil {
		return nil, err
	}
	annotations := map[string]string{publish.AnnotationKey: p.Export, names.DefinitionAnnotation: hash}
	maps.Copy(annotations, definition.Annotations)
	found := &apiextensionsv1.CustomResourceDefinition{}
	err = p.Reader.Get(ctx, ctrlclient.ObjectKey{Name: definition.Name}, found)
	switch {
	case apierrors.IsNotFound(err):
		definition.Labels, definition.Annotations = map[string]string{names.AgentLabel: p.Agent}, annotations
		if err := p.Writer.Create(ctx, definition); err != nil {
			return nil, wrote(err, "creating CustomResourceDefinition "+definition.Name)
		}
		return definition, nil
	case err != nil:
		return nil, fmt.Errorf("reading CustomResourceDefinition %q of the provider's workspace: %w", definition.Name, err)
	case found.Labels[names.AgentLabel] != p.Agent:
		return nil, fmt.Errorf("%w: CustomResourceDefinition %q exists in the provider's workspace, and this agent has not made it: remove it, or add the label %s=%s to hand it over",
			ErrRefused, definition.Name, names.AgentLabel, p.Agent)
	case found.Annotations[names.DefinitionAnnotation] == hash && found.Annotations[publish.AnnotationKey] == p.Export:
		return found, nil
	}
	if found.Annotations == nil {
		found.Annotations = map[string]string{}
	}
	maps.Copy(found.Annotations, annotations)
	found.Spec = definition.Spec
	if err := p.Writer.Update(ctx, found); err != nil {
		return nil, wrote(err, "updating CustomResourceDefinition "+definition.Name)
	}
	return found, nil
}

// claim adds the claims that are missing. What others have claimed stays.
func (p *Publisher) claim(ctx context.Context, export *apisv1alpha2.APIExport) error {
	changed := export.DeepCopy()
	for i := range p.Claims {
		want := &p.Claims[i]
		at := slices.IndexFunc(changed.Spec.PermissionClaims, func(is apisv1alpha2.PermissionClaim) bool { return claimslogic.KeyOf(&is) == claimslogic.KeyOf(want) })
		if at < 0 {
			changed.Spec.PermissionClaims = append(changed.Spec.PermissionClaims, *want)
			continue
		}
		for _, verb := range want.Verbs {
			if !claimslogic.Allows(changed.Spec.PermissionClaims[at].Verbs, verb) {
				return fmt.Errorf("%w: APIExport %q claims %s without the verb %s: add %s to the claim, or remove the claim", ErrRefused, export.Name, want.Resource, verb, strings.Join(want.Verbs, ", "))
			}
		}
	}
	if len(changed.Spec.PermissionClaims) == len(export.Spec.PermissionClaims) {
		return nil
	}
	if err := p.Writer.Update(ctx, changed); err != nil {
		return wrote(err, "adding permission claims to APIExport "+export.Name)
	}
	return nil
}

// wrote returns the error of a write, as one that the provider must know if it will fail again.
func wrote(err error, what string) error {
	if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) {
		return fmt.Errorf("%w: %s: %w", ErrRefused, what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
