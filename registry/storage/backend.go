package storage

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/client/v3/kubernetes"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage/etcd3"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/utils/clock"

	"github.com/annex-dev/annex/registry/fresh"
)

// Config is what a [Backend] is made from.
type Config struct {
	// Client is the one etcd client of the process. The Backend shares it and does not close it; the caller closes it after
	// Destroy and before an embedded etcd.
	Client *kubernetes.Client
	// Prefix is what every key begins with, without trailing slash; empty means [DefaultPrefix].
	Prefix string
	// Codec returns the codec in which a typed resource is stored, and to whose internal version it is read.
	Codec func(schema.GroupResource) (runtime.Codec, error)
	// Bulky says which typed resources have big objects, many of them alike: these are kept as stored bytes, of which equal
	// specs are shared by all clusters, and decoded on every read. Nil stands for [DefaultBulky].
	Bulky func(schema.GroupResource) bool
	// CompactionInterval is the time between compactions of etcd; zero means five minutes, negative never.
	CompactionInterval time.Duration
	// EventsHistoryWindow is how long a watch cache keeps events at least; zero means 75 s, which is also the least it takes.
	EventsHistoryWindow time.Duration
}

// Backend holds the watch caches over one etcd. It is safe for many goroutines.
type Backend struct {
	client        *kubernetes.Client
	prefix        string
	codec         func(schema.GroupResource) (runtime.Codec, error)
	bulky         func(schema.GroupResource) bool
	historyWindow time.Duration
	compactor     compactor
	fieldSets     *interner
	shared        *sharer
	progress      *progress
	current       *fresh.Gate // before all watch caches
	custom        [shards]*rawCache

	lock      sync.Mutex
	destroyed bool
	caches    map[*cached]struct{}
	left      map[string]bool // roots of the typed resources that were in etcd when Purge first looked; nil before

	// withoutMarker hands the cachers a storage that lacks the marker of listOnly: tests show what it is for.
	withoutMarker bool
}

// NewBackend starts the watch caches of custom resources; those of typed resources start as their stores are made. It
// does not wait for etcd: see [Backend.Ready].
func NewBackend(config Config) (*Backend, error) { return newBackend(config, false) }

func newBackend(config Config, withoutMarker bool) (*Backend, error) {
	switch {
	case config.Client == nil:
		return nil, errors.New("storage needs an etcd client")
	case config.Codec == nil:
		return nil, errors.New("storage needs codecs")
	}
	if config.Prefix == "" {
		config.Prefix = DefaultPrefix
	}
	if !strings.HasPrefix(config.Prefix, "/") || strings.HasSuffix(config.Prefix, "/") {
		return nil, fmt.Errorf("storage prefix %q must begin with a slash and not end with one", config.Prefix)
	}
	if config.Bulky == nil {
		config.Bulky = DefaultBulky
	}
	if config.EventsHistoryWindow == 0 {
		config.EventsHistoryWindow = storagebackend.DefaultEventsHistoryWindow
	}
	switch {
	case config.CompactionInterval == 0:
		config.CompactionInterval = storagebackend.DefaultCompactInterval
	case config.CompactionInterval < 0:
		config.CompactionInterval = 0
	}
	b := &Backend{
		client:        config.Client,
		prefix:        config.Prefix,
		codec:         config.Codec,
		bulky:         config.Bulky,
		historyWindow: config.EventsHistoryWindow,
		compactor:     etcd3.NewCompactor(config.Client.Client, config.CompactionInterval, clock.RealClock{}, nil),
		fieldSets:     newInterner(),
		shared:        newSharer(),
		caches:        map[*cached]struct{}{},
		withoutMarker: withoutMarker,
	}
	b.progress = &progress{ask: b.askProgress}
	b.current = fresh.New(b.catchUp)
	for i := range b.custom {
		s, err := b.newShard(i)
		if err != nil {
			b.Destroy()
			return nil, err
		}
		b.custom[i] = s
	}
	return b, nil
}

// Ready returns nil when every watch cache holds what is in etcd, or an error that names those that do not.
func (b *Backend) Ready() error {
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.destroyed {
		return errors.New("storage is shut down")
	}
	var waiting []string
	for c := range b.caches {
		if err := c.ReadinessCheck(); err != nil {
			waiting = append(waiting, c.resource.String())
		}
	}
	if len(waiting) > 0 {
		slices.Sort(waiting)
		return fmt.Errorf("watch caches are not filled yet: %s", strings.Join(waiting, ", "))
	}
	return nil
}

// Destroy stops all watch caches and waits for them; open watches end. The etcd client stays open.
func (b *Backend) Destroy() {
	b.lock.Lock()
	if b.destroyed {
		b.lock.Unlock()
		return
	}
	b.destroyed = true
	caches := make([]*cached, 0, len(b.caches))
	for c := range b.caches {
		caches = append(caches, c)
	}
	b.lock.Unlock()
	var wg sync.WaitGroup
	for _, c := range caches {
		wg.Go(c.stop)
	}
	wg.Wait()
	b.compactor.Stop()
}

func (b *Backend) remember(c *cached) error {
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.destroyed {
		return errors.New("storage is shut down")
	}
	b.caches[c] = struct{}{}
	return nil
}

func (b *Backend) forget(c *cached) {
	b.lock.Lock()
	defer b.lock.Unlock()
	delete(b.caches, c)
}
