package main

import (
	"fmt"

	"github.com/annex-dev/annex/test/tools/artifact"
	"github.com/annex-dev/annex/test/tools/oci"
)

// addImage adds the image of every binary and the index over them, to which it returns the descriptor.
func addImage(l *oci.Layout, r release, binaries []*artifact.Binary) (oci.Descriptor, error) {
	index := oci.Index{SchemaVersion: 2, MediaType: oci.MediaTypeIndex, Annotations: r.labels(binaries[0])}
	for _, b := range binaries {
		manifest, err := addPlatform(l, r, b)
		if err != nil {
			return oci.Descriptor{}, fmt.Errorf("making the image for %s: %w", b.Platform(), err)
		}
		index.Manifests = append(index.Manifests, manifest)
	}
	return l.AddJSON(oci.MediaTypeIndex, index)
}

func addPlatform(l *oci.Layout, r release, b *artifact.Binary) (oci.Descriptor, error) {
	layer, diffID, err := makeLayer(b, r)
	if err != nil {
		return oci.Descriptor{}, err
	}
	config, err := l.AddJSON(oci.MediaTypeConfig, newImageConfig(b, r, diffID))
	if err != nil {
		return oci.Descriptor{}, err
	}
	manifest, err := l.AddJSON(oci.MediaTypeManifest, oci.Manifest{
		SchemaVersion: 2, MediaType: oci.MediaTypeManifest,
		Config: config, Layers: []oci.Descriptor{l.Add(oci.MediaTypeLayer, layer)},
		Annotations: r.labels(b),
	})
	p := b.Platform()
	manifest.Platform = &p
	return manifest, err
}
