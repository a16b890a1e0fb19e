package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/annex-dev/annex/test/tools/artifact"
)

// release is one that is being written.
type release struct {
	options
	created   time.Time
	revision  string // the commit
	goVersion string // such as go1.26.8
	dir       string // where its files are written
	files     []file
	archives  []archive
}

// file is one of the release.
type file struct {
	name, sha256, about string
	size                int64
}

// fill writes all files. Each part may name only files that were written before it.
func (r *release) fill(binaries []*artifact.Binary, key *signingKey) error {
	if err := r.addArchives(binaries); err != nil {
		return err
	}
	if err := r.addImage(); err != nil {
		return fmt.Errorf("adding the image: %w", err)
	}
	if err := r.addChart(); err != nil {
		return fmt.Errorf("adding the chart: %w", err)
	}
	if err := r.addKrewManifest(); err != nil {
		return fmt.Errorf("writing the manifest of krew: %w", err)
	}
	if err := r.addInstallPage(key); err != nil {
		return fmt.Errorf("writing %s: %w", installFile, err)
	}
	statement, err := r.addProvenance()
	if err != nil {
		return fmt.Errorf("writing the provenance: %w", err)
	}
	sums, err := r.addChecksums()
	if err != nil {
		return fmt.Errorf("writing the checksums: %w", err)
	}
	if err := r.sign(key, sums, statement); err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	return nil
}

// bare is the version as Helm and image tags have it, without the v.
func (r *release) bare() string { return strings.TrimPrefix(r.version, "v") }

// add writes a file of the release.
func (r *release) add(name, about string, write func(io.Writer) error) error {
	path := filepath.Join(r.dir, name)
	if err := artifact.ReplaceFile(path, write); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	sum, size, err := sumOf(path)
	if err != nil {
		return fmt.Errorf("reading %s again: %w", name, err)
	}
	r.files = append(r.files, file{name: name, sha256: sum, about: about, size: size})
	return nil
}

// addContent is add for what is in memory.
func (r *release) addContent(name, about string, content []byte) error {
	return r.add(name, about, func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(content))
		return err
	})
}

// addImage copies the image.
func (r *release) addImage() error {
	image, err := os.Open(r.image)
	if err != nil {
		return err
	}
	defer func() { _ = image.Close() }()
	return r.add(r.imageFile(), "the image for linux on amd64 and arm64, as an OCI archive", func(w io.Writer) error {
		_, err := io.Copy(w, image)
		return err
	})
}

func (r *release) imageFile() string { return "annex-image-" + r.version + ".tar" }

// sorted returns the files by name.
func (r *release) sorted() []file {
	return slices.SortedFunc(slices.Values(r.files), func(a, b file) int { return strings.Compare(a.name, b.name) })
}

// tell says what was written, and what was left out for want of something.
func (r *release) tell(out io.Writer, key *signingKey) error {
	said := fmt.Sprintf("%s: %d files of %s, commit %s; read %s\n", r.out, len(r.files), r.version, r.revision, filepath.Join(r.out, installFile))
	if r.url == "" {
		said += krewFile + ": RELEASE_URL is not set, so it names archives without a URL; krew installs from it with --archive\n"
	}
	if key == nil {
		said += "signing: skipped, SIGNING_KEY is not set\n"
	} else {
		said += fmt.Sprintf("signing: %s with key %s\n", key.algorithm, key.id)
	}
	_, err := io.WriteString(out, said)
	return err
}
