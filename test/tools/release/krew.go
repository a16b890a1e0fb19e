package main

import (
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/annex-dev/annex/test/tools/artifact"
)

// krewFile is the manifest, which must be called like the plugin.
const krewFile = "annex.yaml"

// The parts of a manifest that we fill, in krew's names.
type (
	krewManifest struct {
		APIVersion string       `json:"apiVersion"`
		Kind       string       `json:"kind"`
		Metadata   krewMetadata `json:"metadata"`
		Spec       krewSpec     `json:"spec"`
	}
	krewMetadata struct {
		Name string `json:"name"`
	}
	krewSpec struct {
		Version          string         `json:"version"`
		Homepage         string         `json:"homepage"`
		ShortDescription string         `json:"shortDescription"`
		Description      string         `json:"description"`
		Caveats          string         `json:"caveats"`
		Platforms        []krewPlatform `json:"platforms"`
	}
	krewPlatform struct {
		Selector krewSelector `json:"selector"`
		URI      string       `json:"uri"`
		SHA256   string       `json:"sha256"`
		Files    []krewCopy   `json:"files"`
		Bin      string       `json:"bin"`
	}
	krewSelector struct {
		MatchLabels map[string]string `json:"matchLabels"`
	}
	krewCopy struct {
		From string `json:"from"`
		To   string `json:"to"`
	}
)

const (
	krewDescription = `Annex gives every team a workspace: a whole Kubernetes API with its own
CRDs, RBAC, namespaces and objects. This plugin enters workspaces,
creates and draws them, publishes and binds APIs, and explains who may
do what.`
	krewCaveats = `The plugin needs a cluster with Annex, or an Annex server.
To complete command lines, put a script "kubectl_complete-annex" in your
PATH that runs: kubectl-annex __complete "$@"`
)

// addKrewManifest writes the manifest of the plugin.
func (r *release) addKrewManifest() error {
	base := r.url
	if base != "" {
		base = strings.TrimSuffix(base, "/") + "/"
	}
	sums := map[string]string{}
	for _, f := range r.files {
		sums[f.name] = f.sha256
	}
	m := krewManifest{
		APIVersion: "krew.googlecontainertools.github.com/v1alpha2", Kind: "Plugin", Metadata: krewMetadata{Name: strings.TrimPrefix(plugin, "kubectl-")},
		Spec: krewSpec{
			Version: r.version, Homepage: artifact.ProjectURL, ShortDescription: "Enter, create and draw workspaces of Annex",
			Description: krewDescription, Caveats: krewCaveats,
		},
	}
	for _, a := range r.archives {
		if a.program != plugin {
			continue
		}
		m.Spec.Platforms = append(m.Spec.Platforms, krewPlatform{
			Selector: krewSelector{MatchLabels: map[string]string{"os": a.platform.OS, "arch": a.platform.Architecture}},
			URI:      base + a.file,
			SHA256:   sums[a.file],
			Files: []krewCopy{
				{From: a.folder + "/" + a.executable(), To: "."},
				{From: a.folder + "/LICENSE", To: "."},
			},
			Bin: a.executable(),
		})
	}
	content, err := yaml.Marshal(m)
	if err != nil {
		return err
	}
	return r.addContent(krewFile, "the manifest of the plugin for krew", content)
}
