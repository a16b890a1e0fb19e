package raw

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	apistorage "k8s.io/apiserver/pkg/storage"
)

const (
	// snapshotsHeld is how many lists are held whose later pages may be asked for, and snapshotRest how long after the last page. Each takes
	// less than 100 bytes for an object.
	snapshotsHeld = 2
	snapshotRest  = 30 * time.Second
)

// snapshots are lists of all clusters that somebody reads page by page. Without them each page but the first would come from etcd, for each
// reader: stock watch caches keep no old states unless every write pays for it. Safe for many goroutines; the zero value is empty.
type snapshots struct {
	mu   sync.Mutex
	held []*snapshot // the one that was read last is the last
}

// snapshot is a list of what is below a key, as it was at a revision, in the order of keys.
type snapshot struct {
	key      string
	revision int64
	items    []Object
	expiry   *time.Timer
}

// get returns the snapshot of what was below key at a revision; nil if it is not held.
func (s *snapshots) get(key string, revision int64) *snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.IndexFunc(s.held, func(h *snapshot) bool { return h.key == key && h.revision == revision })
	if at < 0 {
		return nil
	}
	found := s.held[at]
	found.expiry.Reset(snapshotRest)
	s.held = append(slices.Delete(s.held, at, at+1), found)
	return found
}

// put returns the snapshot of what was below key at a revision, which others may have put before.
func (s *snapshots) put(key string, revision int64, items []Object) *snapshot {
	if found := s.get(key, revision); found != nil {
		return found
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	added := &snapshot{key: key, revision: revision, items: items}
	added.expiry = time.AfterFunc(snapshotRest, func() { s.drop(added) })
	if s.held = append(s.held, added); len(s.held) > snapshotsHeld {
		s.held[0].expiry.Stop()
		s.held = slices.Delete(s.held, 0, 1)
	}
	return added
}

func (s *snapshots) drop(old *snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = slices.DeleteFunc(s.held, func(h *snapshot) bool { return h == old })
}

// Page reads a page of the raw objects of all clusters. It is like [Cache.List], but for later pages, which come from memory if the first one
// was read not long ago.
func (s *Cache) Page(ctx context.Context, key string, opts apistorage.ListOptions) (*List, error) {
	if opts.Predicate.Limit <= 0 || opts.Predicate.Label != nil && !opts.Predicate.Label.Empty() || opts.ResourceVersionMatch != "" || opts.ResourceVersion != "" {
		return s.List(ctx, key, opts)
	}
	var from *snapshot
	begin := 0
	if opts.Predicate.Continue == "" {
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
		from = s.snapshots.put(key, int64(revision), list.Items)
	} else {
		next, revision, err := apistorage.DecodeContinue(opts.Predicate.Continue, key)
		if err == nil {
			from = s.snapshots.get(key, revision)
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
