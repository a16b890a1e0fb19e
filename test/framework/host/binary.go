package host

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// assetsVariable names the directory of test binaries. The name is the one that
// controller-runtime's envtest established, so that one setting serves both.
const assetsVariable = "KUBEBUILDER_ASSETS"

// moduleLine marks the go.mod at the root of this repository, as opposed to the
// ones of the modules under test/.
const moduleLine = "module github.com/annex-dev/annex"

// Binary returns the absolute path of the program name ("kube-apiserver",
// "kubectl"): in $KUBEBUILDER_ASSETS when that is set, else in bin/ of the
// repository that holds the working directory. The error for a missing file
// says which make target builds it.
func Binary(name string) (string, error) {
	if assets := os.Getenv(assetsVariable); assets != "" {
		path, err := executable(filepath.Join(assets, name))
		if err != nil {
			return "", fmt.Errorf("%s is set, but: %w", assetsVariable, err)
		}
		return path, nil
	}
	root, err := repositoryRoot()
	if err != nil {
		return "", err
	}
	path, err := executable(filepath.Join(root, "bin", name))
	if err != nil {
		return "", fmt.Errorf("%w: build it with `make bin/%s`, or set %s to a directory that has it", err, name, assetsVariable)
	}
	return path, nil
}

// executable returns path, made absolute, when a file is there.
func executable(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("resolving %s: %w", path, err)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("no file %s: %w", path, fs.ErrNotExist)
	case err != nil:
		return "", fmt.Errorf("looking for %s: %w", path, err)
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return "", fmt.Errorf("%s cannot be executed", path)
	}
	return path, nil
}

// repositoryRoot walks up from the working directory, which `go test` sets to
// the folder of the package, to the root of the main module.
func repositoryRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the working directory: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		ok, err := hasModuleLine(filepath.Join(dir, "go.mod"))
		if err != nil {
			return "", err
		}
		if ok {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod with %q above %s: run inside the repository, or set %s", moduleLine, start, assetsVariable)
		}
	}
}

func hasModuleLine(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for the repository's root: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == moduleLine {
			return true, nil
		}
	}
	if err := lines.Err(); err != nil {
		return false, fmt.Errorf("reading %s: %w", path, err)
	}
	return false, nil
}
