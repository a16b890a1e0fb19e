package kinds

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
)

// Scheme is the runtime.Scheme of a table and what is derived from it. It does not change and may be used by many goroutines.
type Scheme struct {
	// Scheme knows every kind in its served versions and as __internal, with defaults and conversions.
	Scheme *runtime.Scheme
	// Codecs negotiates JSON, YAML, CBOR and protobuf for clients.
	Codecs serializer.CodecFactory
	// ParameterCodec reads query parameters.
	ParameterCodec runtime.ParameterCodec

	table *Table
}

// NewScheme returns the scheme of the table. It panics only if rows contradict each other, which no input can bring about, as
// with regexp.MustCompile.
func (t *Table) NewScheme() *Scheme {
	s := runtime.NewScheme()
	for i := range t.groups {
		utilruntime.Must(t.groups[i].register(s))
	}
	return &Scheme{Scheme: s, Codecs: serializer.NewCodecFactory(s), ParameterCodec: runtime.NewParameterCodec(s), table: t}
}

func (g *Group) register(s *runtime.Scheme) error {
	for _, add := range g.Register {
		if err := add(s); err != nil {
			return fmt.Errorf("registering the kinds of group %q: %w", g.Name, err)
		}
	}
	internal := schema.GroupVersion{Group: g.Name, Version: runtime.APIVersionInternal}
	s.AddKnownTypes(internal, g.Carried...)
	var versions []schema.GroupVersion
	for _, version := range g.versions() {
		versions = append(versions, schema.GroupVersion{Group: g.Name, Version: version})
	}
	if len(versions) == 0 {
		return nil
	}
	for i := range g.Rows {
		if row := &g.Rows[i]; !g.Internal {
			s.AddKnownTypes(internal, row.Object)
			if row.List != nil {
				s.AddKnownTypes(internal, row.List)
			}
		}
	}
	return s.SetVersionPriority(versions...)
}

// StorageCodec returns the codec that encodes objects of a resource as they are stored, and decodes them into the internal type.
// A resource that is not stored as typed objects is an error.
func (s *Scheme) StorageCodec(gr schema.GroupResource) (runtime.Codec, error) {
	row, known := s.table.rows[gr]
	if !known || row.MediaType == "" {
		return nil, fmt.Errorf("making a storage codec: %s is not a resource that this server stores", gr)
	}
	codec, _, err := serverstorage.NewStorageCodec(serverstorage.StorageCodecConfig{
		StorageMediaType:  row.MediaType,
		StorageSerializer: s.Codecs,
		StorageVersion:    row.GroupVersion(),
		MemoryVersion:     schema.GroupVersion{Group: gr.Group, Version: runtime.APIVersionInternal},

		DecoderDecoratorFn: s.stored,
	})
	if err != nil {
		return nil, fmt.Errorf("making a storage codec for %s: %w", gr, err)
	}
	return codec, nil
}
