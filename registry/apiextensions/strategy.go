package apiextensions

import (
	"context"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/room"
	"github.com/annex-dev/annex/schemas/crd"
)

// writeStrategy prepares and validates creates and updates.
type writeStrategy interface {
	rest.RESTCreateStrategy
	rest.RESTUpdateStrategy
}

// strategy is the stock strategy, narrowed to what is supported here.
type strategy struct{ writeStrategy }

// Validate implements rest.RESTCreateStrategy.
func (s strategy) Validate(ctx context.Context, obj runtime.Object) (errs field.ErrorList) {
	large(obj, func() {
		definition, found := crd.Checkable(obj.(*apiextensions.CustomResourceDefinition))
		errs = append(found, s.writeStrategy.Validate(ctx, definition)...)
	})
	return errs
}

// ValidateUpdate implements rest.RESTUpdateStrategy.
func (s strategy) ValidateUpdate(ctx context.Context, obj, old runtime.Object) (errs field.ErrorList) {
	large(obj, func() {
		definition, found := crd.Checkable(obj.(*apiextensions.CustomResourceDefinition))
		errs = append(found, s.writeStrategy.ValidateUpdate(ctx, definition, old)...)
	})
	return errs
}

// large does work on the schemas of obj when that may be done.
func large(obj runtime.Object, work func()) {
	room.Large(room.NodeBytes*crd.Nodes(obj.(*apiextensions.CustomResourceDefinition)), work)
}

// checkLimits is crd.CheckLimits.
func checkLimits(definition *apiextensions.CustomResourceDefinition) (errs field.ErrorList) {
	large(definition, func() { _, errs = crd.CheckLimits(definition) })
	return errs
}

// limited is for users: a definition must not cost too much. What was stored before there were limits remains valid until its spec
// changes. The server's own writes are not limited, because it copies schemas that were stored before.
type limited struct{ strategy }

// Validate implements rest.RESTCreateStrategy.
func (s limited) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	if errs := checkLimits(obj.(*apiextensions.CustomResourceDefinition)); len(errs) > 0 {
		return errs // the rest would cost too much
	}
	return s.strategy.Validate(ctx, obj)
}

// ValidateUpdate implements rest.RESTUpdateStrategy.
func (s limited) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	definition, before := obj.(*apiextensions.CustomResourceDefinition), old.(*apiextensions.CustomResourceDefinition)
	if !apiequality.Semantic.DeepEqual(definition.Spec, before.Spec) {
		if errs := checkLimits(definition); len(errs) > 0 {
			return errs
		}
	}
	return s.strategy.ValidateUpdate(ctx, obj, old)
}

// systemStrategy is for the server's own writes: status and metadata are kept as they are given.
type systemStrategy struct{ strategy }

// PrepareForCreate implements rest.RESTCreateStrategy.
func (s systemStrategy) PrepareForCreate(ctx context.Context, obj runtime.Object) {
	crd := obj.(*apiextensions.CustomResourceDefinition)
	status := *crd.Status.DeepCopy()
	s.strategy.PrepareForCreate(ctx, obj)
	crd.Status.AcceptedNames = status.AcceptedNames
	crd.Status.Conditions = status.Conditions
	crd.Status.ObservedGeneration = status.ObservedGeneration
	addStoredVersions(crd, status.StoredVersions)
}

// PrepareForUpdate implements rest.RESTUpdateStrategy.
func (s systemStrategy) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	crd := obj.(*apiextensions.CustomResourceDefinition)
	if apiequality.Semantic.DeepEqual(crd.Spec, old.(*apiextensions.CustomResourceDefinition).Spec) {
		return
	}
	status := *crd.Status.DeepCopy()
	s.strategy.PrepareForUpdate(ctx, obj, old)
	stored := crd.Status.StoredVersions
	crd.Status = status
	addStoredVersions(crd, stored)
}

func addStoredVersions(crd *apiextensions.CustomResourceDefinition, versions []string) {
	for _, version := range versions {
		if !apiextensions.IsStoredVersion(crd, version) {
			crd.Status.StoredVersions = append(crd.Status.StoredVersions, version)
		}
	}
}

// Validate implements rest.RESTCreateStrategy.
func (s systemStrategy) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	return s.strategy.Validate(ctx, named(ctx, obj))
}

// ValidateUpdate implements rest.RESTUpdateStrategy. Validating a schema means compiling its rules, so it is done only when
// the spec changes.
func (s systemStrategy) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	crd, previous := obj.(*apiextensions.CustomResourceDefinition), old.(*apiextensions.CustomResourceDefinition)
	if apiequality.Semantic.DeepEqual(crd.Spec, previous.Spec) {
		return validation.ValidateUpdateCustomResourceDefinitionStatus(ctx, crd, previous)
	}
	return s.strategy.ValidateUpdate(ctx, named(ctx, obj), named(ctx, old))
}

// WarningsOnCreate implements rest.RESTCreateStrategy.
func (systemStrategy) WarningsOnCreate(context.Context, runtime.Object) []string { return nil }

// WarningsOnUpdate implements rest.RESTUpdateStrategy.
func (systemStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// AllowUnconditionalUpdate implements rest.RESTUpdateStrategy.
func (systemStrategy) AllowUnconditionalUpdate(context.Context) bool { return true }

// named returns obj, in the cluster of bound definitions under the name that validation expects instead of a schema's UID.
func named(ctx context.Context, obj runtime.Object) runtime.Object {
	if cluster, _ := logicalcluster.FromContext(ctx); cluster != logicalcluster.SystemBoundCRDs {
		return obj
	}
	crd := *obj.(*apiextensions.CustomResourceDefinition)
	crd.Name = crd.Spec.Names.Plural + "." + crd.Spec.Group
	return &crd
}
