package lint

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/annex-dev/annex/"

// mayImport says which rooms of the house each room may know. What is not named here is not a room. A dot at the end stands
// for the package alone, without what is below it: only the interface of client is for everybody.
var mayImport = map[string][]string{
	"apis":        {"apis"},
	"generated":   {"apis", "generated"},
	"client":      {"apis", "generated", "client"},
	"schemas":     {"apis", "schemas"},
	"registry":    {"apis", "generated", "client.", "schemas", "registry"},
	"controllers": {"apis", "generated", "client", "schemas", "controllers"},
	"server":      {"apis", "generated", "client.", "schemas", "registry", "server"},
	"cmd":         {"apis", "generated", "client", "schemas", "registry", "server", "controllers", "cmd"},
	"examples":    {"apis", "generated", "client", "examples"},
	"test":        {"apis", "generated", "client", "schemas", "test", "cmd"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

// listPackages returns every package of the module with what its hand-written, non-test code imports.
func listPackages(t *testing.T) []goPackage {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"...")
	out, err := command.Output()
	if err != nil {
		t.Fatalf("listing packages: %v", err)
	}
	var packages []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 10 {
		t.Fatalf("found %d packages only", len(packages))
	}
	return packages
}

func within(path, room string) bool { return path == room || strings.HasPrefix(path, room+"/") }

func TestImports_PointOneWay(t *testing.T) {
	for _, p := range listPackages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		room, _, _ := strings.Cut(path, "/")
		allowed, known := mayImport[room]
		if !known {
			t.Errorf("%s: %s is not a room of this house", path, room)
			continue
		}
		for _, imported := range p.Imports {
			ours, isOurs := strings.CutPrefix(imported, module)
			if !isOurs {
				continue
			}
			ok := false
			for _, r := range allowed {
				alone, exact := strings.CutSuffix(r, ".")
				ok = ok || (exact && ours == alone) || (!exact && within(ours, r))
			}
			if !ok {
				t.Errorf("%s must not import %s", path, ours)
			}
		}
	}
}

func TestImports_NobodyImportsKubernetesItself(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, imported := range p.Imports {
			if within(imported, "k8s.io/kubernetes") {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
		}
	}
}

// Who holds a client of etcd could make a key.
func TestImports_OnlyStorageReachesEtcd(t *testing.T) {
	may := []string{"registry/storage", "server/etcd", "cmd/annex", "test"}
	for _, p := range listPackages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		for _, imported := range p.Imports {
			if !within(imported, "go.etcd.io/etcd") && !within(imported, "k8s.io/apiserver/pkg/storage/etcd3") {
				continue
			}
			ok := false
			for _, room := range may {
				ok = ok || path == room || (room == "test" && within(path, room)) || (room == "cmd/annex" && within(path, room)) || (room == "registry/storage" && within(path, room))
			}
			if !ok {
				t.Errorf("%s imports %s", path, imported)
			}
		}
	}
}

// A program that imports client, generated or apis must not need what only a server needs.
func TestImports_ClientNeedsNoServer(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", module+"client/...", module+"generated/...", module+"apis/...").Output()
	if err != nil {
		t.Fatalf("listing what client needs: %v", err)
	}
	needed := strings.Fields(string(out))
	if !slices.Contains(needed, module+"client/remote") || !slices.Contains(needed, "k8s.io/client-go/rest") {
		t.Fatalf("client/remote is not among the %d packages", len(needed))
	}
	for _, path := range needed {
		for _, server := range []string{
			module + "schemas", module + "registry", module + "server", module + "controllers", module + "cmd",
			"k8s.io/apiserver", "k8s.io/component-base", "k8s.io/kube-aggregator", "go.etcd.io", "google.golang.org/grpc",
		} {
			if within(path, server) {
				t.Errorf("client, generated or apis needs %s", path)
			}
		}
		if within(path, "k8s.io/apiextensions-apiserver") && !within(path, "k8s.io/apiextensions-apiserver/pkg/apis") {
			t.Errorf("client, generated or apis needs %s", path)
		}
	}
}
