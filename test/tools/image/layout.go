package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// layout collects the blobs of an OCI image layout, in memory: two compressed layers are some tens of MiB.
type layout struct {
	created time.Time
	blobs   map[string][]byte // by digest
}

func newLayout(created time.Time) *layout {
	return &layout{created: created, blobs: map[string][]byte{}}
}

// addImage adds the image of every binary and the index over them, to which it returns the descriptor.
func (l *layout) addImage(r release, binaries []*binary) (descriptor, error) {
	index := imageIndex{SchemaVersion: 2, MediaType: mediaTypeIndex, Annotations: r.labels(binaries[0])}
	for _, b := range binaries {
		manifest, err := l.addPlatform(r, b)
		if err != nil {
			return descriptor{}, fmt.Errorf("making the image for %s: %w", b.platform(), err)
		}
		index.Manifests = append(index.Manifests, manifest)
	}
	return l.addJSON(mediaTypeIndex, index)
}

func (l *layout) addPlatform(r release, b *binary) (descriptor, error) {
	layer, diffID, err := makeLayer(b, r)
	if err != nil {
		return descriptor{}, err
	}
	config, err := l.addJSON(mediaTypeConfig, newImageConfig(b, r, diffID))
	if err != nil {
		return descriptor{}, err
	}
	manifest, err := l.addJSON(mediaTypeManifest, imageManifest{
		SchemaVersion: 2, MediaType: mediaTypeManifest,
		Config: config, Layers: []descriptor{l.add(mediaTypeLayer, layer)},
		Annotations: r.labels(b),
	})
	p := b.platform()
	manifest.Platform = &p
	return manifest, err
}

func (l *layout) add(mediaType string, content []byte) descriptor {
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(content))
	l.blobs[digest] = content
	return descriptor{MediaType: mediaType, Digest: digest, Size: int64(len(content))}
}

func (l *layout) addJSON(mediaType string, value any) (descriptor, error) {
	content, err := json.Marshal(value)
	if err != nil {
		return descriptor{}, fmt.Errorf("encoding %s: %w", mediaType, err)
	}
	return l.add(mediaType, content), nil
}

// write writes the layout as a tar in which image is called reference.
func (l *layout) write(w io.Writer, image descriptor, reference string) error {
	image.Annotations = map[string]string{annotationReference: reference}
	index, err := json.Marshal(imageIndex{SchemaVersion: 2, MediaType: mediaTypeIndex, Manifests: []descriptor{image}})
	if err != nil {
		return fmt.Errorf("encoding index.json: %w", err)
	}
	entries := []entry{
		fileEntry("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)),
		fileEntry("index.json", index),
		directoryEntry("blobs"),
		directoryEntry("blobs/sha256"),
	}
	for _, digest := range slices.Sorted(maps.Keys(l.blobs)) {
		entries = append(entries, fileEntry("blobs/"+strings.Replace(digest, ":", "/", 1), l.blobs[digest]))
	}
	return writeTar(w, l.created, entries)
}
