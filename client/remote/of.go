package remote

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/client"
)

// Form says what objects are read as.
type Form int

const (
	// Typed is the Go type in the scheme.
	Typed Form = iota
	// Unstructured is *unstructured.Unstructured.
	Unstructured
	// Metadata is *metav1.PartialObjectMetadata: the server sends nothing else.
	Metadata
)

// Of returns a reader of one resource, in the version and the form that the caller wants, of which New chooses others.
func (c *Client) Of(gvr schema.GroupVersionResource, kind string, form Form) (client.Reader, error) {
	var r *resource
	var err error
	gvk := gvr.GroupVersion().WithKind(kind)
	switch form {
	case Metadata:
		r, err = c.metadata(gvr)
	case Unstructured:
		r, err = c.prepare(gvr, gvk, nil)
	default:
		r, err = c.prepare(gvr, gvk, c.scheme)
	}
	if err != nil {
		return nil, err
	}
	return &Client{
		config: c.config, http: c.http, discovery: c.discovery, scheme: c.scheme, codecs: c.codecs,
		resources: map[schema.GroupResource]*resource{gvr.GroupResource(): r},
	}, nil
}

// metadata returns a resource whose objects are read as metadata.
func (c *Client) metadata(gvr schema.GroupVersionResource) (*resource, error) {
	scheme := runtime.NewScheme()
	utilruntime.Must(metav1.AddMetaToScheme(scheme))
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"}) // what errors are
	config := rest.CopyConfig(c.config)
	config.AcceptContentTypes = accepts("PartialObjectMetadata")
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	kind := schema.GroupVersionKind{Group: metav1.GroupName, Version: "v1", Kind: "PartialObjectMetadata"}
	return c.connect(config, &resource{gvr: gvr, gvk: kind, scheme: scheme, listAs: accepts("PartialObjectMetadataList")})
}

// accepts asks for an answer of another kind than the server has.
func accepts(kind string) string {
	return runtime.ContentTypeJSON + ";as=" + kind + ";g=" + metav1.GroupName + ";v=v1"
}
