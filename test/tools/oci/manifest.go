package oci

import "github.com/annex-dev/annex/test/tools/artifact"

// Media types of what an image is made of.
const (
	MediaTypeIndex    = "application/vnd.oci.image.index.v1+json"
	MediaTypeManifest = "application/vnd.oci.image.manifest.v1+json"
	MediaTypeConfig   = "application/vnd.oci.image.config.v1+json"
	MediaTypeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// AnnotationReference is how the one image of a layout is called: tools take it as ARCHIVE:REFERENCE.
const AnnotationReference = "org.opencontainers.image.ref.name"

// Descriptor points at a blob.
type Descriptor struct {
	MediaType   string             `json:"mediaType"`
	Digest      string             `json:"digest"` // sha256:<hex>
	Size        int64              `json:"size"`   // bytes
	Platform    *artifact.Platform `json:"platform,omitempty"`
	Annotations map[string]string  `json:"annotations,omitempty"`
}

// Manifest is the image of one platform.
type Manifest struct {
	SchemaVersion int               `json:"schemaVersion"` // always 2
	MediaType     string            `json:"mediaType"`
	Config        Descriptor        `json:"config"`
	Layers        []Descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// Index lists images: those of the platforms of one, or those of a layout.
type Index struct {
	SchemaVersion int               `json:"schemaVersion"` // always 2
	MediaType     string            `json:"mediaType"`
	Manifests     []Descriptor      `json:"manifests"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}
