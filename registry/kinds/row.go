package kinds

import (
	"reflect"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is what there is to know of an API group that the process serves.
type Group struct {
	// Name is the API group, empty for the core group.
	Name string
	// Register adds the Go types of every version to a scheme, with their defaults, conversions and field labels.
	Register []func(*runtime.Scheme) error
	// Internal says that Register adds internal types that differ from those of the served versions.
	Internal bool
	// Carried are kinds that requests carry although no resource of the group is one of them.
	Carried []runtime.Object
	// Host says that the host cluster forwards the group.
	Host bool
	// Open says that anybody may define resources in the group. If not, only the server does, in it and in the groups below it
	// such as internal.apis.kcp.io; and root does, if it exports a resource of the group.
	Open bool
	Rows []Row
}

// Row is what there is to know of one resource. Values of the table are shared: nobody changes them.
type Row struct {
	// Resource is the lower-case plural, for example workspaces.
	Resource string
	Singular string
	// ShortNames are those that kubectl accepts. Categories are names under which kubectl lists many resources, such as kcp.
	ShortNames, Categories []string
	Namespaced             bool
	// Versions are those that are served. Objects are stored in the first one.
	Versions []string
	// Object and List are empty values of the Go types; List is nil for what cannot be listed.
	Object, List runtime.Object
	// MediaType is how objects are stored, for example application/json; empty for what is not stored under this name.
	MediaType string
	// Apart says that objects may be in another etcd than the rest: nothing belongs to them, nothing is derived from them and from others
	// at one revision, and no workspace contains one that is not stored.
	Apart bool
	// Serving says in which workspaces the resource is served.
	Serving Serving
	// HostNamespaces says that in the host workspace, a namespace of such objects is the namespace of the host that has the same name.
	HostNamespaces bool
	// Export is the name of root's APIExport through which workspaces bind the resource; empty for none.
	Export string
	// Status says who writes the status.
	Status Status
	// Columns are what kubectl get shows after the name. Nil if [Kind.Cells] makes them, or if the age is enough.
	Columns []apiextensionsv1.CustomResourceColumnDefinition

	group string
}

// Serving says in which workspaces a resource is served.
type Serving int

const (
	// Nowhere is for resources that no workspace serves.
	Nowhere Serving = iota
	// Everywhere is for resources that every workspace serves, whatever it binds.
	Everywhere
	// WhereBound is for resources that a workspace serves while it binds an export of root.
	WhereBound
	// InHostWorkspace is for resources that only the workspace serves which the host shows as its own. Nobody binds them: they
	// are about the host, and the owner of that workspace is who runs the server.
	InHostWorkspace
)

// Status says who writes the status of objects.
type Status int

const (
	// ByServer is for kinds whose status the server decides by: it refuses every other writer, whatever RBAC allows.
	ByServer Status = iota
	// ByUsers is for kinds whose status may be written by whoever RBAC allows to.
	ByUsers
	// NoStatus is for kinds without a status.
	NoStatus
)

// GroupResource returns, for example, {tenancy.kcp.io workspaces}.
func (r *Row) GroupResource() schema.GroupResource {
	return schema.GroupResource{Group: r.group, Resource: r.Resource}
}

// GroupVersion returns the version in which objects are stored.
func (r *Row) GroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: r.group, Version: r.Versions[0]}
}

// Kind returns, for example, Workspace.
func (r *Row) Kind() string { return reflect.TypeOf(r.Object).Elem().Name() }
