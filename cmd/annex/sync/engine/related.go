package engine

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/cmd/annex/sync/config"
	"github.com/annex-dev/annex/cmd/annex/sync/path"
	"github.com/annex-dev/annex/cmd/annex/sync/projection"
)

// related is an entry of the configuration, compiled.
type related struct {
	*config.Related
	reference path.Path
	selector  labels.Selector // nil for none
}

func newRelated(r *config.Resource, plan projection.Plan) ([]related, error) {
	var all []related
	for i := range r.Related {
		entry := related{Related: &r.Related[i]}
		if !plan.ConsumerNamespaced && entry.Namespace == "" {
			return nil, fmt.Errorf("the related objects %s need a namespace, because objects of consumers have none", entry.ID)
		}
		if plan.ConsumerNamespaced && entry.Namespace != "" {
			return nil, fmt.Errorf("the related objects %s are in the namespace of the object, and cannot have another one", entry.ID)
		}
		var err error
		if entry.Reference != "" {
			if entry.reference, err = path.Parse(entry.Reference); err != nil {
				return nil, err
			}
		}
		if entry.Selector != nil {
			if entry.selector, err = metav1.LabelSelectorAsSelector(entry.Selector); err != nil {
				return nil, fmt.Errorf("reading the selector of %s: %w", entry.ID, err)
			}
		}
		all = append(all, entry)
	}
	return all, nil
}

// relatedResources returns the resources of all entries, each once.
func (s *syncer) relatedResources() []string {
	var all []string
	for _, r := range s.related {
		if !slices.Contains(all, r.Resource) {
			all = append(all, r.Resource)
		}
	}
	return all
}

// named returns the names that obj says, on the side on which it is called name; false if an entry finds its objects otherwise.
func (r related) named(obj *unstructured.Unstructured, name string) ([]string, bool) {
	switch {
	case r.Name != "":
		return []string{projection.Expand(r.Name, map[string]string{"name": name})}, true
	case r.Reference != "":
		return r.reference.Strings(obj.Object), true
	}
	return nil, false
}

// namesInWorkspace returns the values of the index of an object of a consumer.
func (s *syncer) namesInWorkspace(obj *unstructured.Unstructured) []string {
	var values []string
	for _, r := range s.related {
		namespace := projection.WorkspaceNamespace(r.Related, client.KeyOf(obj))
		found, ok := r.named(obj, obj.GetName())
		if !ok {
			found = []string{anyName}
		}
		for _, name := range found {
			values = append(values, indexValue(r.Resource, namespace, name))
		}
	}
	return values
}

// namesInService returns the values of the index of a counterpart.
func (s *syncer) namesInService(obj *unstructured.Unstructured) []string {
	key, ok := s.names.Of(obj)
	if !ok {
		return nil
	}
	var values []string
	for _, r := range s.related {
		found, ok := r.named(obj, obj.GetName())
		switch {
		case !ok:
			found = []string{anyName}
		case r.Name != "":
			found = []string{s.nameInService(r, key)}
		}
		for _, name := range found {
			values = append(values, indexValue(r.Resource, s.converter.RelatedNamespace(r.Related, key), name))
		}
	}
	return values
}

// nameInService returns the name of what an entry with a name finds in the service cluster.
func (s *syncer) nameInService(r related, key client.Key) string {
	_, name := s.converter.ServiceName(key)
	if r.ServiceNamespace != "" && s.converter.ServiceNamespaced {
		// Objects of several consumers may have this name, but not this namespace.
		return s.converter.RelatedName(r.Related, key, projection.Expand(r.Name, map[string]string{"name": key.Name}))
	}
	return projection.Expand(r.Name, map[string]string{"name": name})
}

// pair is a related object on both sides.
type pair struct{ workspace, service types.NamespacedName }

// pairs returns what an entry finds for obj. counterpart is nil before there is one.
func (s *syncer) pairs(ctx context.Context, r related, obj, counterpart *unstructured.Unstructured) ([]pair, error) {
	key := client.KeyOf(obj)
	in, at := projection.WorkspaceNamespace(r.Related, key), s.converter.RelatedNamespace(r.Related, key)
	on := func(workspace, service string) pair {
		return pair{types.NamespacedName{Namespace: in, Name: workspace}, types.NamespacedName{Namespace: at, Name: service}}
	}
	found, ok := r.named(obj, obj.GetName())
	var all []pair
	switch {
	case r.Name != "":
		return []pair{on(found[0], s.nameInService(r, key))}, nil
	case ok && r.reference.Root() != "status" && (len(found) > 0 || counterpart == nil):
		for _, name := range found {
			all = append(all, on(name, s.converter.RelatedName(r.Related, key, name)))
		}
		return all, nil
	case ok:
		// Only the operator has said a name.
		for _, name := range r.reference.Strings(counterpart.Object) {
			all = append(all, on(name, name))
		}
		return all, nil
	case r.Origin == config.FromWorkspace:
		selected, err := s.selectRelated(ctx, r, s.manager.In(key.Cluster), in, obj.GetUID())
		for _, name := range selected {
			all = append(all, on(name, s.converter.RelatedName(r.Related, key, name)))
		}
		return all, err
	}
	selected, err := s.selectRelated(ctx, r, s.service.GetCache(), at, counterpart.GetUID())
	for _, name := range selected {
		all = append(all, on(name, name))
	}
	return all, err
}

// selectRelated returns the names of what an entry without names finds in a namespace at its origin.
func (s *syncer) selectRelated(ctx context.Context, r related, from ctrlclient.Reader, namespace string, owner types.UID) ([]string, error) {
	kind := relatedKinds[r.Resource]
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := from.List(ctx, list, ctrlclient.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("looking for related %s: %w", r.Resource, err)
	}
	var found []string
	for i := range list.Items {
		item := &list.Items[i]
		owned := slices.ContainsFunc(item.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == owner && owner != "" })
		if (r.Owned && owned) || (r.selector != nil && r.selector.Matches(labels.Set(item.Labels))) {
			found = append(found, item.Name)
		}
	}
	return found, nil
}
