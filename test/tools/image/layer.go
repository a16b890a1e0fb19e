package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"

	"github.com/annex-dev/annex/test/tools/artifact"
)

// The user that the image runs as; Kubernetes can check runAsNonRoot only against a number.
const (
	userName = "annex"
	userID   = 65532
)

// workingDirectory is where a server without --root-directory makes its .annex. There is no /tmp: annex makes files beside
// those they replace.
const workingDirectory = "/var/lib/annex"

// layerEntries returns what the image holds; each directory comes before what is in it.
func layerEntries(b *artifact.Binary, program io.Reader, license, sbom []byte) []artifact.Entry {
	passwd := fmt.Sprintf("root:x:0:0:root:/:/sbin/nologin\n%s:x:%d:%d::%s:/sbin/nologin\n", userName, userID, userID, workingDirectory)
	group := fmt.Sprintf("root:x:0:\n%s:x:%d:\n", userName, userID)
	home := artifact.Directory(strings.TrimPrefix(workingDirectory, "/"))
	home.Owner = userID
	return []artifact.Entry{
		{Name: "annex", Mode: 0o755, Size: b.Size, Content: program},
		artifact.Directory("etc"),
		artifact.File("etc/group", []byte(group)),
		artifact.File("etc/passwd", []byte(passwd)),
		artifact.Directory("licenses"),
		artifact.File("licenses/LICENSE", license),
		artifact.File("sbom.spdx.json", sbom),
		artifact.Directory("var"),
		artifact.Directory("var/lib"),
		home,
	}
}

// makeLayer returns the layer of b, compressed, and the digest of it uncompressed, by which a config names it.
func makeLayer(b *artifact.Binary, r release) (layer []byte, diffID string, err error) {
	document, err := artifact.SBOM(b, r.version, r.created)
	if err != nil {
		return nil, "", fmt.Errorf("writing the SBOM: %w", err)
	}
	program, err := os.Open(b.Path)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = program.Close() }()

	var out bytes.Buffer
	compressed := gzip.NewWriter(&out) // with an empty header: no name, no time
	plain := sha256.New()
	if err := artifact.WriteTar(io.MultiWriter(compressed, plain), r.created, layerEntries(b, program, r.license, document)); err != nil {
		return nil, "", err
	}
	if err := compressed.Close(); err != nil {
		return nil, "", err
	}
	return out.Bytes(), digestOf(plain), nil
}

// digestOf names what was written to h, as OCI does: sha256:2cf2...
func digestOf(h hash.Hash) string { return fmt.Sprintf("sha256:%x", h.Sum(nil)) }
