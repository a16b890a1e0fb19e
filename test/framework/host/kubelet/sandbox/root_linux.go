package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// enterRoot makes the container's file system and makes it the only one there.
func enterRoot(spec Container) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("separating the mounts: %w", err)
	}
	root := spec.Root
	if err := unix.Mount("tmpfs", root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mounting the root: %w", err)
	}
	for _, step := range []func(Container) error{makeDirectories, mountKernel, mountDevices, mountAll, writeFiles, closeRoot} {
		if err := step(spec); err != nil {
			return err
		}
	}
	if err := os.Chdir(root); err != nil {
		return fmt.Errorf("entering the root: %w", err)
	}
	// Old and new root in one place: what is on top is taken away again
	// (pivot_root(2), "pivot_root(".", ".")").
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("changing the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leaving the old root: %w", err)
	}
	return os.Chdir("/")
}

func makeDirectories(spec Container) error {
	for _, dir := range []string{"/proc", "/dev", "/etc", "/tmp"} {
		if err := os.MkdirAll(spec.Root+dir, 0o755); err != nil {
			return fmt.Errorf("making %s: %w", dir, err)
		}
	}
	if err := os.Chmod(spec.Root+"/tmp", 0o1777); err != nil {
		return fmt.Errorf("opening /tmp: %w", err)
	}
	for _, path := range slices.Sorted(maps.Keys(spec.Links)) {
		if err := os.MkdirAll(filepath.Dir(spec.Root+path), 0o755); err != nil {
			return fmt.Errorf("making the parents of %s: %w", path, err)
		}
		if err := os.Symlink(spec.Links[path], spec.Root+path); err != nil {
			return fmt.Errorf("making the link %s: %w", path, err)
		}
	}
	return nil
}

// mountKernel shows the processes of the container. The settings of the kernel
// are read-only: a test that root runs could change the machine's otherwise.
func mountKernel(spec Container) error {
	proc := spec.Root + "/proc"
	if err := unix.Mount("proc", proc, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	for _, path := range []string{"/sys", "/sysrq-trigger"} {
		err := bind(proc+path, proc+path, true)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func mountDevices(spec Container) error {
	dev := spec.Root + "/dev"
	if err := unix.Mount("tmpfs", dev, "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=0755"); err != nil {
		return fmt.Errorf("mounting /dev: %w", err)
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		if err := bindNew("/dev/"+name, dev+"/"+name, false); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(target, dev+"/"+name); err != nil {
			return fmt.Errorf("making /dev/%s: %w", name, err)
		}
	}
	if err := os.Mkdir(dev+"/shm", 0o755); err != nil {
		return fmt.Errorf("making /dev/shm: %w", err)
	}
	if err := unix.Mount("tmpfs", dev+"/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=1777"); err != nil {
		return fmt.Errorf("mounting /dev/shm: %w", err)
	}
	return nil
}

func mountAll(spec Container) error {
	for _, m := range spec.Mounts {
		if err := bindNew(m.Source, spec.Root+filepath.Clean("/"+m.Target), m.ReadOnly); err != nil {
			return fmt.Errorf("mounting %s: %w", m.Target, err)
		}
	}
	return nil
}

func writeFiles(spec Container) error {
	for path, data := range spec.Files {
		if err := os.MkdirAll(filepath.Dir(spec.Root+path), 0o755); err != nil {
			return fmt.Errorf("making the parents of %s: %w", path, err)
		}
		if err := os.WriteFile(spec.Root+path, data, 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
	}
	return nil
}

// closeRoot makes the working directory, and the rest of the root unchangeable
// when that is wanted.
func closeRoot(spec Container) error {
	if err := os.MkdirAll(spec.Root+workingDir(spec), 0o755); err != nil {
		return fmt.Errorf("making the working directory: %w", err)
	}
	if spec.ReadOnlyRoot {
		return setReadOnly(spec.Root, 0)
	}
	if spec.User == 0 {
		return nil
	}
	// The files of an image belong to root, which no other user can be here.
	for _, dir := range []string{"/etc", "/"} {
		if err := os.Chmod(spec.Root+dir, 0o555); err != nil {
			return fmt.Errorf("closing %s: %w", dir, err)
		}
	}
	return nil
}

// bindNew is bind for a target that is made first, as what the source is.
func bindNew(source, target string, readOnly bool) error {
	info, err := os.Stat(source)
	if err != nil {
		return fmt.Errorf("looking at what to mount: %w", err)
	}
	if info.IsDir() {
		err = os.MkdirAll(target, 0o755)
	} else {
		err = makeFile(target)
	}
	if err != nil {
		return fmt.Errorf("making a mount point: %w", err)
	}
	return bind(source, target, readOnly)
}

func makeFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o644)
	if err != nil {
		return err
	}
	return file.Close()
}

// bind shows source at target with everything that is mounted below it: the
// kernel refuses to uncover what a mount hides.
func bind(source, target string, readOnly bool) error {
	if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("binding %s: %w", source, err)
	}
	if readOnly {
		return setReadOnly(target, unix.AT_RECURSIVE)
	}
	return nil
}

// setReadOnly needs Linux 5.12.
func setReadOnly(path string, flags uint) error {
	if err := unix.MountSetattr(-1, path, flags, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		return fmt.Errorf("making %s read-only: %w", path, err)
	}
	return nil
}
