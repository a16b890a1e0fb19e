package custom

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/registry/storage/answer"
	"github.com/annex-dev/annex/registry/storage/filter"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/raw"
	"github.com/annex-dev/annex/registry/storage/watchcache"
)

// GetList implements storage.Interface.
func (s *Storage) GetList(ctx context.Context, key string, opts apistorage.ListOptions, list runtime.Object) error {
	at, err := s.Layout.Many(ctx, key, opts.Recursive)
	if err != nil {
		return err
	}
	opts.Predicate = s.Sight(ctx).Narrow(opts.Predicate)
	held := &holding{ctx: ctx, pages: opts.Predicate.Limit > 0}
	page, err := s.page(ctx, at, opts, held)
	if err != nil {
		return answer.Error(ctx, err, false)
	}
	objects := make([]runtime.Object, 0, len(page.Items))
	decoding := &ahead{storage: s, items: page.Items, tolerant: !s.Sight(ctx).Full()}
	for i := range page.Items {
		if len(page.decoded) > 0 { // and counted
			objects = append(objects, page.decoded[i])
			continue
		}
		if err := ctx.Err(); err != nil {
			return err // converting objects may take long, and nobody waits any more
		}
		obj, err := decoding.object(i)
		if err != nil {
			if s.Sight(ctx).Full() {
				return apistorage.NewInternalError(err)
			}
			continue // it does not show: see package filter
		}
		if err = held.add(obj, page.Items[i].Size()); errors.Is(err, answer.ErrFull) {
			if err = page.Cut(at.Key, i, rawKey); err == nil {
				break
			}
		}
		if err != nil {
			return err
		}
		objects = append(objects, obj)
	}
	return page.Into(list, objects)
}

// rawPage is one answer to a list of custom resources.
type rawPage struct {
	*answer.Page[raw.Object]
	// decoded holds the objects that had to be decoded to select them; empty when the heads sufficed, or nobody wanted them.
	decoded []runtime.Object
}

// page reads one page. The raw cache selects by label; fields are for the schema, so that a page with a field selector
// may take several reads until it is full. What was decoded for it is kept, and counted, unless held is nil.
func (s *Storage) page(ctx context.Context, at layout.Place, opts apistorage.ListOptions, held *holding) (*rawPage, error) {
	match := newMatcher(opts.Predicate, at, s.Sight(ctx))
	opts.Recursive = opts.Recursive || at.Wildcard()
	result := &rawPage{}
	var decoding *ahead // of the page that is being selected from
	next := 0
	by := answer.Selector[raw.Object]{Key: rawKey}
	if !match.all() {
		by.Keep = func(raw *raw.Object) (bool, error) {
			if !match.raw(raw) {
				return false, nil
			}
			if match.byKey {
				return true, nil
			}
			if err := ctx.Err(); err != nil {
				return false, err // as in GetList
			}
			obj, err := decoding.of(raw, &next)
			if err != nil {
				if match.sight.Full() {
					return false, apistorage.NewInternalError(err)
				}
				return false, nil
			}
			if ok, err := match.object(obj); err != nil || !ok {
				return false, nil //nolint:nilerr // as stock stores do: what cannot be asked does not match
			}
			if held != nil {
				if err := held.add(obj, raw.Size()); err != nil {
					return false, err
				}
				result.decoded = append(result.decoded, obj)
			}
			return true, nil
		}
	}
	var err error
	result.Page, err = answer.Fill(at.Key, opts, by, func(opts apistorage.ListOptions) (*answer.Page[raw.Object], error) {
		list, err := s.raw.Page(ctx, at.Key, at.Wildcard(), opts)
		if err != nil {
			return nil, err
		}
		decoding, next = &ahead{storage: s, items: list.Items, tolerant: !match.sight.Full()}, 0
		return &answer.Page[raw.Object]{Items: list.Items, Version: list.ResourceVersion, Next: list.Continue, Remaining: list.RemainingItemCount}, nil
	})
	return result, err
}

func rawKey(raw *raw.Object) (string, error) { return raw.Key(), nil }

// matcher evaluates the filter and the field selector of a request for custom resources, which the raw cache cannot.
type matcher struct {
	sight     filter.Sight
	predicate apistorage.SelectionPredicate
	namespace string // of a wildcard request
	// byKey is whether the selector asks only for name and namespace, which the key answers for the object's whole life.
	byKey bool
	empty bool
}

func newMatcher(p apistorage.SelectionPredicate, at layout.Place, sight filter.Sight) matcher {
	p = watchcache.Complete(p)
	p.Label = apistorage.Everything.Label // the raw cache has seen to that
	m := matcher{sight: sight, predicate: p, namespace: at.Namespace, byKey: true, empty: p.Field.Empty()}
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
func (m matcher) raw(raw *raw.Object) bool {
	return m.selects(raw) && (m.sight.Full() || m.sight.Shows(raw.Head()))
}

// selects reports whether the request asks for an object, as far as its key tells.
func (m matcher) selects(raw *raw.Object) bool {
	_, namespace, name, _ := raw.Tail()
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
