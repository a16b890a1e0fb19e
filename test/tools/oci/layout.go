package oci

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/annex-dev/annex/test/tools/artifact"
)

// Layout collects the blobs of an OCI image layout, in memory: two compressed layers are some tens of MiB.
type Layout struct {
	created time.Time
	blobs   map[string][]byte // by digest
}

// NewLayout returns an empty layout whose files all bear the same time.
func NewLayout(created time.Time) *Layout {
	return &Layout{created: created, blobs: map[string][]byte{}}
}

// Add adds a blob.
func (l *Layout) Add(mediaType string, content []byte) Descriptor {
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(content))
	l.blobs[digest] = content
	return Descriptor{MediaType: mediaType, Digest: digest, Size: int64(len(content))}
}

// AddJSON adds a blob that holds value.
func (l *Layout) AddJSON(mediaType string, value any) (Descriptor, error) {
	content, err := json.Marshal(value)
	if err != nil {
		return Descriptor{}, fmt.Errorf("encoding %s: %w", mediaType, err)
	}
	return l.Add(mediaType, content), nil
}

// Write writes the layout as a tar in which root is called reference.
func (l *Layout) Write(w io.Writer, root Descriptor, reference string) error {
	root.Annotations = map[string]string{AnnotationReference: reference}
	index, err := json.Marshal(Index{SchemaVersion: 2, MediaType: MediaTypeIndex, Manifests: []Descriptor{root}})
	if err != nil {
		return fmt.Errorf("encoding index.json: %w", err)
	}
	entries := []artifact.Entry{
		artifact.File("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)),
		artifact.File("index.json", index),
		artifact.Directory("blobs"),
		artifact.Directory("blobs/sha256"),
	}
	for _, digest := range slices.Sorted(maps.Keys(l.blobs)) {
		entries = append(entries, artifact.File("blobs/"+strings.Replace(digest, ":", "/", 1), l.blobs[digest]))
	}
	return artifact.WriteTar(w, l.created, entries)
}
