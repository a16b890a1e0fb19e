package artifact

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"runtime/debug"
)

const (
	// ProjectURL is where the source is.
	ProjectURL = "https://github.com/annex-dev/annex"
	// License is that of Annex, in the words of SPDX.
	License = "Apache-2.0"
)

// Platform is what a program runs on, in Go's words.
type Platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

// String returns such as linux/arm64.
func (p Platform) String() string { return p.OS + "/" + p.Architecture }

// Binary is an executable that the go command has built.
type Binary struct {
	Path   string
	Info   *debug.BuildInfo
	Size   int64  // bytes
	SHA256 string // hex
}

// Read reads a binary.
func Read(path string) (*Binary, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := buildinfo.Read(file)
	if err != nil {
		return nil, err
	}
	b := &Binary{Path: path, Info: info}
	hash := sha256.New()
	if b.Size, err = io.Copy(hash, file); err != nil {
		return nil, err
	}
	b.SHA256 = hex.EncodeToString(hash.Sum(nil))
	return b, nil
}

// Setting returns what the go command noted under key when it built b, such as GOARCH or vcs.time; empty if nothing.
func (b *Binary) Setting(key string) string {
	for _, s := range b.Info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// Name returns the name of the program, such as kubectl-annex.
func (b *Binary) Name() string { return path.Base(b.Info.Path) }

// Platform returns what b runs on.
func (b *Binary) Platform() Platform {
	return Platform{OS: b.Setting("GOOS"), Architecture: b.Setting("GOARCH")}
}

// SameSource refuses to put two versions behind one name, which happens when only one of the binaries was built anew.
func SameSource(a, b *Binary) error {
	if a.Info.GoVersion != b.Info.GoVersion {
		return fmt.Errorf("%s was built by %s, %s by %s", a.Path, a.Info.GoVersion, b.Path, b.Info.GoVersion)
	}
	for _, key := range []string{"vcs.revision", "vcs.modified"} {
		if a.Setting(key) != b.Setting(key) {
			return fmt.Errorf("%s has %s %q, %s has %q", a.Path, key, a.Setting(key), b.Path, b.Setting(key))
		}
	}
	return nil
}
