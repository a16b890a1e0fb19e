package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"go/format"
	"os"
	"path"
	"text/template"
)

//go:embed clusters.go.tmpl
var clustersSource string

var clustersTemplate = template.Must(template.New("clusters").Parse(clustersSource))

// clusters writes the package that gives the clientset a cluster.
func clusters(j *job) error {
	header := ""
	if j.header != "" {
		data, err := os.ReadFile(j.header)
		if err != nil {
			return fmt.Errorf("reading the header: %w", err)
		}
		header = string(data)
	}
	var out bytes.Buffer
	if err := clustersTemplate.Execute(&out, map[string]string{"Header": header, "Versioned": j.pkg(j.output, "clientset", "versioned")}); err != nil {
		return err
	}
	source, err := format.Source(out.Bytes())
	if err != nil {
		return err
	}
	folder := path.Join(j.output, "clientset", "clusters")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return os.WriteFile(path.Join(folder, "clusters.go"), source, 0o644)
}
