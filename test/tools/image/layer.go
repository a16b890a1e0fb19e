package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"
	"time"
)

// The user that the image runs as; Kubernetes can check runAsNonRoot only against a number.
const (
	userName = "annex"
	userID   = 65532
)

// workingDirectory is where a server without --root-directory makes its .annex. There is no /tmp: annex makes files beside
// those they replace.
const workingDirectory = "/var/lib/annex"

// entry is a file of the layer, or a directory when its name ends in a slash.
type entry struct {
	name    string // without a leading slash
	mode    int64
	owner   int // user and group
	size    int64
	content io.Reader // nil for a directory
}

func fileEntry(name string, content []byte) entry {
	return entry{name: name, mode: 0o644, size: int64(len(content)), content: bytes.NewReader(content)}
}

func directoryEntry(name string) entry { return entry{name: name + "/", mode: 0o755} }

// layerEntries returns what the image holds; each directory comes before what is in it.
func layerEntries(b *binary, program io.Reader, license, sbom []byte) []entry {
	passwd := fmt.Sprintf("root:x:0:0:root:/:/sbin/nologin\n%s:x:%d:%d::%s:/sbin/nologin\n", userName, userID, userID, workingDirectory)
	group := fmt.Sprintf("root:x:0:\n%s:x:%d:\n", userName, userID)
	home := directoryEntry(strings.TrimPrefix(workingDirectory, "/"))
	home.owner = userID
	return []entry{
		{name: "annex", mode: 0o755, size: b.size, content: program},
		directoryEntry("etc"),
		fileEntry("etc/group", []byte(group)),
		fileEntry("etc/passwd", []byte(passwd)),
		directoryEntry("licenses"),
		fileEntry("licenses/LICENSE", license),
		fileEntry("sbom.spdx.json", sbom),
		directoryEntry("var"),
		directoryEntry("var/lib"),
		home,
	}
}

// makeLayer returns the layer of b, compressed, and the digest of it uncompressed, by which a config names it.
func makeLayer(b *binary, r release) (layer []byte, diffID string, err error) {
	document, err := sbom(b, r.version, r.created)
	if err != nil {
		return nil, "", fmt.Errorf("writing the SBOM: %w", err)
	}
	program, err := os.Open(b.path)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = program.Close() }()

	var out bytes.Buffer
	compressed := gzip.NewWriter(&out) // with an empty header: no name, no time
	plain := sha256.New()
	if err := writeTar(io.MultiWriter(compressed, plain), r.created, layerEntries(b, program, r.license, document)); err != nil {
		return nil, "", err
	}
	if err := compressed.Close(); err != nil {
		return nil, "", err
	}
	return out.Bytes(), digestOf(plain), nil
}

// writeTar writes entries in their order, all with the same time.
func writeTar(w io.Writer, modified time.Time, entries []entry) error {
	archive := tar.NewWriter(w)
	for _, e := range entries {
		header := &tar.Header{
			Typeflag: tar.TypeReg, Format: tar.FormatUSTAR,
			Name: e.name, Mode: e.mode, Uid: e.owner, Gid: e.owner, Size: e.size, ModTime: modified,
		}
		if e.content == nil {
			header.Typeflag = tar.TypeDir
		}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("adding %s: %w", e.name, err)
		}
		if e.content == nil {
			continue
		}
		if _, err := io.Copy(archive, e.content); err != nil {
			return fmt.Errorf("adding %s: %w", e.name, err)
		}
	}
	return archive.Close()
}

// digestOf names what was written to h, as OCI does: sha256:2cf2...
func digestOf(h hash.Hash) string { return fmt.Sprintf("sha256:%x", h.Sum(nil)) }
