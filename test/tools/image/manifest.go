package main

// Media types of what an image is made of.
const (
	mediaTypeIndex    = "application/vnd.oci.image.index.v1+json"
	mediaTypeManifest = "application/vnd.oci.image.manifest.v1+json"
	mediaTypeConfig   = "application/vnd.oci.image.config.v1+json"
	mediaTypeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// annotationReference is how the one image of a layout is called: tools take it as ARCHIVE:REFERENCE.
const annotationReference = "org.opencontainers.image.ref.name"

// platform is what a container runtime picks an image by, in Go's words.
type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

// String returns such as linux/arm64.
func (p platform) String() string { return p.OS + "/" + p.Architecture }

// descriptor points at a blob.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"` // sha256:<hex>
	Size        int64             `json:"size"`   // bytes
	Platform    *platform         `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// imageManifest is the image of one platform.
type imageManifest struct {
	SchemaVersion int               `json:"schemaVersion"` // always 2
	MediaType     string            `json:"mediaType"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// imageIndex lists images: those of the platforms of one, or those of a layout.
type imageIndex struct {
	SchemaVersion int               `json:"schemaVersion"` // always 2
	MediaType     string            `json:"mediaType"`
	Manifests     []descriptor      `json:"manifests"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}
