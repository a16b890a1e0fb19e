package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annex-dev/annex/test/tools/artifact"
)

func TestRelease_Files(t *testing.T) {
	files, told := written(t, testOptions(t))
	var want []string
	for _, program := range []string{"annex", "kubectl-annex"} {
		for _, p := range []string{"darwin-amd64", "darwin-arm64", "linux-amd64", "linux-arm64"} {
			want = append(want, program+"-"+testVersion+"-"+p+".spdx.json", program+"-"+testVersion+"-"+p+".tar.gz")
		}
		for _, p := range []string{"windows-amd64", "windows-arm64"} {
			want = append(want, program+"-"+testVersion+"-"+p+".spdx.json", program+"-"+testVersion+"-"+p+".zip")
		}
	}
	want = append(want, "annex-image-"+testVersion+".tar", "annex-chart-"+testVersion+".tar", "annex-"+testBare+".tgz", "annex.yaml", "INSTALL.md", "provenance.json", "SHA256SUMS")
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(files))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for _, say := range []string{"signing: skipped", "RELEASE_URL is not set", revision} {
		if !strings.Contains(told, say) {
			t.Errorf("it tells %q, without %q", told, say)
		}
	}
	lines := strings.Split(strings.TrimSpace(string(files["SHA256SUMS"])), "\n")
	if len(lines) != len(files)-1 {
		t.Errorf("there are %d checksums of %d files", len(lines), len(files))
	}
	for _, line := range lines {
		sum, name, _ := strings.Cut(line, "  ")
		if content, there := files[name]; !there || sum != fmt.Sprintf("%x", sha256.Sum256(content)) {
			t.Errorf("the checksum of %s is wrong", name)
		}
	}
	if !strings.Contains(string(files["INSTALL.md"]), "This release is not signed.") {
		t.Error("INSTALL.md does not say that the release is not signed")
	}
}

func TestRelease_Archives(t *testing.T) {
	files, _ := written(t, testOptions(t))
	for _, p := range platforms {
		executable, script, extension := "", "", ".tar.gz"
		if p.OS == "windows" {
			executable, script, extension = ".exe", ".cmd", ".zip"
		}
		for program, others := range map[string][]string{
			server: {"examples/", "examples/widgets/", "examples/widgets/workspaces.yaml", "examples/widgets/crd.yaml", "examples/widgets/export.yaml", "examples/widgets/binding.yaml", "examples/widgets/widget.yaml"},
			plugin: {completer + script},
		} {
			folder := fmt.Sprintf("%s-%s-%s-%s", program, testVersion, p.OS, p.Architecture)
			got := unpack(t, folder+extension, files[folder+extension])
			want := append([]string{"", "LICENSE", "README.md", program + executable}, others...)
			for i := range want {
				want[i] = folder + "/" + want[i]
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", folder, diff)
			}
			for name, file := range got {
				wantMode := int64(0o644)
				if strings.HasSuffix(name, "/") || name == folder+"/"+program+executable || strings.HasPrefix(filepath.Base(name), completer) {
					wantMode = 0o755
				}
				if file.mode != wantMode || file.special {
					t.Errorf("%s has mode %o, want %o; special: %t", name, file.mode, wantMode, file.special)
				}
			}
			if said := got[folder+"/"+program+executable].content; !strings.Contains(said, program+" for "+p.String()+" ") {
				t.Errorf("%s holds %q", folder, said)
			}
			readme := got[folder+"/README.md"].content
			if strings.Contains(readme, "](docs/") || !strings.Contains(readme, "]("+artifact.ProjectURL+"/blob/"+testVersion+"/docs/install.md)") {
				t.Errorf("the README in %s has links that lead nowhere", folder)
			}
		}
	}
}

