package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed all:templates
var templates embed.FS

// suffix ends the names of templates.
const suffix = ".tmpl"

// Write renders the project into dir, which must not exist, or be empty.
func (p *Project) Write(dir string) error {
	if err := makeEmpty(dir); err != nil {
		return err
	}
	return fs.WalkDir(templates, "templates", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := p.render(path)
		if err != nil {
			return fmt.Errorf("rendering %s: %w", path, err)
		}
		file := filepath.Join(dir, filepath.FromSlash(p.place(path)))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return fmt.Errorf("making the directory of %s: %w", file, err)
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			return fmt.Errorf("writing the project: %w", err)
		}
		return nil
	})
}

// makeEmpty makes dir unless it exists. It refuses a directory that is not empty.
func makeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("making the directory of the project: %w", err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("looking into the directory of the project: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty: it contains %s. Choose another directory with --output", dir, entries[0].Name())
	}
	return nil
}

// place returns where the file of a template belongs in the project.
func (p *Project) place(path string) string {
	path = strings.TrimSuffix(strings.TrimPrefix(path, "templates/"), suffix)
	switch path {
	case "gitignore", "dockerignore":
		return "." + path
	case "config/crd/crd.yaml":
		return "config/crd/" + p.Group + "_" + p.Plural + ".yaml"
	}
	if file, found := strings.CutPrefix(path, "api/"); found {
		return "api/" + p.Version + "/" + file
	}
	return path
}

func (p *Project) render(path string) ([]byte, error) {
	source, err := templates.ReadFile(path)
	if err != nil {
		return nil, err
	}
	parsed, err := template.New(path).Delims("[[", "]]").Option("missingkey=error").Parse(string(source))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, p)
	return out.Bytes(), err
}
