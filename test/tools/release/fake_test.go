package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"sync"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/tools/artifact"
)

const (
	testVersion = "v1.2.3-rc.1"
	testBare    = "1.2.3-rc.1"
	revision    = "0123456789abcdef0123456789abcdef01234567"
)

// fakes returns a binary of each program for each platform. Those for this machine are scripts that print how they were called.
func fakes(t *testing.T) []*artifact.Binary {
	t.Helper()
	var all []*artifact.Binary
	for _, program := range []string{plugin, server} {
		for _, p := range platforms {
			content := fmt.Sprintf("#!/bin/sh\necho %s for %s called with \"$@\"\n", program, p)
			path := filepath.Join(t.TempDir(), "binary")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			all = append(all, &artifact.Binary{
				Path: path, Size: int64(len(content)), SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(content))),
				Info: &debug.BuildInfo{GoVersion: "go1.26.8", Path: "github.com/annex-dev/annex/cmd/" + program, Settings: []debug.BuildSetting{
					{Key: "GOOS", Value: p.OS}, {Key: "GOARCH", Value: p.Architecture},
					{Key: "vcs.revision", Value: revision}, {Key: "vcs.time", Value: "2026-11-28T10:00:00Z"}, {Key: "vcs.modified", Value: "false"},
				}},
			})
		}
	}
	return all
}

// packaged is the chart as Helm packages it.
var packaged = sync.OnceValues(func() ([]byte, error) {
	helm, err := annex.Program("helm")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "annex-release")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	command := exec.Command(helm, "package", "../../../charts/annex", "--version", testBare, "--app-version", testBare, "--destination", dir)
	command.Env = append(os.Environ(), "HOME="+dir)
	if out, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("packaging the chart: %w\n%s", err, out)
	}
	return os.ReadFile(filepath.Join(dir, "annex-"+testBare+".tgz"))
})

// testOptions returns options for a release in a directory of the test.
func testOptions(t *testing.T) options {
	t.Helper()
	dir := t.TempDir()
	chart, err := packaged()
	if err != nil {
		t.Fatal(err)
	}
	o := options{
		version: testVersion, out: filepath.Join(dir, "release"), source: "../../..",
		image: filepath.Join(dir, "image.tar"), chart: filepath.Join(dir, "chart.tgz"),
	}
	if err := errors.Join(os.WriteFile(o.image, []byte("an image"), 0o600), os.WriteFile(o.chart, chart, 0o600)); err != nil {
		t.Fatal(err)
	}
	return o
}

// written writes a release and returns its files, and what was told.
func written(t *testing.T, o options) (files map[string][]byte, told string) {
	t.Helper()
	var out bytes.Buffer
	if err := write(o, fakes(t), &out); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(o.out)
	if err != nil {
		t.Fatal(err)
	}
	files = map[string][]byte{}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(o.out, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[entry.Name()] = content
	}
	return files, out.String()
}

// tarFile is what an archive holds.
type tarFile struct {
	name    string
	mode    int64
	content string
	special bool // neither a file nor a directory
}

// unpack returns what is in an archive.
func unpack(t *testing.T, name string, content []byte) map[string]tarFile {
	t.Helper()
	files := map[string]tarFile{}
	if filepath.Ext(name) == ".zip" {
		archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.File {
			opened, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(opened)
			if err != nil {
				t.Fatal(err)
			}
			files[f.Name] = tarFile{name: f.Name, mode: int64(f.Mode().Perm()), content: string(content), special: !f.Mode().IsRegular() && !f.Mode().IsDir()}
		}
		return files
	}
	plain, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = tarFile{name: header.Name, mode: header.Mode, content: string(content), special: header.Typeflag != tar.TypeReg && header.Typeflag != tar.TypeDir}
	}
}
