package main

import (
	"fmt"
	"time"
)

const (
	projectURL     = "https://github.com/annex-dev/annex"
	projectLicense = "Apache-2.0"
)

// release is what the images of all platforms have in common.
type release struct {
	version string
	license []byte
	created time.Time
}

// labels describe the image: on its config, for who inspects it, and on its index, for who lists it.
func (r release) labels(b *binary) map[string]string {
	labels := map[string]string{
		"org.opencontainers.image.title":       "annex",
		"org.opencontainers.image.description": "A Kubernetes API for every team, as workspaces of one server",
		"org.opencontainers.image.version":     r.version,
		"org.opencontainers.image.created":     r.created.Format(time.RFC3339),
		"org.opencontainers.image.url":         projectURL,
		"org.opencontainers.image.source":      projectURL,
		"org.opencontainers.image.licenses":    projectLicense,
	}
	if revision := b.setting("vcs.revision"); revision != "" {
		labels["org.opencontainers.image.revision"] = revision
	}
	return labels
}

// imageConfig is application/vnd.oci.image.config.v1+json, as far as we fill it.
type imageConfig struct {
	platform
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

func newImageConfig(b *binary, r release, diffID string) imageConfig {
	created := r.created.Format(time.RFC3339)
	return imageConfig{
		platform: b.platform(),
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
