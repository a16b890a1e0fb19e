package main

import (
	"crypto/sha256"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/yaml"
)

var (
	krewName = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	krewSum  = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// krewFaults returns what krew, or those who review its index, would refuse: the rules of its developer guide on names and manifests. archives
// are the files that the manifest may name, by the end of their URLs.
func krewFaults(t *testing.T, fileName string, manifest []byte, archives map[string][]byte) (faults []string) {
	t.Helper()
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	var m krewManifest
	if err := yaml.UnmarshalStrict(manifest, &m); err != nil {
		return []string{"schema: " + err.Error()}
	}
	if m.APIVersion != "krew.googlecontainertools.github.com/v1alpha2" || m.Kind != "Plugin" {
		fault("type: %s %s", m.APIVersion, m.Kind)
	}
	name := m.Metadata.Name
	if !krewName.MatchString(name) || strings.Contains(name, "kube") || strings.Contains(name, "plugin") || slices.Contains([]string{"con", "prn", "aux", "nul"}, name) {
		fault("name: %q", name)
	}
	if fileName != name+".yaml" {
		fault("file: %s for %s", fileName, name)
	}
	if _, err := version.ParseSemantic(m.Spec.Version); err != nil || !strings.HasPrefix(m.Spec.Version, "v") {
		fault("version: %q", m.Spec.Version)
	}
	if s := m.Spec.ShortDescription; s == "" || len(s) > 50 || strings.Contains(s, "\n") || strings.HasSuffix(s, ".") {
		fault("shortDescription: %q", s)
	}
	for _, line := range strings.Split(m.Spec.Description+"\n"+m.Spec.Caveats, "\n") {
		if len(line) > 80 {
			fault("line: %q", line)
		}
	}
	if !strings.HasPrefix(m.Spec.Homepage, "https://") {
		fault("homepage: %q", m.Spec.Homepage)
	}
	if len(m.Spec.Platforms) == 0 {
		fault("platforms: none")
	}
	taken := map[string]bool{}
	for _, p := range m.Spec.Platforms {
		faults = append(faults, platformFaults(t, name, p, archives)...)
		platform := p.Selector.MatchLabels["os"] + "/" + p.Selector.MatchLabels["arch"]
		if taken[platform] {
			fault("selector: %s twice", platform)
		}
		taken[platform] = true
	}
	return faults
}

func platformFaults(t *testing.T, name string, p krewPlatform, archives map[string][]byte) (faults []string) {
	t.Helper()
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	os, arch := p.Selector.MatchLabels["os"], p.Selector.MatchLabels["arch"]
	if len(p.Selector.MatchLabels) != 2 || !slices.Contains([]string{"linux", "darwin", "windows"}, os) || !slices.Contains([]string{"amd64", "arm64"}, arch) {
		fault("selector: %v", p.Selector.MatchLabels)
	}
	archive, there := archives[path.Base(p.URI)]
	if !there {
		return append(faults, "uri: "+p.URI)
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(archive)); !krewSum.MatchString(p.SHA256) || p.SHA256 != sum {
		fault("sha256: %s", p.SHA256)
	}
	// krew makes a link of this name, in which dashes of the plugin's name become underscores.
	want := "kubectl-" + strings.ReplaceAll(name, "-", "_")
	if os == "windows" {
		want += ".exe"
	}
	if p.Bin != want {
		fault("bin: %s, want %s", p.Bin, want)
	}
	content := unpack(t, p.URI, archive)
	for _, f := range content {
		if f.special || strings.Contains(f.name, "..") || strings.HasPrefix(f.name, "/") {
			fault("archive: %s", f.name)
		}
	}
	var installed []string
	for _, c := range p.Files {
		if f, there := content[c.From]; !there || c.To == "" || strings.HasPrefix(path.Clean(c.To), "..") {
			fault("files: %s to %q", c.From, c.To)
		} else if path.Base(f.name) == p.Bin && f.mode&0o111 == 0 {
			fault("files: %s cannot be executed", f.name)
		}
		installed = append(installed, path.Join(c.To, path.Base(c.From)))
	}
	for _, needed := range []string{p.Bin, "LICENSE"} {
		if !slices.Contains(installed, needed) {
			fault("files: no %s", needed)
		}
	}
	return faults
}

func TestKrew_ManifestFollowsTheRules(t *testing.T) {
	o := testOptions(t)
	o.url = "https://downloads.example.com/annex/" + testVersion
	files, _ := written(t, o)
	manifest := files[krewFile]
	if faults := krewFaults(t, krewFile, manifest, files); len(faults) > 0 {
		t.Errorf("%s\n%s", strings.Join(faults, "\n"), manifest)
	}
	if got := strings.Count(string(manifest), "uri: "+o.url+"/"); got != len(platforms) {
		t.Errorf("%d platforms have the URL, want %d:\n%s", got, len(platforms), manifest)
	}
	// The rules refuse what breaks them.
	for name, change := range map[string][2]string{
		"name":             {"name: annex", "name: kubectl-annex"},
		"version":          {"version: v1", "version: 1"},
		"shortDescription": {"shortDescription: Enter", "shortDescription: Enter, and then enter again and again,"},
		"selector":         {"arch: arm64", "arch: amd64"},
		"sha256":           {"sha256: ", "sha256: 0"},
		"uri":              {".tar.gz", ".tgz"},
		"bin":              {"bin: kubectl-annex.exe", "bin: kubectl-annex"},
		"files":            {"/LICENSE", "/NOTICE"},
		"schema":           {"spec:", "spec:\n  unknown: true"},
		"type":             {"v1alpha2", "v1"},
	} {
		changed := strings.Replace(string(manifest), change[0], change[1], 1)
		if changed == string(manifest) {
			t.Errorf("%s: nothing changed", name)
		}
		faults := krewFaults(t, krewFile, []byte(changed), files)
		if !slices.ContainsFunc(faults, func(f string) bool { return strings.HasPrefix(f, name) }) {
			t.Errorf("a broken %s is not found: %q", name, faults)
		}
	}
	if faults := krewFaults(t, "other.yaml", manifest, files); len(faults) != 1 {
		t.Errorf("a manifest in another file: %q", faults)
	}
}
