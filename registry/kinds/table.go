package kinds

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// All is the table of the server.
var All = NewTable(slices.Concat(kubernetesGroups(), ourGroups())...)

// Table knows groups and their rows. It does not change and may be used by many goroutines.
type Table struct {
	groups []Group
	rows   map[schema.GroupResource]*Row
	stored map[reflect.Type]*Row
}

// NewTable returns the table of groups.
func NewTable(groups ...Group) *Table {
	t := &Table{groups: groups, rows: map[schema.GroupResource]*Row{}, stored: map[reflect.Type]*Row{}}
	for i := range groups {
		g := &groups[i]
		g.Rows = slices.Clone(g.Rows)
		for j := range g.Rows {
			row := &g.Rows[j]
			row.group = g.Name
			t.rows[row.GroupResource()] = row
			if row.MediaType != "" {
				t.stored[reflect.TypeOf(row.Object)] = row
			}
		}
	}
	return t
}

// Rows returns the rows of all groups, in the order of the table.
func (t *Table) Rows() []*Row {
	var all []*Row
	for i := range t.groups {
		for j := range t.groups[i].Rows {
			all = append(all, &t.groups[i].Rows[j])
		}
	}
	return all
}

func (t *Table) where(match func(*Row) bool) []*Row {
	return slices.DeleteFunc(t.Rows(), func(r *Row) bool { return !match(r) })
}

func (t *Table) is(gr schema.GroupResource, match func(*Row) bool) bool {
	row, known := t.rows[gr]
	return known && match(row)
}

// IsEverywhere reports whether every workspace serves gr, from storage of the process itself.
func (t *Table) IsEverywhere(gr schema.GroupResource) bool {
	return t.is(gr, func(r *Row) bool { return r.Serving == Everywhere })
}

// IsBound reports whether the process stores gr but a workspace serves it only while its snapshot of the catalog holds it:
// while the workspace binds it or, for some, is the host workspace.
func (t *Table) IsBound(gr schema.GroupResource) bool {
	return t.is(gr, func(r *Row) bool { return r.Serving != Everywhere })
}

// Row returns the row of gr; nil if there is none.
func (t *Table) Row(gr schema.GroupResource) *Row { return t.rows[gr] }

// StoredAs returns the row under which the process stores objects that are served as gvk; nil if it stores none.
func (t *Table) StoredAs(gvk schema.GroupVersionKind) *Row {
	for _, row := range t.Rows() {
		if row.group == gvk.Group && row.Kind() == gvk.Kind && slices.Contains(row.Versions, gvk.Version) {
			return t.stored[reflect.TypeOf(row.Object)]
		}
	}
	return nil
}

// IsApart reports whether gr may be in another etcd than the rest; see [Row].
func (t *Table) IsApart(gr schema.GroupResource) bool {
	return t.is(gr, func(r *Row) bool { return r.Apart })
}

// Apart returns the rows of resources that may be in another etcd than the rest.
func (t *Table) Apart() []*Row { return t.where(func(r *Row) bool { return r.Apart }) }

// IsStatusByServer reports whether nobody but the server writes the status of gr.
func (t *Table) IsStatusByServer(gr schema.GroupResource) bool {
	return t.is(gr, func(r *Row) bool { return r.Status == ByServer })
}

// HasStatus reports whether objects of gr have a status.
func (t *Table) HasStatus(gr schema.GroupResource) bool {
	return t.is(gr, func(r *Row) bool { return r.Status != NoStatus })
}

// IsWhereBound reports whether the process stores gr and a workspace serves it while it binds an export of root.
func (t *Table) IsWhereBound(gr schema.GroupResource) bool {
	return t.is(gr, func(r *Row) bool { return r.Serving == WhereBound })
}

// IsInHostWorkspace reports whether the host workspace serves gr, and no other.
func (t *Table) IsInHostWorkspace(gr schema.GroupResource) bool {
	return t.is(gr, func(r *Row) bool { return r.Serving == InHostWorkspace })
}

// HasHostNamespaces reports whether a namespace of gr is one of the host, where the workspace is the host workspace.
func (t *Table) HasHostNamespaces(gr schema.GroupResource) bool {
	return t.is(gr, func(r *Row) bool { return r.HostNamespaces })
}

// IsPlain reports whether objects of gr cannot be encoded as protobuf, as those of our own groups.
func (t *Table) IsPlain(gr schema.GroupResource) bool {
	return t.is(gr, func(r *Row) bool {
		_, generated := r.Object.(interface{ MarshalToSizedBuffer([]byte) (int, error) })
		return !generated && r.MediaType != runtime.ContentTypeProtobuf
	})
}

// Exported returns what root exports.
func (t *Table) Exported() []*Row { return t.where(func(r *Row) bool { return r.Export != "" }) }

// IsReserved reports whether nobody but the server may define resources of group in cluster. The server's own clusters may
// define everything. root publishes the schemas of a group of which it exports something; such a group is reserved alone, all
// others together with the groups below them.
func (t *Table) IsReserved(group string, cluster logicalcluster.Name) bool {
	if cluster.IsSystem() {
		return false
	}
	return slices.ContainsFunc(t.groups, func(g Group) bool {
		switch {
		case g.Open:
			return false
		case slices.ContainsFunc(g.Rows, func(r Row) bool { return r.Export != "" }):
			return group == g.Name && cluster != logicalcluster.Root
		}
		return group == g.Name || strings.HasSuffix(group, "."+g.Name)
	})
}

// IsHosted reports whether the host cluster forwards requests for group.
func (t *Table) IsHosted(group string) bool {
	return slices.ContainsFunc(t.groups, func(g Group) bool { return g.Host && g.Name == group })
}

// Hosted returns the resources of the groups that the host cluster forwards.
func (t *Table) Hosted() []*Row { return t.where(func(r *Row) bool { return t.IsHosted(r.group) }) }

// Served is a group version with the kinds of its resources.
type Served struct {
	schema.GroupVersion
	// Kinds are sorted.
	Kinds []string
}

// HostVersions returns the group versions that the host cluster forwards. Groups are sorted by name, and the preferred version of
// a group comes first.
func (t *Table) HostVersions() []Served {
	var all []Served
	for i := range t.groups {
		g := &t.groups[i]
		if !g.Host {
			continue
		}
		for _, version := range g.versions() {
			served := Served{GroupVersion: schema.GroupVersion{Group: g.Name, Version: version}}
			for j := range g.Rows {
				if slices.Contains(g.Rows[j].Versions, version) {
					served.Kinds = append(served.Kinds, g.Rows[j].Kind())
				}
			}
			slices.Sort(served.Kinds)
			all = append(all, served)
		}
	}
	slices.SortStableFunc(all, func(a, b Served) int { return cmp.Compare(a.Group, b.Group) })
	return all
}

// versions returns the served versions of the group, the preferred one first: stable before beta before alpha, and newer before
// older.
func (g *Group) versions() []string {
	var all []string
	for i := range g.Rows {
		all = append(all, g.Rows[i].Versions...)
	}
	slices.SortFunc(all, func(a, b string) int { return -version.CompareKubeAwareVersionStrings(a, b) })
	return slices.Compact(all)
}
