package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

var spdxID = regexp.MustCompile(`^SPDXRef-[a-zA-Z0-9.-]+$`)

// tiny is a program that is linked with a module, built for linux. It does not say of which commit it is.
func tiny(t *testing.T) *Binary {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiny")
	command := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, "../image/testdata/tiny")
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSBOM_NamesProgramAndModules(t *testing.T) {
	b := tiny(t)
	document, err := SBOM(b, "v1.2.3", time.Unix(1700000000, 0).UTC())
	if err != nil {
		t.Fatal(err)
	}
	var got spdxDocument
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Version != "SPDX-2.3" || got.DataLicense != "CC0-1.0" || got.ID != "SPDXRef-DOCUMENT" || got.Creation.Created != "2023-11-14T22:13:20Z" {
		t.Errorf("the SBOM begins with %+v", got)
	}
	if want := len(b.Info.Deps) + 2; len(got.Packages) != want {
		t.Errorf("%d packages, want %d", len(got.Packages), want)
	}
	packages, ids := map[string]spdxPackage{}, map[string]bool{"SPDXRef-DOCUMENT": true}
	for _, p := range got.Packages {
		if !spdxID.MatchString(p.ID) || ids[p.ID] {
			t.Errorf("%q is no ID, or there twice", p.ID)
		}
		ids[p.ID], packages[p.Name] = true, p
	}
	content, err := os.ReadFile(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(content))
	if p := packages["tiny"]; p.Version != "v1.2.3" || len(p.Checksums) != 1 || p.Checksums[0] != (spdxChecksum{"SHA256", sum}) {
		t.Errorf("the program is %+v", p)
	}
	if !strings.HasSuffix(got.Namespace, sum) {
		t.Errorf("namespace %s is not of this binary alone", got.Namespace)
	}
	p := packages["k8s.io/apiserver"]
	if !strings.HasPrefix(p.Version, "v0.") || len(p.Checksums) != 1 || len(p.Checksums[0].Value) != 64 || !strings.HasPrefix(p.SourceInfo, "go.sum h1:") {
		t.Errorf("k8s.io/apiserver is %+v", p)
	}
	if len(p.References) != 1 || p.References[0].Locator != "pkg:golang/k8s.io/apiserver@"+p.Version {
		t.Errorf("k8s.io/apiserver is found at %+v", p.References)
	}
	if p := packages["stdlib"]; "go"+p.Version != b.Info.GoVersion {
		t.Errorf("the standard library is %+v", p)
	}
	if len(got.Relationships) != len(got.Packages) {
		t.Errorf("%d relationships of %d packages", len(got.Relationships), len(got.Packages))
	}
	for _, r := range got.Relationships {
		if !ids[r.Element] || !ids[r.Related] {
			t.Errorf("relationship %+v names nothing", r)
		}
	}
}

func TestModulePackage(t *testing.T) {
	sum := sha256.Sum256(nil)
	const h1 = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	for name, test := range map[string]struct {
		module   debug.Module
		wantPurl string
		wantSum  string
		wantErr  string
	}{
		"as it is": {
			module:   debug.Module{Path: "example.org/a", Version: "v1.0.0", Sum: h1},
			wantPurl: "pkg:golang/example.org/a@v1.0.0", wantSum: hex.EncodeToString(sum[:]),
		},
		"upper case and plus": {
			module:   debug.Module{Path: "example.org/BurntSushi", Version: "v2.0.0+incompatible", Sum: h1},
			wantPurl: "pkg:golang/example.org/burntsushi@v2.0.0%2Bincompatible", wantSum: hex.EncodeToString(sum[:]),
		},
		"replaced by a module": {
			module:   debug.Module{Path: "example.org/a", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/b", Version: "v1.1.0", Sum: h1}},
			wantPurl: "pkg:golang/example.org/b@v1.1.0", wantSum: hex.EncodeToString(sum[:]),
		},
		"replaced by a folder": {
			module: debug.Module{Path: "example.org/a", Version: "v1.0.0", Replace: &debug.Module{Path: "./b"}},
		},
		"a checksum of another kind": {
			module:  debug.Module{Path: "example.org/a", Version: "v1.0.0", Sum: "h2:abc="},
			wantErr: `checksum "h2:abc=" of module example.org/a`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := modulePackage("SPDXRef-module-1", &test.module)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Errorf("got %v, want %q", err, test.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var purl, checksum string
			for _, r := range got.References {
				purl += r.Locator
			}
			for _, c := range got.Checksums {
				checksum += c.Value
			}
			if purl != test.wantPurl || checksum != test.wantSum {
				t.Errorf("found at %q with checksum %q, want %q and %q", purl, checksum, test.wantPurl, test.wantSum)
			}
		})
	}
}
