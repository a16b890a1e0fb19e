package kinds

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// REST serves a kind to users.
type REST struct {
	*genericregistry.Store
	Row *Row
	// render returns a rendered copy of an object that may belong to the watch cache; plain is the store without a decorator. Both
	// are nil for a kind that renders nothing.
	render func(runtime.Object) runtime.Object
	plain  *genericregistry.Store
}

var (
	_ rest.StandardStorage    = &REST{}
	_ rest.ShortNamesProvider = &REST{}
	_ rest.CategoriesProvider = &REST{}
)

// newREST returns what serves store to users, and makes store render what it returns.
func (k *Kind[E, T]) newREST(store *genericregistry.Store, row *Row) *REST {
	r := &REST{Store: store, Row: row}
	if k.Render != nil {
		plain := *store
		r.plain, r.render = &plain, k.rendered
		store.Decorator = k.decorate
	}
	return r
}

// ShortNames implements rest.ShortNamesProvider.
func (r *REST) ShortNames() []string { return r.Row.ShortNames }

// Categories implements rest.CategoriesProvider.
func (r *REST) Categories() []string { return r.Row.Categories }

// Watch implements rest.Watcher. The stock store would decorate the very objects that the watch cache shares, and does not see
// through the wrapper that the cache puts around them.
func (r *REST) Watch(ctx context.Context, options *metainternalversion.ListOptions) (watch.Interface, error) {
	if r.render == nil {
		return r.Store.Watch(ctx, options)
	}
	events, err := r.plain.Watch(ctx, options)
	if err != nil {
		return nil, err
	}
	return watch.Filter(events, func(event watch.Event) (watch.Event, bool) {
		if event.Type != watch.Error {
			event.Object = r.render(event.Object)
		}
		return event, true
	}), nil
}

// decorate renders an object, or each one of a list, in place: the store hands out copies.
func (k *Kind[E, T]) decorate(obj runtime.Object) {
	if one, ok := obj.(T); ok {
		k.Render(one)
		return
	}
	if meta.IsListType(obj) {
		// The callback returns no error, and a list that cannot be walked could not be encoded either.
		_ = meta.EachListItem(obj, func(item runtime.Object) error {
			if one, ok := item.(T); ok {
				k.Render(one)
			}
			return nil
		})
	}
}

func (k *Kind[E, T]) rendered(obj runtime.Object) runtime.Object {
	if cached, ok := obj.(runtime.CacheableObject); ok {
		obj = cached.GetObject()
	}
	one, ok := obj.(T)
	if !ok {
		return obj
	}
	shallow := T(new(E))
	*shallow = *one
	k.Render(shallow)
	return shallow
}

// PartREST serves a subresource that changes one part of an object, usually its status.
type PartREST struct{ store *genericregistry.Store }

var (
	_ rest.Patcher             = &PartREST{}
	_ rest.ResetFieldsStrategy = &PartREST{}
	_ rest.TableConvertor      = &PartREST{}
)

// newPartREST returns the storage of the subresource whose updates strategy prepares; store itself is left as it is.
func newPartREST(store *genericregistry.Store, strategy interface {
	rest.RESTUpdateStrategy
	rest.ResetFieldsStrategy
}) *PartREST {
	part := *store
	part.UpdateStrategy, part.ResetFieldsStrategy = strategy, strategy
	return &PartREST{store: &part}
}

// New implements rest.Storage.
func (r *PartREST) New() runtime.Object { return r.store.New() }

// Destroy implements rest.Storage; the store is shared with the main resource, which closes it.
func (r *PartREST) Destroy() {}

// Get implements rest.Getter.
func (r *PartREST) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return r.store.Get(ctx, name, options)
}

// Update implements rest.Updater. It never creates.
func (r *PartREST) Update(ctx context.Context, name string, objInfo rest.UpdatedObjectInfo, createValidation rest.ValidateObjectFunc,
	updateValidation rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return r.store.Update(ctx, name, objInfo, createValidation, updateValidation, false, options)
}

// GetResetFields implements rest.ResetFieldsStrategy.
func (r *PartREST) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return r.store.GetResetFields()
}

// ConvertToTable implements rest.TableConvertor.
func (r *PartREST) ConvertToTable(ctx context.Context, object, tableOptions runtime.Object) (*metav1.Table, error) {
	return r.store.ConvertToTable(ctx, object, tableOptions)
}

// putREST serves a subresource that can only be PUT: of the part it shows updates alone.
type putREST struct{ part *PartREST }

var (
	_ rest.Updater             = &putREST{}
	_ rest.ResetFieldsStrategy = &putREST{}
)

// New implements rest.Storage.
func (r *putREST) New() runtime.Object { return r.part.New() }

// Destroy implements rest.Storage.
func (r *putREST) Destroy() {}

// Update implements rest.Updater.
func (r *putREST) Update(ctx context.Context, name string, objInfo rest.UpdatedObjectInfo, createValidation rest.ValidateObjectFunc,
	updateValidation rest.ValidateObjectUpdateFunc, forceAllowCreate bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return r.part.Update(ctx, name, objInfo, createValidation, updateValidation, forceAllowCreate, options)
}

// GetResetFields implements rest.ResetFieldsStrategy.
func (r *putREST) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return r.part.GetResetFields()
}
