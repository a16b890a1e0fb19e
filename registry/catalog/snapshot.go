package catalog

import (
	"cmp"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/registry/storage"
)

// LocalBucket is the bucket of resources that come from a CustomResourceDefinition of the cluster itself.
const LocalBucket = storage.LocalBucket

// Resource is one resource that a cluster serves. It is immutable and shared by all clusters for which it is the same.
type Resource struct {
	Group, Plural, Singular, Kind, ListKind string
	ShortNames, Categories                  []string
	Namespaced                              bool

	// CRD is the definition reduced to what matters for serving: name "<plural>.<group>", UID equal to Hash, spec, accepted
	// names, and conditions of long ago. All resources of one Hash share it. Nil when Typed.
	CRD *apiextensionsv1.CustomResourceDefinition
	// Hash names the content of CRD; equal hashes mean equal behavior.
	Hash string
	// Bucket is the part of the storage key that keeps equal names apart: the identity hash, or LocalBucket.
	Bucket string
	// Binding is the name of the APIBinding behind the resource; empty for a local CustomResourceDefinition.
	Binding string
	// SchemaUID is the UID of the bound APIResourceSchema; empty for a local CustomResourceDefinition.
	SchemaUID string
	// Typed says that go-restful storage serves the resource; names, CRD and versions are known there.
	Typed bool
	// Terminating says that the resource is going away: no object may be created any more.
	Terminating bool
}

// GroupResource returns the group and plural name.
func (r *Resource) GroupResource() schema.GroupResource {
	return schema.GroupResource{Group: r.Group, Resource: r.Plural}
}

// Same reports whether r and other, either of which may be nil, show the same objects in the same way. A watch on r goes
// on only as long as this holds.
func (r *Resource) Same(other *Resource) bool {
	if r == nil || other == nil {
		return r == other
	}
	return r.Hash == other.Hash && r.Bucket == other.Bucket && r.Typed == other.Typed
}

// identity is the string under which r is shared.
func (r *Resource) identity() string {
	flags := "--"
	if r.Typed {
		flags = "t-"
	}
	if r.Terminating {
		flags = flags[:1] + "d"
	}
	return r.Plural + "." + r.Group + "|" + r.Hash + "|" + r.Bucket + "|" + r.Binding + "|" + r.SchemaUID + "|" + flags
}

// Snapshot is what a cluster serves beyond the built-in APIs at one moment. It is immutable and may be shared by clusters.
type Snapshot struct {
	resources []*Resource
	index     map[schema.GroupResource]*Resource
	hash      string
}

// NewSnapshot returns the snapshot of the given resources, of which no two may have the same group and plural name. It
// serves views that are not a cluster's, such as what one APIExport offers.
func NewSnapshot(resources ...*Resource) *Snapshot {
	s := &Snapshot{resources: slices.Clone(resources), index: make(map[schema.GroupResource]*Resource, len(resources))}
	slices.SortFunc(s.resources, func(a, b *Resource) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Plural, b.Plural))
	})
	shown := newDigest()
	for _, r := range s.resources {
		s.index[r.GroupResource()] = r
		shown.add(r.Group, r.Plural, r.Hash)
		shown.flag(r.Terminating)
	}
	s.hash = shown.sum()
	return s
}

// Lookup returns the resource called gr.
func (s *Snapshot) Lookup(gr schema.GroupResource) (*Resource, bool) {
	r, ok := s.index[gr]
	return r, ok
}

// Resources returns all resources by group and plural name. The slice is shared: do not change it.
func (s *Snapshot) Resources() []*Resource { return s.resources }

// Hash names all that discovery and OpenAPI show of the snapshot: resources, schemas, and which are terminating. Buckets and
// bindings are not part of it, so clusters that differ in these alone share their documents.
func (s *Snapshot) Hash() string { return s.hash }

// What parts of a snapshot take in bytes, names and maps included.
const (
	snapshotBytes = 256
	resourceBytes = 704
	// decoded is how much more a decoded definition takes than a serialized one.
	decoded = 8
)

// size returns about how many bytes s takes; see TestSnapshot_KnowsItsSize. Definitions of bound schemas are not among them,
// since all clusters that bind them share them.
func (s *Snapshot) size() int64 {
	bytes := snapshotBytes + resourceBytes*len(s.resources)
	for _, r := range s.resources {
		if r.Bucket == LocalBucket && r.CRD != nil {
			bytes += decoded * r.CRD.Size()
		}
	}
	return int64(bytes)
}
