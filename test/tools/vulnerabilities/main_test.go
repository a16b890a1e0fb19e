package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
)

// program builds the program of the image's tests, which calls one function of k8s.io/apiserver.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiny")
	command := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", path, "../image/testdata/tiny")
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// database writes a database with one vulnerability.
func database(t *testing.T, module, pkg, symbol string) string {
	t.Helper()
	dir := t.TempDir()
	entry := fmt.Sprintf(`{"schema_version":"1.3.1","id":"GO-2026-0001","modified":"2026-11-28T00:00:00Z","published":"2026-11-28T00:00:00Z","summary":"It is bad","details":"Very.",
		"affected":[{"package":{"name":%q,"ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"9.9.9"}]}],
		"ecosystem_specific":{"imports":[{"path":%q,"symbols":[%q]}]}}]}`, module, pkg, symbol)
	if err := os.WriteFile(filepath.Join(dir, "GO-2026-0001.json"), []byte(entry), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestVulnerabilities(t *testing.T) {
	govulncheck, err := annex.Program("govulncheck")
	if err != nil {
		t.Fatal(err)
	}
	tiny := program(t)
	const pkg = "k8s.io/apiserver/pkg/util/shufflesharding"
	for name, test := range map[string]struct {
		database, module string
		want, wantErr    string
	}{
		"called":           {database: database(t, "k8s.io/apiserver", pkg, "RequiredEntropyBits"), want: "GO-2026-0001, It is bad: " + pkg + ".RequiredEntropyBits of k8s.io/apiserver v0.", wantErr: "1 of 1 programs"},
		"fixed elsewhere":  {database: database(t, "k8s.io/apiserver", pkg, "RequiredEntropyBits"), want: "fixed in v9.9.9", wantErr: "take a newer version"},
		"never called":     {database: database(t, "k8s.io/apiserver", pkg, "NewDealer"), want: "no known vulnerabilities"},
		"another module":   {database: database(t, "example.org/other", "example.org/other", "F"), want: "no known vulnerabilities"},
		"of Go itself":     {database: database(t, "stdlib", "fmt", "Println"), want: "has 1 known vulnerabilities that the program may be hit by (GO-2026-0001); build it with a newer Go"},
		"a wrong database": {database: filepath.Join(t.TempDir(), "absent"), wantErr: "searching " + tiny},
		"no database":      {module: "not a module", want: "skipped, there is no database"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := run(t.Context(), options{govulncheck: govulncheck, database: test.database, module: test.module, programs: []string{tiny}}, &out)
			if (test.wantErr == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), test.wantErr)) {
				t.Errorf("got error %v, want %q", err, test.wantErr)
			}
			if !strings.Contains(out.String(), test.want) || strings.Count(out.String(), "\n") > 1 {
				t.Errorf("it says %q, want one line with %q", out.String(), test.want)
			}
		})
	}
}
