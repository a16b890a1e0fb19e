package catalog

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/storage"
)

// LocalBucket is the bucket of resources that come from a CustomResourceDefinition of the cluster itself.
const LocalBucket = storage.LocalBucket

// Resource is one resource that a cluster serves. It is immutable and shared by all clusters for which it is the same.
type Resource struct {
	Group, Plural, Singular, Kind, ListKind string
	ShortNames, Categories                  []string
	Namespaced                              bool

	// CRD is the definition reduced to what matters for serving: name "<plural>.<group>", UID equal to Hash, the rules of an APIConversion and
	// the validation of names in their annotations, spec, accepted names, and conditions of long ago. All resources of one Hash share it. Nil when Typed.
	CRD *apiextensionsv1.CustomResourceDefinition
	// Hash names the content of CRD; equal hashes mean equal behavior.
	Hash string
	// Bucket is the part of the storage key that keeps equal names apart: the identity hash, or LocalBucket.
	Bucket string
	// Binding is the name of the APIBinding behind the resource; empty for a local CustomResourceDefinition.
	Binding string
	// SchemaUID is the UID of the bound APIResourceSchema; empty for a local CustomResourceDefinition.
	SchemaUID string
	// Provider is the cluster of the bound APIResourceSchema, for which caches keep what is made of it; empty if that is not known.
	Provider logicalcluster.Name
	// Typed says that go-restful storage serves the resource; names, CRD and versions are known there.
	Typed bool
	// Virtual says that no object of the resource is stored in the cluster: who serves them is decided by the APIExport that the cluster has
	// the resource from. It has no Bucket, so that nobody stores any.
	Virtual bool
	// Terminating says that the resource is going away: no object may be created any more.
	Terminating bool
	// Verbs are those that a virtual workspace serves, of the resource and of its status; nil for all, and for all subresources.
	Verbs []string
	// StatusVerbs are those of the status if they are not Verbs; nil if they are.
	StatusVerbs []string
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
	return r.Hash == other.Hash && r.Bucket == other.Bucket && r.Typed == other.Typed && r.Virtual == other.Virtual
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
	if r.Virtual {
		flags += "v" + strings.Join(r.Verbs, ",")
	}
	return r.Plural + "." + r.Group + "|" + r.Hash + "|" + r.Bucket + "|" + r.Binding + "|" + r.SchemaUID + "|" + flags
}

// Snapshot is what a cluster serves beyond the built-in APIs at one moment. It is immutable. Clusters that serve the same share all
// of it but the owners.
type Snapshot struct {
	*content
	owners owners
}

// content is what clusters share of a snapshot.
type content struct {
	resources []*Resource
	index     map[schema.GroupResource]*Resource
	hash      string
}

// owners are the APIBindings and CustomResourceDefinitions by which a cluster serves resources.
type owners map[schema.GroupResource]*owner

// owner is one of them. All resources of an APIBinding share it.
type owner struct {
	uid    types.UID
	source Source // of an APIBinding
}

// Source is where a bound resource comes from.
type Source struct {
	// Export is the APIExport. Its cluster is empty if the APIBinding does not say which one it was bound from.
	Export client.Key
	// Limited says that the APIExport had a maximal permission policy when the controller of bindings last saw it.
	Limited bool
}

// NewSnapshot returns the snapshot of the given resources, of which no two may have the same group and plural name. It
// serves views that are not a cluster's, such as what one APIExport offers.
func NewSnapshot(resources ...*Resource) *Snapshot { return &Snapshot{content: newContent(resources)} }

// With returns a snapshot that also has the given resources, which replace those of the same name. Nobody owns them.
func (s *Snapshot) With(resources ...*Resource) *Snapshot {
	added, all, kept := newContent(resources), slices.Clone(resources), maps.Clone(s.owners)
	for _, r := range s.resources {
		if gr := r.GroupResource(); added.index[gr] == nil {
			all = append(all, r)
		} else {
			delete(kept, gr)
		}
	}
	return &Snapshot{content: newContent(all), owners: kept}
}

func newContent(resources []*Resource) *content {
	s := &content{resources: slices.Clone(resources), index: make(map[schema.GroupResource]*Resource, len(resources))}
	slices.SortFunc(s.resources, func(a, b *Resource) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Plural, b.Plural))
	})
	shown := newDigest()
	for _, r := range s.resources {
		s.index[r.GroupResource()] = r
		shown.add(r.Group, r.Plural, r.Hash)
		shown.flag(r.Terminating)
		if r.Verbs != nil {
			shown.add(r.Verbs...)
			shown.flag(true)
		}
		if r.StatusVerbs != nil {
			shown.add(r.StatusVerbs...)
			shown.flag(false)
		}
	}
	s.hash = shown.sum()
	return s
}

// Lookup returns the resource called gr.
func (s *Snapshot) Lookup(gr schema.GroupResource) (*Resource, bool) {
	r, ok := s.index[gr]
	return r, ok
}

// Owner returns the object by which the cluster serves gr. What is created of gr belongs to it. False for a resource that nothing in
// the cluster stands for.
func (s *Snapshot) Owner(gr schema.GroupResource) (storage.Owner, bool) {
	r, o := s.index[gr], s.owners[gr]
	switch {
	case r == nil || o == nil:
		return storage.Owner{}, false
	case r.Binding != "":
		return storage.Owner{Resource: bindingsResource, Name: r.Binding, UID: o.uid}, true
	}
	return storage.Owner{Resource: definitionsResource, Name: gr.String(), UID: o.uid}, true
}

// Source returns where the cluster has gr from; false for a resource that it has not bound.
func (s *Snapshot) Source(gr schema.GroupResource) (Source, bool) {
	r, o := s.index[gr], s.owners[gr]
	if r == nil || o == nil || r.Binding == "" {
		return Source{}, false
	}
	return o.source, true
}

// Served is a resource as one cluster serves it. Owner is the zero value if nothing in the cluster stands for the resource, and Source if
// the resource is not bound.
type Served struct {
	*Resource
	Owner  storage.Owner
	Source Source
}

// Served returns how the cluster serves gr.
func (s *Snapshot) Served(gr schema.GroupResource) (*Served, bool) {
	r, ok := s.Lookup(gr)
	if !ok {
		return nil, false
	}
	owner, _ := s.Owner(gr)
	source, _ := s.Source(gr)
	return &Served{Resource: r, Owner: owner, Source: source}, true
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
	ownBytes      = 64
	ownerBytes    = 208
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

// own returns about how many bytes s takes that it does not share with snapshots of other clusters.
func (s *Snapshot) own() int64 { return int64(ownBytes + ownerBytes*len(s.owners)) }

// shared returns the part of s that size is about.
func (s *Snapshot) shared() any { return s.content }
