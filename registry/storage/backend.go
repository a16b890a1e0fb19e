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
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/value"

	"github.com/annex-dev/annex/apis/core/limits"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/custom"
	"github.com/annex-dev/annex/registry/storage/definitions"
	"github.com/annex-dev/annex/registry/storage/encryption"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/pack"
	"github.com/annex-dev/annex/registry/storage/raw"
	"github.com/annex-dev/annex/registry/storage/rendered"
	"github.com/annex-dev/annex/registry/storage/watchcache"
)

// Config is what a [Backend] is made from.
type Config struct {
	// Client is the one etcd client of the process. The Backend shares it and does not close it; the caller closes it after
	// Destroy and before an embedded etcd.
	Client *kubernetes.Client
	// Elsewhere are other etcds for a part of what is stored; empty if Client has all of it.
	Elsewhere []Elsewhere
	// Prefix is what every key begins with, without trailing slash; empty means [DefaultPrefix].
	Prefix string
	// Codec returns the codec in which a typed resource is stored, and to whose internal version it is read.
	Codec func(schema.GroupResource) (runtime.Codec, error)
	// Encryption says how objects are stored; nil stands for as they are.
	Encryption value.ResourceTransformers
	// Limits are how much a workspace may store, unless its LogicalCluster says otherwise.
	Limits limits.Limits
	// Orphans lets objects be created though what they belong to does not exist. It is for tests of single stores.
	Orphans bool
	// CompactionInterval is the longest time between compactions of etcd; zero means five minutes, negative never.
	CompactionInterval time.Duration
	// EventsHistoryWindow is how long a watch cache keeps events at least; zero means 75 s, which is also the least it takes.
	EventsHistoryWindow time.Duration
	// DecodedBytes bounds what typed objects that are held decoded take; zero means 32 MiB.
	DecodedBytes int64
	// SpecBytes bounds what large specs of definitions take that are held decoded, for all definitions with the same; zero means 32 MiB.
	SpecBytes int64
	// ListedBytes bounds what small objects that are held decoded take, because lists show them again and again; zero means 32 MiB.
	ListedBytes int64
	// ListBytes bounds what long lists take that are read page by page; zero means 32 MiB.
	ListBytes int64
}

// defaultDecodedBytes is for some dozens of schemas, each perhaps some hundred KiB.
const defaultDecodedBytes = 32 << 20

// defaultSpecBytes is for some large schemas at least.
const defaultSpecBytes = 32 << 20

// defaultListedBytes is for some thousand small objects.
const defaultListedBytes = 32 << 20

// defaultListBytes is for one list of some ten thousand small objects.
const defaultListBytes = 32 << 20

// renderedBytes bounds what is kept of templates, and of what clusters are made from if no watch cache has it; a cluster takes about 400 bytes.
const renderedBytes = 16 << 20

// Backend holds the watch caches over etcd. It is safe for many goroutines.
type Backend struct {
	main       *etcd
	others     []*etcd
	roots      map[string]*etcd // that are in one of the others
	prefix     string
	window     time.Duration
	codec      func(schema.GroupResource) (runtime.Codec, error)
	limits     limits.Limits // of a workspace, by default
	encryption *encryption.Encryption
	rendered   *rendered.Client
	decoded    *custom.Decoded
	specs      *definitions.Specs
	listed     *custom.Listed
	shared     raw.Shared
	custom     [layout.Shards]*raw.Cache

	stop func() // once: ends what the backend itself runs

	sweeping sync.Mutex // held while Purge looks for them
	lock     sync.Mutex
	left     map[left]bool // nil before Purge first looked
}

// NewBackend starts the watch caches of custom resources; those of typed resources start as their stores are made. It
// does not wait for etcd: see [Backend.Ready].
func NewBackend(config Config) (*Backend, error) {
	return newBackend(config, func(*watchcache.Config) {})
}

