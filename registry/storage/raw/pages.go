package raw

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	apistorage "k8s.io/apiserver/pkg/storage"
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
	most  int   // lists; 0 for any number
	limit int64 // bytes; 0 for any number

	mu    sync.Mutex
	bytes int64
	held  []*held // the one that was read last is the last
}

// NewLists returns Lists that take at most limit bytes, and keep as much in memory of what is deleted meanwhile.
func NewLists(limit int64) *Lists { return &Lists{limit: limit} }

// Bytes returns how many bytes the lists and their objects take, and how many they may.
func (s *Lists) Bytes() (bytes, limit int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes, s.limit
}

// held is a list of what is below a key, as it was at a revision, in the order of keys.
type held struct {
	key      string
	revision int64
	items    []Object
	bytes    int64
	expiry   *time.Timer
}

// get returns the list of what was below key at a revision; nil if it is not held.
func (s *Lists) get(key string, revision int64) *held {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.IndexFunc(s.held, func(h *held) bool { return h.key == key && h.revision == revision })
	if at < 0 {
		return nil
	}
	found := s.held[at]
	found.expiry.Reset(listRest)
	s.held = append(slices.Delete(s.held, at, at+1), found)
	return found
}

// put returns the list of what was below key at a revision, which others may have put before. It is not held if it is too large.
func (s *Lists) put(key string, revision int64, items []Object) *held {
	if found := s.get(key, revision); found != nil {
		return found
	}
	added := &held{key: key, revision: revision, items: items}
	for i := range items {
		added.bytes += int64(unsafe.Sizeof(items[i])) + int64(len(items[i].envelope))
	}
	if s.limit > 0 && added.bytes > s.limit {
		return added
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	added.expiry = time.AfterFunc(listRest, func() { s.drop(added) })
	s.held = append(s.held, added)
	s.bytes += added.bytes
	for s.most > 0 && len(s.held) > s.most || s.limit > 0 && s.bytes > s.limit {
		s.held[0].expiry.Stop()
		s.bytes -= s.held[0].bytes
		s.held = slices.Delete(s.held, 0, 1)
	}
	return added
}

func (s *Lists) drop(old *held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := slices.Index(s.held, old); at >= 0 {
		s.bytes -= old.bytes
		s.held = slices.Delete(s.held, at, at+1)
	}
}

// Page reads a page of raw objects. It is like [Cache.List], but for later pages, which come from memory if the first one was read not long
// ago: those of all clusters, and of long lists of one.
func (s *Cache) Page(ctx context.Context, key string, everywhere bool, opts apistorage.ListOptions) (*List, error) {
	if opts.Predicate.Limit <= 0 || opts.Predicate.Label != nil && !opts.Predicate.Label.Empty() || opts.ResourceVersionMatch != "" || opts.ResourceVersion != "" {
		return s.List(ctx, key, opts)
	}
	lists := s.long
	if everywhere {
		lists = &s.everywhere
	}
	var from *held
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
		from = lists.put(key, int64(revision), list.Items)
	} else {
		next, revision, err := apistorage.DecodeContinue(opts.Predicate.Continue, key)
		if err == nil {
			from = lists.get(key, revision)
		}
		if from == nil { // etcd has it, or says what is wrong with the token
			return s.List(ctx, key, opts)
		}
		begin, _ = slices.BinarySearchFunc(from.items, next, func(o Object, next string) int { return strings.Compare(o.Key(), next) })
	}
	rest := from.items[begin:]
	size := min(len(rest), int(opts.Predicate.Limit))
	page := &List{Items: rest[:size:size]}
	page.ResourceVersion = strconv.FormatInt(from.revision, 10)
	if size < len(rest) {
		var err error
		opts.Predicate.Field = nil
		page.Continue, page.RemainingItemCount, err = apistorage.PrepareContinueToken(rest[size-1].Key(), key, from.revision, int64(len(rest)), true, opts)
		if err != nil {
			return nil, fmt.Errorf("making the token of the next page: %w", err)
		}
	}
	return page, nil
}
