package scheme

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
)

// Scheme is the runtime.Scheme of the server beside what is derived from it. It does not change after New and may be used
// by many goroutines.
type Scheme struct {
	// Scheme knows every kind in its served versions and as __internal, with defaults and conversions.
	Scheme *runtime.Scheme
	// Codecs negotiates JSON, YAML, CBOR and protobuf for clients.
	Codecs serializer.CodecFactory
	// ParameterCodec reads query parameters.
	ParameterCodec runtime.ParameterCodec

	resources map[schema.GroupResource]row
}

// New returns the scheme of the server. It fails by panic only if the tables of this package contradict each other, which
// no input can bring about, as with regexp.MustCompile.
func New() *Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		addKubernetes, addOurs, addDefaults, addFieldLabels, addEventConversions,
	} {
		utilruntime.Must(add(s))
	}
	known := make(map[schema.GroupResource]row)
	for _, r := range resources() {
		internal := schema.GroupVersion{Group: r.group, Version: runtime.APIVersionInternal}
		if !r.ownInternal {
			s.AddKnownTypes(internal, r.object, r.list)
		}
		known[schema.GroupResource{Group: r.group, Resource: r.name}] = r
	}
	for _, r := range unstored() {
		s.AddKnownTypes(schema.GroupVersion{Group: r.group, Version: runtime.APIVersionInternal}, r.objects...)
	}
	return &Scheme{
		Scheme:         s,
		Codecs:         serializer.NewCodecFactory(s),
		ParameterCodec: runtime.NewParameterCodec(s),
		resources:      known,
	}
}
