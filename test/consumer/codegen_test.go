package consumer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// workspace makes a module of the folder testdata/name and a Go workspace of it and of our modules as they are in the checkout, and returns what runs a
// program there.
func workspace(t *testing.T, name string) (folder string, run func(program string, args ...string) (string, error)) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(folder, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	checkout, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	work := "go 1.26.0\n\nuse (\n\t.\n"
	for _, module := range modules {
		work += "\t" + filepath.Join(checkout, module) + "\n"
	}
	sums, err := os.ReadFile(filepath.Join(checkout, "go.work.sum"))
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile(filepath.Join(checkout, "client", "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{
		"go.mod": "module example.com/" + name + "\n\ngo 1.26.0\n", "go.work": work + ")\n", "go.work.sum": string(own) + string(sums),
	} {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder, func(program string, args ...string) (string, error) {
		command := exec.CommandContext(t.Context(), program, args...)
		command.Dir, command.Env = folder, append(os.Environ(), "GOFLAGS=", "GOPROXY=off", "GOWORK="+filepath.Join(folder, "go.work"))
		out, err := command.CombinedOutput()
		return string(out), err
	}
}

// A provider generates clients for its own types, and uses them with a server and in tests.
func TestCodegen_OfAProvider(t *testing.T) {
	folder, run := workspace(t, "gadgets")
	program := filepath.Join(t.TempDir(), "codegen")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Dir, build.Env = filepath.Join(root, "codegen"), append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the generator: %v\n%s", err, out)
	}

	// It says what it needs, and deletes nothing that it has not written.
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "--apis is required"},
		{[]string{"--apis", "../apis/gadgets/v1"}, "--apis: "},
		{[]string{"--apis", "apis/gadgets/v1", "--output", "."}, "--output: "},
		{[]string{"--apis", "apis/gadgets/v1", "--output", "../elsewhere"}, "--output: "},
		{[]string{"--apis", "apis/gadgets/v1", "--output", "apis"}, "has files that this program has not generated"},
		{[]string{"--apis", "apis/gadgets/v1", "more"}, `unexpected argument "more"`},
	} {
		if out, err := run(program, test.args...); err == nil || !strings.Contains(out, test.want) {
			t.Errorf("%q prints %q, %v, want %q", test.args, out, err, test.want)
		}
	}
	if _, err := os.Stat(filepath.Join(folder, "apis", "gadgets", "v1", "types.go")); err != nil {
		t.Fatal(err)
	}

	header := filepath.Join(folder, "header.txt")
	if err := os.WriteFile(header, []byte("// Of Example Inc.\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := run(program, "--apis", "apis/gadgets/v1", "--header", header); err != nil {
		t.Fatalf("generating: %v\n%s", err, out)
	}
	made, err := os.ReadFile(filepath.Join(folder, "generated", "clientset", "clusters", "clusters.go"))
	if err != nil || !strings.HasPrefix(string(made), "// Of Example Inc.\n") {
		t.Errorf("the package clusters begins with %.60q, %v", made, err)
	}
	if err := os.Rename(filepath.Join(folder, "clients.txt"), filepath.Join(folder, "clients_test.go")); err != nil {
		t.Fatal(err)
	}
	if out, err := run("go", "test", "./..."); err != nil {
		t.Errorf("what was generated does not work: %v\n%s", err, out)
	}
}
