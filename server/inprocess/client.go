package inprocess

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/annex-dev/annex/client"
)

// FieldManager owns the fields that the server itself writes.
const FieldManager = "annex"

// Config is what a client writes with.
type Config struct {
	Scheme *runtime.Scheme
	// TypeConverter tracks managed fields of all types; nil to track none.
	TypeConverter managedfields.TypeConverter
	// Admission sees every write, as user [UserName] of group system:masters; required.
	Admission admission.Interface
}

// Client implements client.Client: it reads as its Reader does, and writes. It is safe for concurrent use.
type Client struct {
	*Reader
	admission admission.Interface
	objects   admission.ObjectInterfaces
	user      user.Info
	// fields are the field managers by resource; none for a resource whose fields are not tracked.
	fields map[schema.GroupResource]trackers
}

// trackers record who writes which fields: of a write of the whole object, and of one that changes the status alone, which counts as a
// write of the subresource.
type trackers struct{ whole, status *managedfields.FieldManager }

var _ client.Client = &Client{}

// New returns a client that writes every resource that reader reads.
func New(reader *Reader, c Config) (*Client, error) {
	if c.Admission == nil {
		return nil, errors.New("building the client in the process: admission is needed")
	}
	fields := map[schema.GroupResource]trackers{}
	for gr, r := range reader.resources {
		if c.TypeConverter == nil {
			continue
		}
		hub := schema.GroupVersion{Group: gr.Group, Version: runtime.APIVersionInternal}
		var both trackers
		for subresource, manager := range map[string]**managedfields.FieldManager{"": &both.whole, "status": &both.status} {
			var err error
			*manager, err = managedfields.NewDefaultFieldManager(c.TypeConverter, c.Scheme, c.Scheme, c.Scheme, r.gvk, hub, subresource, nil)
			if err != nil {
				return nil, fmt.Errorf("building the field manager of %s: %w", gr, err)
			}
		}
		fields[gr] = both
	}
	return &Client{Reader: reader, admission: c.Admission, objects: admission.NewObjectInterfacesFromScheme(c.Scheme), user: itself, fields: fields}, nil
}

// As returns a client that writes as u would: admission decides about u, and nobody asks RBAC. It shares everything else with c.
func (c *Client) As(u user.Info) *Client {
	as := *c
	as.user = u
	return &as
}
