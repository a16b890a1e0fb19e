package main

import (
	"fmt"
	"time"

	"github.com/annex-dev/annex/test/tools/artifact"
)

// release is what the images of all platforms have in common.
type release struct {
	version string
	license []byte
	created time.Time
}

// labels describe the image: on its config, for who inspects it, and on its index, for who lists it.
func (r release) labels(b *artifact.Binary) map[string]string {
	labels := map[string]string{
		"org.opencontainers.image.title":       "annex",
		"org.opencontainers.image.description": "A Kubernetes API for every team, as workspaces of one server",
		"org.opencontainers.image.version":     r.version,
		"org.opencontainers.image.created":     r.created.Format(time.RFC3339),
		"org.opencontainers.image.url":         artifact.ProjectURL,
		"org.opencontainers.image.source":      artifact.ProjectURL,
		"org.opencontainers.image.licenses":    artifact.License,
	}
	if revision := b.Setting("vcs.revision"); revision != "" {
		labels["org.opencontainers.image.revision"] = revision
	}
	return labels
}

// imageConfig is application/vnd.oci.image.config.v1+json, as far as we fill it.
type imageConfig struct {
	artifact.Platform
	Created string          `json:"created"`
	Config  executionConfig `json:"config"`
	RootFS  rootFS          `json:"rootfs"`
	History []historyEntry  `json:"history"`
}

type executionConfig struct {
	User         string              `json:"User"`
	ExposedPorts map[string]struct{} `json:"ExposedPorts"`
	Env          []string            `json:"Env"`
	Entrypoint   []string            `json:"Entrypoint"`
	Cmd          []string            `json:"Cmd"`
	WorkingDir   string              `json:"WorkingDir"`
	Labels       map[string]string   `json:"Labels"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

type historyEntry struct {
	Created   string `json:"created"`
	CreatedBy string `json:"created_by"`
}

func newImageConfig(b *artifact.Binary, r release, diffID string) imageConfig {
	created := r.created.Format(time.RFC3339)
	return imageConfig{
		Platform: b.Platform(),
		Created:  created,
		Config: executionConfig{
			User:         fmt.Sprintf("%d:%d", userID, userID),
			ExposedPorts: map[string]struct{}{"6443/tcp": {}},
			Env:          []string{"PATH=/"}, // so that exec finds annex
			Entrypoint:   []string{"/annex"},
			Cmd:          []string{"serve"},
			WorkingDir:   workingDirectory,
			Labels:       r.labels(b),
		},
		RootFS:  rootFS{Type: "layers", DiffIDs: []string{diffID}},
		History: []historyEntry{{Created: created, CreatedBy: "make image"}},
	}
}
