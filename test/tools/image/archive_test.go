package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/annex-dev/annex/test/tools/oci"
)

// buildTiny builds testdata/tiny for linux on architecture and returns its path. It does not say of which commit it is.
func buildTiny(t *testing.T, architecture string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiny-"+architecture)
	command := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, "./testdata/tiny")
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("building for %s: %v\n%s", architecture, err, out)
	}
	return path
}

// tarFile is what an archive holds under one name.
type tarFile struct {
	header  *tar.Header
	content []byte
}

// readTar returns the files and directories of an archive in their order; names of directories end in a slash.
func readTar(t *testing.T, r io.Reader) (names []string, files map[string]tarFile) {
	t.Helper()
	files = map[string]tarFile{}
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names, files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := files[header.Name]; twice {
			t.Errorf("%s is there twice", header.Name)
		}
		names = append(names, header.Name)
		files[header.Name] = tarFile{header, content}
	}
}

// archive is an OCI archive as a reader of it sees it, without help from the code under test but its types.
type archive struct {
	t     *testing.T
	files map[string]tarFile
	used  map[string]bool
}

func openArchive(t *testing.T, path string) *archive {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, files := readTar(t, bytes.NewReader(content))
	return &archive{t: t, files: files, used: map[string]bool{}}
}

// blob returns what d points at, after checking its digest and size.
func (a *archive) blob(d oci.Descriptor) []byte {
	a.t.Helper()
	algorithm, sum, _ := strings.Cut(d.Digest, ":")
	name := "blobs/" + algorithm + "/" + sum
	file, found := a.files[name]
	if !found {
		a.t.Fatalf("no blob %s", name)
	}
	if got := fmt.Sprintf("sha256:%x", sha256.Sum256(file.content)); got != d.Digest {
		a.t.Fatalf("blob %s holds %s", d.Digest, got)
	}
	if int64(len(file.content)) != d.Size {
		a.t.Fatalf("blob %s has %d bytes, want %d", d.Digest, len(file.content), d.Size)
	}
	a.used[name] = true
	return file.content
}

func (a *archive) decode(d oci.Descriptor, wantMediaType string, into any) {
	a.t.Helper()
	if d.MediaType != wantMediaType {
		a.t.Fatalf("media type %s, want %s", d.MediaType, wantMediaType)
	}
	decodeStrictly(a.t, a.blob(d), into)
}

func decodeStrictly(t *testing.T, content []byte, into any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Fatal(err)
	}
}

// layer returns the files of a layer, after checking that config names it.
func (a *archive) layer(d oci.Descriptor, config imageConfig) (names []string, files map[string]tarFile) {
	a.t.Helper()
	if d.MediaType != oci.MediaTypeLayer {
		a.t.Fatalf("media type %s, want %s", d.MediaType, oci.MediaTypeLayer)
	}
	compressed, err := gzip.NewReader(bytes.NewReader(a.blob(d)))
	if err != nil {
		a.t.Fatal(err)
	}
	if compressed.Name != "" || !compressed.ModTime.Equal(time.Time{}) {
		a.t.Errorf("the gzip header holds name %q, time %v", compressed.Name, compressed.ModTime)
	}
	plain, err := io.ReadAll(compressed)
	if err != nil {
		a.t.Fatal(err)
	}
	if got := fmt.Sprintf("sha256:%x", sha256.Sum256(plain)); len(config.RootFS.DiffIDs) != 1 || config.RootFS.DiffIDs[0] != got {
		a.t.Errorf("config names layers %v, want %s", config.RootFS.DiffIDs, got)
	}
	return readTar(a.t, bytes.NewReader(plain))
}