// newBackend lets tests change what the watch caches are made from.
func newBackend(config Config, change func(*watchcache.Config)) (*Backend, error) {
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
	if config.EventsHistoryWindow == 0 {
		config.EventsHistoryWindow = storagebackend.DefaultEventsHistoryWindow
	}
	if config.DecodedBytes == 0 {
		config.DecodedBytes = defaultDecodedBytes
	}
	if config.SpecBytes == 0 {
		config.SpecBytes = defaultSpecBytes
	}
	if config.ListedBytes == 0 {
		config.ListedBytes = defaultListedBytes
	}
	if config.ListBytes == 0 {
		config.ListBytes = defaultListBytes
	}
	switch {
	case config.CompactionInterval == 0:
		config.CompactionInterval = storagebackend.DefaultCompactInterval
	case config.CompactionInterval < 0:
		config.CompactionInterval = 0
	}
	b := &Backend{
		roots:      map[string]*etcd{},
		prefix:     config.Prefix,
		window:     config.EventsHistoryWindow,
		codec:      config.Codec,
		limits:     config.Limits,
		encryption: encryption.New(config.Encryption),
		decoded:    custom.NewDecoded(config.DecodedBytes),
		specs:      definitions.NewSpecs(config.SpecBytes),
		listed:     custom.NewListed(config.ListedBytes),
		shared:     raw.Shared{Long: raw.NewLists(config.ListBytes), Packs: pack.NewPacker()},
	}
	stopped := make(chan struct{})
	b.stop = sync.OnceFunc(func() { close(stopped) })
	go b.dropIdle(idleAfter, stopped)
	b.shared.Open = b.opening
	set := watchcache.Config{Prefix: config.Prefix, CompactionInterval: config.CompactionInterval, HistoryWindow: config.EventsHistoryWindow}
	change(&set)
	b.main = b.newMain(config, set)
	if err := b.addElsewhere(config, set); err != nil {
		b.Destroy()
		return nil, err
	}
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

// idleAfter is how long decoded objects are held at least that nobody uses. Controllers read all of them when the process starts.
const idleAfter = 20 * time.Second

// dropIdle drops decoded objects that nobody uses, until stopped is closed.
func (b *Backend) dropIdle(interval time.Duration, stopped <-chan struct{}) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			b.decoded.DropIdle()
			b.specs.DropIdle()
			b.listed.DropIdle()
		case <-stopped:
			return
		}
	}
}

// Forget drops what is held for cluster: decoded objects, and what its quotas limit.
func (b *Backend) Forget(cluster logicalcluster.Name) {
	b.decoded.Drop(cluster.String())
	b.listed.Drop(cluster)
	for _, e := range b.etcds() {
		if e.owners != nil {
			e.owners.Forget(cluster)
		}
	}
}

// DecodedBytes returns about how many bytes decoded objects take, and how many they may take.
func (b *Backend) DecodedBytes() (bytes, limit int64) { return b.decoded.Bytes() }

// SpecBytes returns about how many bytes large specs of definitions take, and how many they may take.
func (b *Backend) SpecBytes() (bytes, limit int64) { return b.specs.Bytes() }

// ListedBytes returns about how many bytes decoded objects of lists take, and how many they may take.
func (b *Backend) ListedBytes() (bytes, limit int64) { return b.listed.Bytes() }

// ListBytes returns how many bytes long lists take that are read page by page, and how many they may take.
func (b *Backend) ListBytes() (bytes, limit int64) { return b.shared.Long.Bytes() }

// RenderedBytes returns about how many bytes are taken by what clusters are made from, and how many may be.
func (b *Backend) RenderedBytes() (bytes, limit int64) { return b.rendered.Bytes() }

// Filters reports whether requests for a typed resource are served from here, so that a filter in their context counts; those
// for custom resources always are. A server of filtered requests must refuse those for other resources.
func (b *Backend) Filters(gr schema.GroupResource) bool {
	return slices.ContainsFunc(b.all(), func(c *watchcache.Cache) bool { return c.Resource == gr })
}
