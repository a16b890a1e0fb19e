package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/annex-dev/annex/test/tools/artifact"
	"github.com/annex-dev/annex/test/tools/oci"
)

// Media types that Helm pulls: the config is Chart.yaml as JSON, the layer is the package.
const (
	mediaTypeChartConfig  = "application/vnd.cncf.helm.config.v1+json"
	mediaTypeChartContent = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// metadata is what the release reads of Chart.yaml.
type metadata struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	AppVersion  string `json:"appVersion"`
	Description string `json:"description"`
	Home        string `json:"home"`
}

// addChart writes the chart twice: for helm install from a file, and to push to a registry.
func (r *release) addChart() error {
	packaged, err := os.ReadFile(r.chart)
	if err != nil {
		return err
	}
	entries, manifest, err := chartEntries(packaged)
	if err != nil {
		return fmt.Errorf("reading %s: %w", r.chart, err)
	}
	var m metadata
	if err := yaml.Unmarshal(manifest, &m); err != nil {
		return fmt.Errorf("reading Chart.yaml: %w", err)
	}
	if m.Version != r.bare() || m.AppVersion != r.bare() {
		return fmt.Errorf("%s is version %s for %s, want %s for both", r.chart, m.Version, m.AppVersion, r.bare())
	}
	// Helm notes the time in each entry.
	var again bytes.Buffer
	if err := artifact.WriteTarGzip(&again, r.created, entries); err != nil {
		return err
	}
	config, err := yaml.YAMLToJSON(manifest)
	if err != nil {
		return fmt.Errorf("reading Chart.yaml: %w", err)
	}
	l := oci.NewLayout(r.created)
	root, err := l.AddJSON(oci.MediaTypeManifest, oci.Manifest{
		SchemaVersion: 2, MediaType: oci.MediaTypeManifest,
		Config:      l.Add(mediaTypeChartConfig, config),
		Layers:      []oci.Descriptor{l.Add(mediaTypeChartContent, again.Bytes())},
		Annotations: m.annotations(r.created, r.revision),
	})
	if err != nil {
		return err
	}
	if err := r.addContent(r.chartFile(), "the Helm chart", again.Bytes()); err != nil {
		return err
	}
	return r.add(r.chartArchive(), "the Helm chart, as an OCI archive", func(w io.Writer) error { return l.Write(w, root, r.bare()) })
}

func (r *release) chartFile() string { return "annex-" + r.bare() + ".tgz" }

func (r *release) chartArchive() string { return "annex-chart-" + r.version + ".tar" }

func (m metadata) annotations(created time.Time, revision string) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":       m.Name,
		"org.opencontainers.image.version":     m.Version,
		"org.opencontainers.image.description": m.Description,
		"org.opencontainers.image.url":         m.Home,
		"org.opencontainers.image.source":      artifact.ProjectURL,
		"org.opencontainers.image.licenses":    artifact.License,
		"org.opencontainers.image.revision":    revision,
		"org.opencontainers.image.created":     created.Format(time.RFC3339),
	}
}

// chartEntries returns the files of a package in their order, which Helm has sorted, and Chart.yaml among them.
func chartEntries(packaged []byte) (entries []artifact.Entry, manifest []byte, err error) {
	plain, err := gzip.NewReader(bytes.NewReader(packaged))
	if err != nil {
		return nil, nil, err
	}
	for files := tar.NewReader(plain); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		if header.Typeflag != tar.TypeReg {
			return nil, nil, fmt.Errorf("%s is no file", header.Name)
		}
		content, err := io.ReadAll(files)
		if err != nil {
			return nil, nil, err
		}
		if path.Base(header.Name) == "Chart.yaml" && strings.Count(header.Name, "/") == 1 {
			manifest = content
		}
		entries = append(entries, artifact.File(header.Name, content))
	}
	if manifest == nil {
		return nil, nil, errors.New("it has no Chart.yaml")
	}
	return entries, manifest, nil
}
