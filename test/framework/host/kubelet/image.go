package kubelet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Image stands for a container image. A container sees the files named here, the
// shared libraries of the machine and what its pod mounts, and nothing else: as
// in an image made from scratch there is no shell.
type Image struct {
	// Files are paths in the image and the file or directory of this machine
	// that is there, read-only.
	Files map[string]string
	// Entrypoint and Cmd are what runs when a container says nothing else.
	Entrypoint, Cmd []string
	// Env is like []string{"PATH=/"}.
	Env []string
	// User and Group run the container when the pod does not say who does.
	User, Group int64
	// WorkingDir is "/" when empty.
	WorkingDir string
}

// nonRoot is the user of the images that many projects build upon.
const nonRoot = 65532

// programImage returns an image with one program, which is its entrypoint.
func programImage(binary string) Image {
	path := "/" + filepath.Base(binary)
	return Image{
		Files: map[string]string{path: binary}, Entrypoint: []string{path},
		Env: []string{"PATH=/"}, User: nonRoot, Group: nonRoot,
	}
}

// complete makes the paths of the machine absolute and sees that they are there.
func (i Image) complete() (Image, error) {
	files := make(map[string]string, len(i.Files))
	for path, source := range i.Files {
		absolute, err := filepath.Abs(source)
		if err != nil {
			return i, fmt.Errorf("resolving %s: %w", source, err)
		}
		if _, err := os.Stat(absolute); err != nil {
			return i, fmt.Errorf("looking for a file of the image: %w", err)
		}
		if !strings.HasPrefix(path, "/") {
			return i, fmt.Errorf("the path %q of an image does not begin with /", path)
		}
		files[path] = absolute
	}
	i.Files = files
	return i, nil
}

// findImage returns the image of a container: the one named exactly so, or the
// one of that name without a tag.
func (o options) findImage(reference string) (Image, bool) {
	if image, ok := o.images[reference]; ok {
		return image, true
	}
	name, _, _ := strings.Cut(reference, "@")
	if colon := strings.LastIndex(name, ":"); colon > strings.LastIndex(name, "/") {
		name = name[:colon]
	}
	image, ok := o.images[name]
	return image, ok
}
