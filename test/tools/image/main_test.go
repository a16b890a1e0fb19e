package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/annex-dev/annex/test/tools/artifact"
	"github.com/annex-dev/annex/test/tools/oci"
)

const testEpoch = "1700000000"

var testTime = time.Date(2023, 11, 14, 22, 13, 20, 0, time.UTC)

func testOptions(t *testing.T, binaries ...string) options {
	t.Helper()
	return options{
		version: "v1.2.3", license: "../../../LICENSE", epoch: testEpoch,
		out: filepath.Join(t.TempDir(), "bin", "image.tar"), binaries: binaries,
	}
}

func TestImage_ReadBack(t *testing.T) {
	binaries := map[string]string{"amd64": buildTiny(t, "amd64"), "arm64": buildTiny(t, "arm64")}
	o := testOptions(t, binaries["amd64"], binaries["arm64"])
	var told bytes.Buffer
	if err := run(o, &told); err != nil {
		t.Fatal(err)
	}
	a := openArchive(t, o.out)
	if got := string(a.files["oci-layout"].content); got != `{"imageLayoutVersion":"1.0.0"}` {
		t.Errorf("oci-layout holds %s", got)
	}
	var top, index oci.Index
	decodeStrictly(t, a.files["index.json"].content, &top)
	if len(top.Manifests) != 1 || top.Manifests[0].Annotations[oci.AnnotationReference] != "v1.2.3" {
		t.Fatalf("index.json is %+v", top)
	}
	if !strings.Contains(told.String(), top.Manifests[0].Digest) {
		t.Errorf("told %q without the digest", told.String())
	}
	a.decode(top.Manifests[0], oci.MediaTypeIndex, &index)
	if len(index.Manifests) != 2 {
		t.Fatalf("%d platforms", len(index.Manifests))
	}
	for i, architecture := range []string{"amd64", "arm64"} {
		d := index.Manifests[i]
		if d.Platform == nil || *d.Platform != (artifact.Platform{OS: "linux", Architecture: architecture}) {
			t.Fatalf("image %d is for %v", i, d.Platform)
		}
		var manifest oci.Manifest
		var config imageConfig
		a.decode(d, oci.MediaTypeManifest, &manifest)
		a.decode(manifest.Config, oci.MediaTypeConfig, &config)
		checkConfig(t, config, *d.Platform)
		if len(manifest.Layers) != 1 {
			t.Fatalf("%d layers", len(manifest.Layers))
		}
		names, files := a.layer(manifest.Layers[0], config)
		checkLayer(t, names, files, binaries[architecture])
	}
	for name, file := range a.files {
		if strings.HasPrefix(name, "blobs/sha256/") && file.header.Typeflag != '5' && !a.used[name] {
			t.Errorf("nothing points at %s", name)
		}
		checkHeader(t, file)
	}
}

func checkConfig(t *testing.T, got imageConfig, p artifact.Platform) {
	t.Helper()
	if got.Platform != p || got.Created != "2023-11-14T22:13:20Z" || got.RootFS.Type != "layers" {
		t.Errorf("config is for %v of %s, root %q", got.Platform, got.Created, got.RootFS.Type)
	}
	c := got.Config
	if c.User != "65532:65532" || c.WorkingDir != "/var/lib/annex" || !reflect.DeepEqual(c.Entrypoint, []string{"/annex"}) || !reflect.DeepEqual(c.Cmd, []string{"serve"}) {
		t.Errorf("config is %+v", c)
	}
	for label, want := range map[string]string{"version": "v1.2.3", "created": got.Created, "licenses": "Apache-2.0", "title": "annex"} {
		if got := c.Labels["org.opencontainers.image."+label]; got != want {
			t.Errorf("label %s is %q, want %q", label, got, want)
		}
	}
}

func checkHeader(t *testing.T, file tarFile) {
	t.Helper()
	h := file.header
	if !h.ModTime.Equal(testTime) || !h.AccessTime.IsZero() || !h.ChangeTime.IsZero() || h.Uname != "" || h.Gname != "" {
		t.Errorf("%s has times %v %v %v, owner %q %q", h.Name, h.ModTime, h.AccessTime, h.ChangeTime, h.Uname, h.Gname)
	}
}

