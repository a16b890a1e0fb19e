package storage

import (
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	apistorage "k8s.io/apiserver/pkg/storage"
)

// minScan is how many objects a page is read from at least when not all of them match.
const minScan = 500

// page is one answer to a list.
type page[T any] struct {
	items         []T
	version, next string
	remaining     *int64
}

// selector says which objects belong on a page.
type selector[T any] struct {
	// keep reports whether an object matches. It is asked once for each, in order. Nil if all match.
	keep func(*T) (bool, error)
	key  func(*T) (string, error)
}

// fillPage reads with scan, below prefix, until the page that opts ask for is full or everything was read.
func fillPage[T any](prefix string, opts apistorage.ListOptions, by selector[T], scan func(apistorage.ListOptions) (*page[T], error)) (*page[T], error) {
	if opts.ResourceVersion == "0" {
		opts.Predicate.Limit = 0 // as stock caches do
	}
	if by.keep == nil {
		return scan(opts)
	}
	limit := int(opts.Predicate.Limit)
	if limit > 0 {
		opts.Predicate.Limit = max(opts.Predicate.Limit, minScan)
	}
	result := &page[T]{}
	for {
		read, err := scan(opts)
		if err != nil {
			return nil, err
		}
		result.version = read.version
		for i := range read.items {
			item := &read.items[i]
			if ok, err := by.keep(item); err != nil {
				return nil, err
			} else if !ok {
				continue
			}
			result.items = append(result.items, *item)
			if limit > 0 && len(result.items) >= limit && (i < len(read.items)-1 || read.next != "") {
				return result, result.cut(prefix, item, by.key)
			}
		}
		if read.next == "" {
			return result, nil
		}
		// What follows is read at the same revision, which the token holds.
		opts.Predicate.Continue, opts.ResourceVersion, opts.ResourceVersionMatch = read.next, "", ""
	}
}

// cut makes the continue token of a page that was filled before everything was read. What follows may hold nothing that
// matches: as in stock storage the last page may be empty.
func (p *page[T]) cut(prefix string, last *T, keyOf func(*T) (string, error)) error {
	rv, err := apistorage.APIObjectVersioner{}.ParseResourceVersion(p.version)
	if err != nil {
		return err
	}
	key, err := keyOf(last)
	if err != nil {
		return err
	}
	p.next, err = apistorage.EncodeContinue(key+"\x00", prefix, int64(rv))
	return err
}

// into fills a list of the type that is served with the objects of the page.
func (p *page[T]) into(list runtime.Object, objects []runtime.Object) error {
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
