package raw

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/lru"
)

const (
	// everywhereHeld is how many lists of all clusters are held for each cache, and listRest how long after the last page. Each takes less
	// than 100 bytes for an object.
	everywhereHeld = 2
	listRest       = 30 * time.Second
	// longList is from how many more objects on the list of a cluster is held, and longPage from which size of a page on: who asks for less
	// may not want the rest.
	longList, longPage = 2000, 100
)

// Lists are lists that somebody reads page by page. Without them each page but the first would come from etcd, for each reader, and etcd
// counts what is left for each: stock watch caches keep no old states unless every write pays for it. Safe for many goroutines.
type Lists struct {
	cache   *lru.Cache[listKey, *held]
	weighed bool // or else only counted
}

// NewLists returns Lists that take at most limit bytes, and keep as much in memory of what is deleted meanwhile. A cluster has a share of them.
func NewLists(limit int64) *Lists {
	return &Lists{cache: lru.New[listKey](limit, ended), weighed: true}
}

// newFewLists returns Lists that hold as many lists, however large they are.
func newFewLists(most int64) *Lists {
	return &Lists{cache: lru.New[listKey](most*lru.EntryBytes, ended)}
}

// Bytes returns how many bytes the lists and their objects take, and how many they may.
func (s *Lists) Bytes() (bytes, limit int64) { return s.cache.Bytes() }

// Drop drops the lists of a cluster.
func (s *Lists) Drop(cluster logicalcluster.Name) { s.cache.Drop(cluster.String()) }

// listKey is what is below a key at a revision.
type listKey struct {
	key      string
	revision int64
}

// held is a list in the order of keys.
type held struct {
	items  []Object
	expiry *time.Timer
}

// ended stops the timer of a list that is not held any more.
func ended(h *held) { h.expiry.Stop() }

// get returns a list; nil if it is not held.
func (s *Lists) get(at listKey) []Object {
	found, ok := s.cache.Get(at)
	if !ok {
		return nil
	}
	found.expiry.Reset(listRest)
	return found.items
}

// put holds a list, which is not empty, unless it is too large.
func (s *Lists) put(at listKey, items []Object) {
	bytes, owner := int64(0), fmt.Sprint(at)
	if s.weighed {
		owner, _, _, _ = items[0].Tail()
		for i := range items {
			bytes += int64(unsafe.Sizeof(items[i])) + int64(len(items[i].envelope))
		}
	}
	s.cache.Put(at, &held{items: items, expiry: time.AfterFunc(listRest, func() { s.cache.Remove(at) })}, bytes, owner)
}

// Page reads a page of raw objects. It is like [Cache.List], but for later pages, which come from memory if the first one was read not long
// ago: those of all clusters, and of long lists of one.
func (s *Cache) Page(ctx context.Context, key string, everywhere bool, opts apistorage.ListOptions) (*List, error) {
	if opts.Predicate.Limit <= 0 || opts.Predicate.Label != nil && !opts.Predicate.Label.Empty() || opts.ResourceVersionMatch != "" || opts.ResourceVersion != "" {
		return s.List(ctx, key, opts)
	}
	lists := s.long
	if everywhere {
		lists = s.everywhere
	}
	var at listKey
	var items []Object
	begin := 0
	if opts.Predicate.Continue == "" {
		if !everywhere {
			list, err := s.List(ctx, key, opts)
			if err != nil || opts.Predicate.Limit < longPage || list.RemainingItemCount == nil || *list.RemainingItemCount < longList {
				return list, err
			}
		}
		all := opts
		all.Predicate.Limit = 0
		list, err := s.List(ctx, key, all)
		if err != nil || int64(len(list.Items)) <= opts.Predicate.Limit {
			return list, err
		}
		revision, err := apistorage.APIObjectVersioner{}.ParseResourceVersion(list.ResourceVersion)
		if err != nil {
			return nil, fmt.Errorf("reading the revision of a list: %w", err)
		}
		at, items = listKey{key, int64(revision)}, list.Items
		if lists.get(at) == nil { // others may read the same
			lists.put(at, items)
		}
	} else {
		next, revision, err := apistorage.DecodeContinue(opts.Predicate.Continue, key)
		if at = (listKey{key, revision}); err == nil {
			items = lists.get(at)
		}
		if items == nil { // etcd has it, or says what is wrong with the token
			return s.List(ctx, key, opts)
		}
		begin, _ = slices.BinarySearchFunc(items, next, func(o Object, next string) int { return strings.Compare(o.Key(), next) })
	}
	rest := items[begin:]
	size := min(len(rest), int(opts.Predicate.Limit))
	page := &List{Items: rest[:size:size]}
	page.ResourceVersion = strconv.FormatInt(at.revision, 10)
	if size < len(rest) {
		var err error
		opts.Predicate.Field = nil
		page.Continue, page.RemainingItemCount, err = apistorage.PrepareContinueToken(rest[size-1].Key(), key, at.revision, int64(len(rest)), true, opts)
		if err != nil {
			return nil, fmt.Errorf("making the token of the next page: %w", err)
		}
	}
	return page, nil
}
