package hostbinding

import (
	"slices"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/annex/mapping"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
)

// projection is what one HostBinding projects. It is immutable.
type projection struct {
	key      client.Key
	export   client.Key
	identity string
	mapping  mapping.Mapping
	// byHost is whether the host's word is enough.
	byHost bool
	create *annexv1alpha1.HostBindingCreate
	// versions are those that are projected.
	versions []schema.GroupVersion
	// resources are those that can be reached, as the export offers them now.
	resources map[schema.GroupResource]*catalog.Resource
	// shown are the same, with the versions that are projected and no others.
	shown []*catalog.Resource
}

// same reports whether requests for other are served as those for p.
func (p *projection) same(other *projection) bool {
	if p.key != other.key || p.export != other.export || p.identity != other.identity || p.mapping.String() != other.mapping.String() ||
		p.byHost != other.byHost || !apiequality.Semantic.DeepEqual(p.create, other.create) || !slices.Equal(p.versions, other.versions) || len(p.resources) != len(other.resources) {
		return false
	}
	for gr, resource := range p.resources {
		if !resource.Same(other.resources[gr]) {
			return false
		}
	}
	return true
}

// reference names the export for people.
func (p *projection) reference() string { return p.export.Cluster.String() + ":" + p.export.Name }

// set is all projections at one moment.
type set struct {
	versions map[schema.GroupVersion]*projection
	groups   map[string]bool
	// all are the projections in the order in which they were asked for.
	all []*projection
	// shown is what discovery shows: what the host forwards anyway, and everything projected.
	shown *catalog.Snapshot
}

// newSet returns the set of projections in their order, in addition to own: of two that claim a group version, the first has it.
func newSet(all []*projection, own []*catalog.Resource) *set {
	s := &set{versions: map[schema.GroupVersion]*projection{}, groups: map[string]bool{}, all: all}
	for _, p := range all {
		for _, gv := range p.versions {
			if s.versions[gv] == nil {
				s.versions[gv] = p
				s.groups[gv.Group] = true
			}
		}
	}
	resources := slices.Clone(own)
	taken := map[schema.GroupResource]bool{}
	for _, r := range own {
		taken[r.GroupResource()] = true
	}
	for _, p := range s.all {
		for _, r := range p.shown {
			if gr := r.GroupResource(); !taken[gr] {
				taken[gr] = true
				resources = append(resources, r)
			}
		}
	}
	s.shown = catalog.NewSnapshot(resources...)
	return s
}
