package main

import (
	"bytes"
	_ "embed"
	"text/template"

	"github.com/annex-dev/annex/test/tools/artifact"
)

// installFile says how to check and install what is in the release.
const installFile = "INSTALL.md"

//go:embed install.md.tmpl
var installPage string

// page is what the template of the page knows.
type page struct {
	Version, Bare, Source, URL         string
	Revision                           string
	Files                              []file
	Platforms                          []artifact.Platform
	Image, Chart, ChartArchive         string
	Key                                *signingKey
	Sums, Signature, Public, Statement string
}

// addInstallPage writes the page.
func (r *release) addInstallPage(key *signingKey) error {
	parsed, err := template.New(installFile).Parse(installPage)
	if err != nil {
		return err
	}
	var written bytes.Buffer
	if err := parsed.Execute(&written, page{
		Version: r.version, Bare: r.bare(), Source: artifact.ProjectURL, URL: r.url, Revision: r.revision,
		Files: r.sorted(), Platforms: platforms,
		Image: r.imageFile(), Chart: r.chartFile(), ChartArchive: r.chartArchive(),
		Key: key, Sums: checksumsFile, Signature: signatureFile, Public: publicKeyFile, Statement: provenanceFile,
	}); err != nil {
		return err
	}
	return r.addContent(installFile, "this page", written.Bytes())
}

// Name is the name of the file.
func (f file) Name() string { return f.name }

// About says what the file is.
func (f file) About() string { return f.about }

// Algorithm is Ed25519 or ECDSA.
func (k *signingKey) Algorithm() string { return k.algorithm }

// ID is the SHA-256 of the public key.
func (k *signingKey) ID() string { return k.id }
