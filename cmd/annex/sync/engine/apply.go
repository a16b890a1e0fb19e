package engine

import (
	"context"
	"fmt"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/csaupgrade"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/annex-dev/annex/cmd/annex/sync/names"
)

// correctAgain is how long after a correction an object is not corrected again. An operator that changes what a user has set would change it
// back at once.
const correctAgain = 30 * time.Second

// The agent owns exactly the fields that the consumer has set, as server-side apply counts them: fields that the operator adds are the operator's,
// and a field that the consumer removes goes. But an apply takes over what it finds. So the first write is a create, whose fields then become
// those of an apply; the annotation AppliedAnnotation says that this is done.

// owner is the field manager.
func (s *syncer) owner() string { return component + "-" + s.names.Agent }

// create creates the counterpart, or fails with AlreadyExists.
func (s *syncer) create(ctx context.Context, want *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	created := want.DeepCopy()
	annotations := created.GetAnnotations()
	delete(annotations, names.AppliedAnnotation)
	created.SetAnnotations(annotations)
	if err := s.service.GetClient().Create(ctx, created, ctrlclient.FieldOwner(s.owner())); err != nil {
		return nil, err
	}
	s.wrote("service", s.converter.Service.GroupKind().String(), "create")
	return s.adopt(ctx, created, want)
}

// adopt makes the fields of a create those of an apply, and applies. found has its managed fields.
func (s *syncer) adopt(ctx context.Context, found, want *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if err := csaupgrade.UpgradeManagedFields(found, sets.New(s.owner()), s.owner()); err != nil {
		return nil, fmt.Errorf("taking over the fields of the counterpart: %w", err)
	}
	// With the resourceVersion: the managed fields are those that were read.
	if err := s.service.GetClient().Update(ctx, found, ctrlclient.FieldOwner(s.owner())); err != nil {
		return nil, fmt.Errorf("taking over the fields of the counterpart: %w", err)
	}
	return s.apply(ctx, found, want)
}

// update makes the counterpart as it is wanted. found is the agent's own, and may be from the cache.
func (s *syncer) update(ctx context.Context, found, want *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	applied := found.GetAnnotations()[names.AppliedAnnotation]
	switch {
	case applied == "":
		current := s.newCounterpart()
		if err := s.service.GetAPIReader().Get(ctx, ctrlclient.ObjectKeyFromObject(found), current); err != nil {
			return nil, fmt.Errorf("reading the counterpart: %w", err)
		}
		if current.GetUID() != found.GetUID() {
			return nil, fmt.Errorf("%w: the counterpart was made anew", errWait)
		}
		return s.adopt(ctx, current, want)
	case applied != want.GetAnnotations()[names.AppliedAnnotation]:
		return s.apply(ctx, found, want)
	case has(found.Object, want.Object):
		return found, nil
	}
	// Somebody has changed what the consumer has set.
	if last, known := s.corrected.Get(found.GetUID()); known && time.Since(last.(time.Time)) < correctAgain {
		return found, nil
	}
	s.corrected.Add(found.GetUID(), time.Now())
	return s.apply(ctx, found, want)
}

// apply applies want to what was just found, and to nothing that has taken its place.
func (s *syncer) apply(ctx context.Context, found, want *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	applied := want.DeepCopy()
	applied.SetUID(found.GetUID())
	err := s.service.GetClient().Apply(ctx, ctrlclient.ApplyConfigurationFromUnstructured(applied), ctrlclient.FieldOwner(s.owner()), ctrlclient.ForceOwnership)
	if err != nil {
		return nil, err
	}
	s.wrote("service", s.converter.Service.GroupKind().String(), "apply")
	return applied, nil
}

// has reports whether all that is wanted is in what is found. Fields and items that others have added do not count.
func has(found, want any) bool {
	switch w := want.(type) {
	case nil:
		return true
	case map[string]any:
		f, ok := found.(map[string]any)
		if !ok {
			return len(w) == 0 && found == nil
		}
		for key := range w {
			if !has(f[key], w[key]) {
				return false
			}
		}
		return true
	case []any:
		f, ok := found.([]any)
		if !ok || len(f) < len(w) {
			return len(w) == 0 && found == nil
		}
		for i := range w {
			if !has(f[i], w[i]) {
				return false
			}
		}
		return true
	}
	return apiequality.Semantic.DeepEqual(found, want)
}
