package main

import (
	"encoding/json"
	"strings"

	"github.com/annex-dev/annex/test/tools/artifact"
)

const (
	provenanceFile = "provenance.json"
	// buildType says how to read the parameters below: make release in a checkout of the commit, with that version.
	buildType = artifact.ProjectURL + "/make-release/v1"
	// noBuilder is the builder of a release for which nobody vouches.
	noBuilder = artifact.ProjectURL + "/builders/unspecified"
)

// An in-toto statement (v1) whose predicate is SLSA provenance (v1), as far as we fill it.
type (
	statement struct {
		Type          string     `json:"_type"`
		Subject       []subject  `json:"subject"`
		PredicateType string     `json:"predicateType"`
		Predicate     provenance `json:"predicate"`
	}
	subject struct {
		Name   string            `json:"name"`
		Digest map[string]string `json:"digest"`
	}
	provenance struct {
		BuildDefinition buildDefinition `json:"buildDefinition"`
		RunDetails      runDetails      `json:"runDetails"`
	}
	buildDefinition struct {
		BuildType            string            `json:"buildType"`
		ExternalParameters   map[string]string `json:"externalParameters"`
		InternalParameters   map[string]string `json:"internalParameters"`
		ResolvedDependencies []dependency      `json:"resolvedDependencies"`
	}
	dependency struct {
		Name   string            `json:"name,omitempty"`
		URI    string            `json:"uri"`
		Digest map[string]string `json:"digest,omitempty"`
	}
	runDetails struct {
		Builder builder `json:"builder"`
	}
	builder struct {
		ID string `json:"id"`
	}
)

// addProvenance writes of what all files so far were made, and returns what it wrote. It names no time, so that each build says the same.
func (r *release) addProvenance() ([]byte, error) {
	s := statement{Type: "https://in-toto.io/Statement/v1", PredicateType: "https://slsa.dev/provenance/v1"}
	for _, f := range r.sorted() {
		s.Subject = append(s.Subject, subject{Name: f.name, Digest: map[string]string{"sha256": f.sha256}})
	}
	source := "git+" + artifact.ProjectURL
	s.Predicate.BuildDefinition = buildDefinition{
		BuildType:          buildType,
		ExternalParameters: map[string]string{"source": source, "version": r.version},
		InternalParameters: map[string]string{"go": r.goVersion},
		ResolvedDependencies: []dependency{
			{Name: "source", URI: source + "@" + r.revision, Digest: map[string]string{"gitCommit": r.revision}},
			{Name: "go", URI: "pkg:generic/go@" + strings.TrimPrefix(r.goVersion, "go")},
		},
	}
	s.Predicate.RunDetails.Builder.ID = r.builder
	if r.builder == "" {
		s.Predicate.RunDetails.Builder.ID = noBuilder
	}
	content, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return nil, err
	}
	content = append(content, '\n')
	return content, r.addContent(provenanceFile, "of which commit the files are, and what built them", content)
}
