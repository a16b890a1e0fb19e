package storage

import (
	"context"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/registry/storage/filter"
)

// GetList implements storage.Interface.
func (s *schemaStorage) GetList(ctx context.Context, key string, opts apistorage.ListOptions, list runtime.Object) error {
	at, err := s.layout.many(ctx, key, opts.Recursive)
	if err != nil {
		return err
	}
	page, err := s.page(ctx, at, opts)
	if err != nil {
		return apiError(ctx, err, false)
	}
	objects := make([]runtime.Object, 0, len(page.items))
	for i := range page.items {
		obj, err := page.object(s, i)
		if err != nil {
			return apistorage.NewInternalError(err)
		}
		objects = append(objects, obj)
	}
	return page.into(list, objects)
}

// rawPage is one answer to a list of custom resources.
type rawPage struct {
	*page[Raw]
	// decoded holds the objects that had to be decoded to select them; empty when the heads sufficed.
	decoded []runtime.Object
}

// page reads one page. The raw cache selects by label; fields are for the schema, so that a page with a field selector
// may take several reads until it is full.
func (s *schemaStorage) page(ctx context.Context, at place, opts apistorage.ListOptions) (*rawPage, error) {
	match := newMatcher(opts.Predicate, at, s.sight(ctx))
	opts.Recursive = opts.Recursive || at.wildcard()
	result := &rawPage{}
	by := selector[Raw]{key: func(raw *Raw) (string, error) { return raw.Key(), nil }}
	if !match.all() {
		by.keep = func(raw *Raw) (bool, error) {
			if !match.raw(raw) {
				return false, nil
			}
			if match.byKey {
				return true, nil
			}
			obj, err := s.decode(raw, s.newFunc())
			if err != nil {
				return false, apistorage.NewInternalError(err)
			}
			if ok, err := match.object(obj); err != nil || !ok {
				return false, nil //nolint:nilerr // as stock stores do: what cannot be asked does not match
			}
			result.decoded = append(result.decoded, obj)
			return true, nil
		}
	}
	var err error
	result.page, err = fillPage(at.key, opts, by, func(opts apistorage.ListOptions) (*page[Raw], error) {
		list, err := s.raw.list(ctx, at.key, opts)
		if err != nil {
			return nil, err
		}
		return &page[Raw]{items: list.Items, version: list.ResourceVersion, next: list.Continue, remaining: list.RemainingItemCount}, nil
	})
	return result, err
}

// object returns the object at i, once: it belongs to the caller.
func (p *rawPage) object(s *schemaStorage, i int) (runtime.Object, error) {
	if len(p.decoded) > 0 {
		obj := p.decoded[i]
		p.decoded[i] = nil
		return obj, nil
	}
	return s.decode(&p.items[i], s.newFunc())
}

// matcher evaluates the filter and the field selector of a request for custom resources, which the raw cache cannot.
type matcher struct {
	sight     filter.Sight
	predicate apistorage.SelectionPredicate
	namespace string // of a wildcard request
	// byKey is whether the selector asks only for name and namespace, which the key answers for the object's whole life.
	byKey bool
	empty bool
}

func newMatcher(p apistorage.SelectionPredicate, at place, sight filter.Sight) matcher {
	p = complete(p)
	p.Label = apistorage.Everything.Label // the raw cache has seen to that
	m := matcher{sight: sight, predicate: p, namespace: at.namespace, byKey: true, empty: p.Field.Empty()}
	for _, r := range p.Field.Requirements() {
		if r.Field != "metadata.name" && r.Field != "metadata.namespace" {
			m.byKey = false
		}
	}
	return m
}

// all reports whether everything matches.
func (m matcher) all() bool { return m.empty && m.namespace == "" && m.sight.Full() }

// fixed reports whether an object matches for its whole life or never.
func (m matcher) fixed() bool { return m.byKey && m.sight.Fixed() }

// raw reports whether an object can match, by its head alone.
func (m matcher) raw(raw *Raw) bool {
	return m.selects(raw) && (m.sight.Full() || m.sight.Shows(raw.Head()))
}

// selects reports whether the request asks for an object, as far as its key tells.
func (m matcher) selects(raw *Raw) bool {
	_, namespace, name, _ := raw.tail()
	if m.namespace != "" && namespace != m.namespace {
		return false
	}
	return m.empty || !m.byKey || m.predicate.Field.Matches(fields.Set{"metadata.name": name, "metadata.namespace": namespace})
}

// object reports whether an object for which raw was true matches.
func (m matcher) object(obj runtime.Object) (bool, error) {
	if m.empty || m.byKey {
		return true, nil
	}
	return m.predicate.Matches(obj)
}
