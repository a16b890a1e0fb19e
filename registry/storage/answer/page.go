package answer

import (
	"errors"
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	apistorage "k8s.io/apiserver/pkg/storage"
)

// minScan is how many objects a page is read from at least when not all of them match.
const minScan = 500

// ErrFull ends a page before the object that does not fit.
var ErrFull = errors.New("the page is full")

// Page is one answer to a list.
type Page[T any] struct {
	Items         []T
	Version, Next string
	Remaining     *int64
}

// Selector says which objects belong on a page.
type Selector[T any] struct {
	// Keep reports whether an object matches. It is asked once for each, in order. Nil if all match. After it has kept one, it may return
	// [ErrFull].
	Keep func(*T) (bool, error)
	Key  func(*T) (string, error)
}

// Fill reads with scan, below prefix, until the page that opts ask for is full or everything was read.
func Fill[T any](prefix string, opts apistorage.ListOptions, by Selector[T], scan func(apistorage.ListOptions) (*Page[T], error)) (*Page[T], error) {
	if opts.ResourceVersion == "0" {
		opts.Predicate.Limit = 0 // as stock caches do
	}
	if by.Keep == nil {
		return scan(opts)
	}
	limit := int(opts.Predicate.Limit)
	if limit > 0 {
		opts.Predicate.Limit = max(opts.Predicate.Limit, minScan)
	}
	result := &Page[T]{}
	for {
		read, err := scan(opts)
		if err != nil {
			return nil, err
		}
		result.Version = read.Version
		for i := range read.Items {
			item := &read.Items[i]
			ok, err := by.Keep(item)
			if errors.Is(err, ErrFull) {
				return result, result.Cut(prefix, len(result.Items), by.Key)
			}
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			result.Items = append(result.Items, *item)
			if limit > 0 && len(result.Items) >= limit && (i < len(read.Items)-1 || read.Next != "") {
				return result, result.Cut(prefix, limit, by.Key)
			}
		}
		if read.Next == "" {
			return result, nil
		}
		// What follows is read at the same revision, which the token holds.
		opts.Predicate.Continue, opts.ResourceVersion, opts.ResourceVersionMatch = read.Next, "", ""
	}
}

// Cut ends a page after n objects, at least one, and makes the continue token for the rest. What follows may hold nothing that matches: as
// in stock storage the last page may be empty. How many objects remain is not said.
func (p *Page[T]) Cut(prefix string, n int, keyOf func(*T) (string, error)) error {
	p.Items, p.Remaining = p.Items[:n], nil
	rv, err := apistorage.APIObjectVersioner{}.ParseResourceVersion(p.Version)
	if err != nil {
		return err
	}
	key, err := keyOf(&p.Items[n-1])
	if err != nil {
		return err
	}
	p.Next, err = apistorage.EncodeContinue(key+"\x00", prefix, int64(rv))
	return err
}

// Into fills a list of the type that is served with the objects of the page.
func (p *Page[T]) Into(list runtime.Object, objects []runtime.Object) error {
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
	accessor.SetResourceVersion(p.Version)
	accessor.SetContinue(p.Next)
	accessor.SetRemainingItemCount(p.Remaining)
	return nil
}
