package scheme

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
)

// StorageCodec returns the codec that turns objects of the resource into what lies in etcd, and back into the internal
// type: protobuf for kinds of k8s.io/api and CustomResourceDefinitions, JSON for our own. Resources that are not stored as
// typed objects are an error.
func (s *Scheme) StorageCodec(gr schema.GroupResource) (runtime.Codec, error) {
	r, ok := s.resources[gr]
	if !ok {
		return nil, fmt.Errorf("making a storage codec: %s is not a resource of this server", gr)
	}
	codec, _, err := serverstorage.NewStorageCodec(serverstorage.StorageCodecConfig{
		StorageMediaType:  r.mediaType,
		StorageSerializer: s.Codecs,
		StorageVersion:    schema.GroupVersion{Group: r.group, Version: r.version},
		MemoryVersion:     schema.GroupVersion{Group: r.group, Version: runtime.APIVersionInternal},
	})
	if err != nil {
		return nil, fmt.Errorf("making a storage codec for %s: %w", gr, err)
	}
	return codec, nil
}

// Resources returns every resource that StorageCodec knows, in no particular order.
func (s *Scheme) Resources() []schema.GroupResource {
	out := make([]schema.GroupResource, 0, len(s.resources))
	for gr := range s.resources {
		out = append(out, gr)
	}
	return out
}