func TestRelease_Provenance(t *testing.T) {
	o := testOptions(t)
	o.builder = "https://ci.example.com/builder"
	files, _ := written(t, o)
	var got statement
	decoder := json.NewDecoder(bytes.NewReader(files["provenance.json"]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Type != "https://in-toto.io/Statement/v1" || got.PredicateType != "https://slsa.dev/provenance/v1" {
		t.Errorf("it is a %s of %s", got.Type, got.PredicateType)
	}
	if len(got.Subject) != len(files)-2 { // without itself and the checksums
		t.Errorf("it is about %d of %d files", len(got.Subject), len(files))
	}
	for _, s := range got.Subject {
		if want := fmt.Sprintf("%x", sha256.Sum256(files[s.Name])); s.Digest["sha256"] != want {
			t.Errorf("%s has the digest %s, want %s", s.Name, s.Digest, want)
		}
	}
	p := got.Predicate
	if p.RunDetails.Builder.ID != o.builder || p.BuildDefinition.ExternalParameters["version"] != testVersion || p.BuildDefinition.InternalParameters["go"] != "go1.26.8" {
		t.Errorf("the provenance is %+v", p)
	}
	if commit := p.BuildDefinition.ResolvedDependencies[0]; commit.Digest["gitCommit"] != revision || !strings.HasSuffix(commit.URI, "@"+revision) {
		t.Errorf("the commit is %+v", commit)
	}
}

func TestRelease_TwiceTheSameBytes(t *testing.T) {
	first := testOptions(t)
	first.key = newKey(t, "ecdsa")
	second := testOptions(t)
	second.key = first.key
	// Helm notes another time when it packages the chart again.
	chart, err := os.ReadFile(first.chart)
	if err != nil {
		t.Fatal(err)
	}
	entries, _, err := chartEntries(chart)
	if err != nil {
		t.Fatal(err)
	}
	if err := artifact.ReplaceFile(second.chart, func(w io.Writer) error { return artifact.WriteTarGzip(w, time.Now(), entries) }); err != nil {
		t.Fatal(err)
	}
	a, _ := written(t, first)
	b, _ := written(t, second)
	for name := range a {
		if !bytes.Equal(a[name], b[name]) {
			t.Errorf("%s differs", name)
		}
	}
	if len(a) != len(b) {
		t.Errorf("there are %d and %d files", len(a), len(b))
	}
	// Over a release that is there, with a file that does not belong to it.
	stray := filepath.Join(first.out, "annex-v0.0.1-linux-amd64.tar.gz")
	if err := os.WriteFile(stray, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, _ := written(t, first); len(c) != len(a) {
		t.Errorf("a file of an earlier release is left: %q", slices.Sorted(maps.Keys(c)))
	}
}

func TestRelease_Refusals(t *testing.T) {
	set := func(b *artifact.Binary, key, value string) {
		for i := range b.Info.Settings {
			if b.Info.Settings[i].Key == key {
				b.Info.Settings[i].Value = value
			}
		}
	}
	for name, test := range map[string]struct {
		change   func(*options)
		binaries func([]*artifact.Binary) []*artifact.Binary
		want     string
	}{
		"no version":                 {change: func(o *options) { o.version = "" }, want: `version ""`},
		"a version without v":        {change: func(o *options) { o.version = "1.2.3" }, want: `version "1.2.3"`},
		"a commit as version":        {change: func(o *options) { o.version = "v0123456" }, want: `version "v0123456"`},
		"a version that is no tag":   {change: func(o *options) { o.version = "v1.2.3+build" }, want: `version "v1.2.3+build"`},
		"a chart of another server":  {change: func(o *options) { o.version = "v1.2.4" }, want: "is version 1.2.3-rc.1 for 1.2.3-rc.1, want 1.2.4"},
		"no chart":                   {change: func(o *options) { o.chart = "absent" }, want: "adding the chart: open absent"},
		"a chart that is none":       {change: func(o *options) { o.chart = o.image }, want: "adding the chart: reading"},
		"no image":                   {change: func(o *options) { o.image = "absent" }, want: "adding the image: open absent"},
		"no license":                 {change: func(o *options) { o.source = "." }, want: "LICENSE"},
		"a directory of other files": {change: func(o *options) { o.out = filepath.Dir(o.chart) }, want: "is no release"},
		"a release of another project": {change: func(o *options) {
			o.out = filepath.Join(filepath.Dir(o.chart), "other")
			_ = os.Mkdir(o.out, 0o700)
			_ = os.WriteFile(filepath.Join(o.out, provenanceFile), []byte("{}"), 0o600)
		}, want: "is of another program"},
		"no key":                   {change: func(o *options) { o.key = "absent" }, want: "reading the signing key: open absent"},
		"a time that is no number": {change: func(o *options) { o.epoch = "now" }, want: `SOURCE_DATE_EPOCH is "now"`},
		"a missing platform":       {binaries: func(all []*artifact.Binary) []*artifact.Binary { return all[1:] }, want: "kubectl-annex for linux/amd64 is missing"},
		"one binary twice":         {binaries: func(all []*artifact.Binary) []*artifact.Binary { return append(all, all[3]) }, want: "or is there twice"},
		"another commit": {binaries: func(all []*artifact.Binary) []*artifact.Binary {
			set(all[5], "vcs.revision", "1111")
			return all
		}, want: `has "1111"`},
		"a checkout with changes": {binaries: func(all []*artifact.Binary) []*artifact.Binary {
			for _, b := range all {
				set(b, "vcs.modified", "true")
			}
			return all
		}, want: "commit them first"},
		"no checkout": {binaries: func(all []*artifact.Binary) []*artifact.Binary {
			for _, b := range all {
				set(b, "vcs.revision", "")
			}
			return all
		}, want: "does not say of which commit it is"},
	} {
		t.Run(name, func(t *testing.T) {
			o, binaries := testOptions(t), fakes(t)
			if test.change != nil {
				test.change(&o)
			}
			if test.binaries != nil {
				binaries = test.binaries(binaries)
			}
			if err := write(o, binaries, io.Discard); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if _, err := os.Stat(filepath.Join(o.out, checksumsFile)); err == nil {
				t.Error("a release was written")
			}
			if _, err := os.Stat(o.out + ".part"); err == nil {
				t.Error("half a release is left")
			}
		})
	}
}
