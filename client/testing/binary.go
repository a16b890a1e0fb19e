package annextest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// AssetsVariable is the environment variable that names the directory of the program annex.
const AssetsVariable = "ANNEX_ASSETS"

// Binary returns the absolute path of the program annex: in the directory that ANNEX_ASSETS names, or else in PATH. The error says how to get it.
func Binary() (string, error) {
	name := "annex"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	dir := os.Getenv(AssetsVariable)
	if dir == "" {
		path, err := exec.LookPath(name)
		if err != nil {
			return "", fmt.Errorf("%s is not in PATH, and %s is not set. Run `make bin/annex` in a checkout of Annex, and set %s to its directory bin", name, AssetsVariable, AssetsVariable)
		}
		return filepath.Abs(path)
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		return "", fmt.Errorf("resolving %s: %w", AssetsVariable, err)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("%s is missing. %s is %q: set it to the directory with the program annex, such as bin of a checkout of Annex after `make bin/annex`", path, AssetsVariable, dir)
	case err != nil:
		return "", fmt.Errorf("looking for annex in %s: %w", AssetsVariable, err)
	case info.IsDir():
		return "", fmt.Errorf("%s is a directory. %s is %q: set it to the directory with the program annex", path, AssetsVariable, dir)
	}
	return path, nil
}
