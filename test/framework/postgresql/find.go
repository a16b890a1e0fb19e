package postgresql

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// ErrNone means that this machine cannot have a PostgreSQL: it has none, and is no Debian, from whose packages one is taken.
var ErrNone = errors.New("this machine has no PostgreSQL, and is no Debian whose packages have one: install PostgreSQL 14 or later with its psql")

// programs are in a folder, and need an environment to run.
type programs struct {
	dir string
	env []string
}

// needed are the programs that tests use.
var needed = []string{"initdb", "postgres", "psql"}

// find returns where the programs are.
func find() (*programs, error) {
	candidates := []string{"/usr/lib/postgresql/*/bin"}
	if path, err := exec.LookPath("postgres"); err == nil {
		if target, err := filepath.EvalSymlinks(path); err == nil {
			candidates = append(candidates, filepath.Dir(target))
		}
	}
	own, err := unpacked()
	if err != nil {
		return nil, err
	}
	if own != "" {
		candidates = append(candidates, filepath.Join(own, "usr/lib/postgresql/*/bin"))
	}
	for _, pattern := range slices.Backward(candidates) {
		dirs, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("looking for PostgreSQL: %w", err)
		}
		slices.Sort(dirs)
		for _, dir := range slices.Backward(dirs) {
			if has(dir) {
				return newPrograms(dir, own), nil
			}
		}
	}
	if _, err := os.Stat("/etc/debian_version"); err != nil {
		return nil, ErrNone
	}
	return nil, errors.New("PostgreSQL is missing: run `make bin/postgresql`")
}

func has(dir string) bool {
	return !slices.ContainsFunc(needed, func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err != nil
	})
}

func newPrograms(dir, unpacked string) *programs {
	p := &programs{dir: dir, env: os.Environ()}
	if rel, err := filepath.Rel(unpacked, dir); unpacked != "" && err == nil && filepath.IsLocal(rel) {
		libraries, _ := filepath.Glob(filepath.Join(unpacked, "usr/lib/*-linux-gnu*"))
		for _, path := range libraries {
			p.env = append(p.env, "LD_LIBRARY_PATH="+path)
		}
	}
	return p
}

func (p *programs) path(name string) string { return filepath.Join(p.dir, name) }

// unpacked returns the folder bin/postgresql of the repository; empty if there is none.
func unpacked() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err != nil {
			continue
		}
		path := filepath.Join(dir, "bin", "postgresql")
		if _, err := os.Stat(path); err != nil {
			return "", nil
		}
		return path, nil
	}
	return "", errors.New("the working directory is not in the repository")
}
