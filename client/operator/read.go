package operator

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/informer"
	"github.com/annex-dev/annex/client/remote"
)

// formOf returns the form of an object or a list.
func formOf(obj runtime.Object) remote.Form {
	switch obj.(type) {
	case *metav1.PartialObjectMetadata, *metav1.PartialObjectMetadataList:
		return remote.Metadata
	case runtime.Unstructured:
		return remote.Unstructured
	}
	return remote.Typed
}

// get copies the cached object called key into out.
func (f *fleet) get(ctx context.Context, key client.Key, out ctrlclient.Object) error {
	k, err := f.kindOf(out)
	if err != nil {
		return err
	}
	i := f.informer(k)
	if err := f.wait(ctx, i); err != nil {
		return err
	}
	obj := i.Get(key)
	if obj == nil {
		plural, _ := meta.UnsafeGuessKindToResource(k.GroupVersionKind)
		return apierrors.NewNotFound(plural.GroupResource(), key.Name)
	}
	to, from := reflect.ValueOf(out), reflect.ValueOf(obj.DeepCopyObject())
	if to.Type() != from.Type() {
		return fmt.Errorf("the cache has a %s of %s, not a %s", from.Type(), key, to.Type())
	}
	to.Elem().Set(from.Elem())
	out.GetObjectKind().SetGroupVersionKind(k.GroupVersionKind)
	return nil
}

// list puts copies of cached objects into out, as options say.
func (f *fleet) list(ctx context.Context, scope client.Scope, out ctrlclient.ObjectList, options *ctrlclient.ListOptions) error {
	if options.Continue != "" {
		return errors.New("the cache does not continue lists")
	}
	k, err := f.kindOf(out)
	if err != nil {
		return err
	}
	k.Kind = strings.TrimSuffix(k.Kind, "List")
	i := f.informer(k)
	if err := f.wait(ctx, i); err != nil {
		return err
	}
	scope.Namespace, scope.Selector = options.Namespace, options.LabelSelector
	found, err := selected(i, scope, options.FieldSelector)
	if err != nil {
		return err
	}
	items := make([]runtime.Object, 0, len(found))
	for _, obj := range found {
		if options.Limit > 0 && int64(len(items)) >= options.Limit {
			break
		}
		item := obj.DeepCopyObject()
		item.GetObjectKind().SetGroupVersionKind(k.GroupVersionKind)
		items = append(items, item)
	}
	return meta.SetList(out, items)
}

// selected returns the objects in scope that fields select, each of which needs an index.
func selected(i *informer.Informer, scope client.Scope, by fields.Selector) ([]client.Object, error) {
	if by == nil || by.Empty() {
		return i.List(scope)
	}
	var found []client.Object
	for n, required := range by.Requirements() {
		if required.Operator != selection.Equals && required.Operator != selection.DoubleEquals {
			return nil, fmt.Errorf("the cache cannot select by %s: only equality is indexed", by)
		}
		with, err := i.Indexed(required.Field, scope.Cluster, required.Value)
		if err != nil {
			return nil, fmt.Errorf("selecting by %s needs an index, see IndexField: %w", required.Field, err)
		}
		if n == 0 {
			found = with
			continue
		}
		found = intersect(found, with)
	}
	kept := found[:0]
	for _, obj := range found {
		if (scope.Namespace == "" || obj.GetNamespace() == scope.Namespace) && (scope.Selector == nil || scope.Selector.Matches(labels.Set(obj.GetLabels()))) {
			kept = append(kept, obj)
		}
	}
	return kept, nil
}

func intersect(a, b []client.Object) []client.Object {
	in := map[client.Key]bool{}
	for _, obj := range b {
		in[client.KeyOf(obj)] = true
	}
	var both []client.Object
	for _, obj := range a {
		if in[client.KeyOf(obj)] {
			both = append(both, obj)
		}
	}
	return both
}
