package consumer

import (
	"archive/zip"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// prefix begins the path of each of our modules.
const prefix = "github.com/annex-dev/annex/"

// modules are the folders of the checkout that are modules for programs that import Annex.
var modules = []string{"apis", "generated", "client"}

// publish makes a module proxy in folder, of the modules in the checkout at root, all at one version. It is what a release publishes: go.mod
// requires the other modules at that version in place of released.
func publish(folder, root, released, version string) error {
	for _, name := range modules {
		to := filepath.Join(folder, filepath.FromSlash(prefix+name), "@v")
		if err := os.MkdirAll(to, 0o755); err != nil {
			return fmt.Errorf("making the folder of %s: %w", name, err)
		}
		mod, err := os.ReadFile(filepath.Join(root, name, "go.mod"))
		if err != nil {
			return fmt.Errorf("reading what %s requires: %w", name, err)
		}
		mod = []byte(require(string(mod), released, version))
		info := fmt.Appendf(nil, `{"Version":%q,"Time":%q}`, version, time.Now().UTC().Format(time.RFC3339))
		for file, content := range map[string][]byte{"list": []byte(version + "\n"), version + ".info": info, version + ".mod": mod} {
			if err := os.WriteFile(filepath.Join(to, file), content, 0o644); err != nil {
				return fmt.Errorf("publishing %s: %w", name, err)
			}
		}
		if err := pack(filepath.Join(to, version+".zip"), prefix+name+"@"+version, filepath.Join(root, name), mod); err != nil {
			return fmt.Errorf("packing %s: %w", name, err)
		}
	}
	return nil
}

// require puts version in place of released in the lines of a go.mod that require modules of ours.
func require(mod, released, version string) string {
	lines := strings.Split(mod, "\n")
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), prefix) && strings.HasSuffix(line, " "+released) {
			lines[i] = strings.TrimSuffix(line, released) + version
		}
	}
	return strings.Join(lines, "\n")
}

// pack writes the files of a module, with another go.mod, into an archive in the form of the module proxy protocol.
func pack(archive, folder, from string, mod []byte) (err error) {
	file, err := os.Create(archive)
	if err != nil {
		return err
	}
	packed := zip.NewWriter(file)
	defer func() {
		for _, close := range []func() error{packed.Close, file.Close} {
			if failed := close(); err == nil {
				err = failed
			}
		}
	}()
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		content := mod
		if name != "go.mod" {
			if content, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		w, err := packed.Create(folder + "/" + filepath.ToSlash(name))
		if err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	})
}
