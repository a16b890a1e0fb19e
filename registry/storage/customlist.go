package storage

import (
	"context"
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// minScan is how many objects a page with a field selector reads at once at least.
const minScan = 500

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
	objects := make([]runtime.Object, 0, len(page.raws))
	for i := range page.raws {
		obj, err := page.object(s, i)
		if err != nil {
			return apistorage.NewInternalError(err)
		}
		objects = append(objects, obj)
	}
	return page.into(list, objects)
}

// page is one answer to a list.
type page struct {
	raws []Raw
	// decoded holds the objects that had to be decoded to select them; empty when the keys sufficed.
	decoded   []runtime.Object
	version   string
	next      string
	remaining *int64
}

// page reads one page. The raw cache selects by label; fields are for the schema, so that a page with a field selector
// may take several reads until it is full.
func (s *schemaStorage) page(ctx context.Context, at place, opts apistorage.ListOptions) (*page, error) {
	match := newMatcher(ctx, opts.Predicate, at)
	limit := opts.Predicate.Limit
	if opts.ResourceVersion == "0" {
		limit = 0 // as stock caches do
	}
	scan := opts
	scan.Recursive = opts.Recursive || at.wildcard()
	scan.Predicate.Limit = limit
	if limit > 0 && !match.all() {
		scan.Predicate.Limit = max(limit, minScan)
	}
	result := &page{}
	for {
		raws, err := s.raw.list(ctx, at.key, scan)
		if err != nil {
			return nil, err
		}
		result.version = raws.ResourceVersion
		for i := range raws.Items {
			raw := &raws.Items[i]
			if !match.raw(raw) {
				continue
			}
			if !match.byKey {
				obj, err := s.decode(raw, s.newFunc())
				if err != nil {
					return nil, apistorage.NewInternalError(err)
				}
				if ok, err := match.object(obj); err != nil || !ok {
					continue // as stock stores do: what cannot be asked does not match
				}
				result.decoded = append(result.decoded, obj)
			}
			result.raws = append(result.raws, *raw)
			if limit > 0 && int64(len(result.raws)) >= limit && !match.all() {
				if i == len(raws.Items)-1 && raws.Continue == "" {
					return result, nil
				}
				return result, result.cut(at.key)
			}
		}
		if match.all() {
			result.next, result.remaining = raws.Continue, raws.RemainingItemCount
			return result, nil
		}
		if raws.Continue == "" {
			return result, nil
		}
		// What follows is read at the same revision, which the token holds.
		scan.Predicate.Continue, scan.ResourceVersion, scan.ResourceVersionMatch = raws.Continue, "", ""
	}
}

// cut makes the continue token of a page that was filled before everything was read. What follows may hold nothing that
// matches: as in stock storage the last page may be empty.
func (p *page) cut(prefix string) error {
	rv, err := apistorage.APIObjectVersioner{}.ParseResourceVersion(p.version)
	if err != nil {
		return err
	}
	last := p.raws[len(p.raws)-1].Key()
	p.next, err = apistorage.EncodeContinue(last+"\x00", prefix, int64(rv))
	return err
}

// object returns the object at i, once: it belongs to the caller.
func (p *page) object(s *schemaStorage, i int) (runtime.Object, error) {
	if len(p.decoded) > 0 {
		obj := p.decoded[i]
		p.decoded[i] = nil
		return obj, nil
	}
	return s.decode(&p.raws[i], s.newFunc())
}

// into fills a list of the type that the handler serves.
func (p *page) into(list runtime.Object, objects []runtime.Object) error {
	items, err := meta.GetItemsPtr(list)
	if err != nil {
		return err
	}
	v, err := conversion.EnforcePtr(items)
	if err != nil || v.Kind() != reflect.Slice {
		return fmt.Errorf("list %T has no slice of items", list)
	}
	v.Set(reflect.MakeSlice(v.Type(), len(objects), len(objects)))
	for i, obj := range objects {
		v.Index(i).Set(reflect.ValueOf(obj).Elem())
	}
	accessor, err := meta.ListAccessor(list)
	if err != nil {
		return err
	}
	accessor.SetResourceVersion(p.version)
	accessor.SetContinue(p.next)
	accessor.SetRemainingItemCount(p.remaining)
	return nil
}

// matcher evaluates the field selector of a request for custom resources, which the raw cache cannot.
type matcher struct {
	predicate apistorage.SelectionPredicate
	namespace string // of a wildcard request
	// byKey is whether the selector asks only for name and namespace, which the key answers for the object's whole life.
	byKey bool
	empty bool
	// filter is of a wildcard request; nil for none.
	filter Filter
}

func newMatcher(ctx context.Context, p apistorage.SelectionPredicate, at place) matcher {
	p = complete(p)
	p.Label = apistorage.Everything.Label // the raw cache has seen to that
	m := matcher{predicate: p, namespace: at.namespace, byKey: true, empty: p.Field.Empty(), filter: filterFrom(ctx, at)}
	for _, r := range p.Field.Requirements() {
		if r.Field != "metadata.name" && r.Field != "metadata.namespace" {
			m.byKey = false
		}
	}
	return m
}

// all reports whether everything matches.
func (m matcher) all() bool { return m.empty && m.namespace == "" && m.filter == nil }

// raw reports whether an object can match, by its key alone.
func (m matcher) raw(raw *Raw) bool {
	if m.all() {
		return true
	}
	cluster, namespace, _, _ := raw.tail()
	return m.selects(raw) && (m.filter == nil || m.filter.Shows(logicalcluster.Name(cluster), namespace))
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