func checkLayer(t *testing.T, names []string, files map[string]tarFile, binary string) {
	t.Helper()
	want := []string{"annex", "etc/", "etc/group", "etc/passwd", "licenses/", "licenses/LICENSE", "sbom.spdx.json", "var/", "var/lib/", "var/lib/annex/"}
	if !reflect.DeepEqual(names, want) {
		t.Fatalf("the layer holds %v, want %v", names, want)
	}
	for name, file := range files {
		checkHeader(t, file)
		wantMode, wantOwner := int64(0o644), 0
		if name == "annex" || strings.HasSuffix(name, "/") {
			wantMode = 0o755
		}
		if name == "var/lib/annex/" {
			wantOwner = 65532
		}
		if h := file.header; h.Mode != wantMode || h.Uid != wantOwner || h.Gid != wantOwner {
			t.Errorf("%s has mode %o and owner %d:%d, want %o and %d", name, h.Mode, h.Uid, h.Gid, wantMode, wantOwner)
		}
	}
	for name, path := range map[string]string{"annex": binary, "licenses/LICENSE": "../../../LICENSE"} {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(files[name].content, content) {
			t.Errorf("%s is not %s", name, path)
		}
	}
	if got := string(files["etc/passwd"].content); !strings.Contains(got, "\nannex:x:65532:65532::/var/lib/annex:/sbin/nologin\n") {
		t.Errorf("etc/passwd holds %q", got)
	}
	if got := string(files["etc/group"].content); !strings.Contains(got, "\nannex:x:65532:\n") {
		t.Errorf("etc/group holds %q", got)
	}
	read, err := artifact.Read(binary)
	if err != nil {
		t.Fatal(err)
	}
	if want, err := artifact.SBOM(read, "v1.2.3", testTime); err != nil || !bytes.Equal(files["sbom.spdx.json"].content, want) {
		t.Errorf("the SBOM is\n%s, %v, want\n%s", files["sbom.spdx.json"].content, err, want)
	}
}

func TestImage_TwoRunsGiveTheSameBytes(t *testing.T) {
	var archives [2][]byte
	for i := range archives {
		// Built anew in another folder, with another time on the file.
		o := testOptions(t, buildTiny(t, "amd64"), buildTiny(t, "arm64"))
		if err := run(o, io.Discard); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(o.out)
		if err != nil {
			t.Fatal(err)
		}
		archives[i] = content
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the archives differ")
	}
}

func TestImage_Refusals(t *testing.T) {
	amd64 := buildTiny(t, "amd64")
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*options)
		want   string
	}{
		"no version":               {func(o *options) { o.version = "" }, "-version is missing"},
		"no license":               {func(o *options) { o.license = "absent" }, "reading the license"},
		"no binary":                {func(o *options) { o.binaries = nil }, "no binary given"},
		"a missing binary":         {func(o *options) { o.binaries = []string{"absent"} }, "reading binary absent"},
		"a script":                 {func(o *options) { o.binaries = []string{text} }, "reading binary " + text},
		"one platform twice":       {func(o *options) { o.binaries = []string{amd64, amd64} }, "are both for linux/amd64"},
		"a dynamic binary":         {func(o *options) { o.binaries = []string{withInterpreter(t, amd64)} }, "it is not static"},
		"a time that is no number": {func(o *options) { o.epoch = "yesterday" }, `SOURCE_DATE_EPOCH is "yesterday"`},
		"a time before 1970":       {func(o *options) { o.epoch = "-1" }, `SOURCE_DATE_EPOCH is "-1"`},
		"no time at all":           {func(o *options) { o.epoch = "" }, "set SOURCE_DATE_EPOCH"},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t, amd64)
			test.change(&o)
			if err := run(o, io.Discard); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if entries, err := os.ReadDir(filepath.Dir(o.out)); err == nil && len(entries) > 0 {
				t.Errorf("left %v behind", entries)
			}
		})
	}
}

// withInterpreter returns a copy of a binary whose first program header asks for a loader.
func withInterpreter(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[content[32]] = 3 // the byte at 32 is where program headers begin; 3 is PT_INTERP
	changed := filepath.Join(t.TempDir(), "dynamic")
	if err := os.WriteFile(changed, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return changed
}

func fakeBinary(path string, settings ...string) *artifact.Binary {
	info := &debug.BuildInfo{GoVersion: "go1.26.8", Path: "example.org/annex"}
	for i := 0; i < len(settings); i += 2 {
		info.Settings = append(info.Settings, debug.BuildSetting{Key: settings[i], Value: settings[i+1]})
	}
	return &artifact.Binary{Path: path, Info: info}
}

func TestLabels_NameTheCommit(t *testing.T) {
	got := release{version: "v1", created: testTime}.labels(fakeBinary("a", "vcs.revision", "1111"))
	if got["org.opencontainers.image.revision"] != "1111" {
		t.Errorf("labels are %v", got)
	}
}
