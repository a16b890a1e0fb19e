package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
)

// binary is an executable that goes into the image of one platform.
type binary struct {
	path   string
	info   *debug.BuildInfo
	size   int64  // bytes
	sha256 string // hex
}

// setting returns what the go command noted under key when it built b, such as GOARCH or vcs.time; empty if nothing.
func (b *binary) setting(key string) string {
	for _, s := range b.info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// platform is where b runs, as `linux/arm64`.
func (b *binary) platform() platform {
	return platform{OS: b.setting("GOOS"), Architecture: b.setting("GOARCH")}
}

// readBinaries reads at least one binary, each of another platform, all built of one commit.
func readBinaries(paths []string) ([]*binary, error) {
	if len(paths) == 0 {
		return nil, errors.New("no binary given")
	}
	var all []*binary
	of := map[platform]string{}
	for _, path := range paths {
		b, err := readBinary(path)
		if err != nil {
			return nil, fmt.Errorf("reading binary %s: %w", path, err)
		}
		if other, taken := of[b.platform()]; taken {
			return nil, fmt.Errorf("%s and %s are both for %s", other, path, b.platform())
		}
		of[b.platform()] = path
		all = append(all, b)
		if err := sameSource(all[0], b); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// sameSource refuses to put two versions behind one name, which happens when only one of the binaries was built anew.
func sameSource(a, b *binary) error {
	if a.info.Path != b.info.Path {
		return fmt.Errorf("%s is program %s, %s is %s", a.path, a.info.Path, b.path, b.info.Path)
	}
	if a.info.GoVersion != b.info.GoVersion {
		return fmt.Errorf("%s was built by %s, %s by %s", a.path, a.info.GoVersion, b.path, b.info.GoVersion)
	}
	for _, key := range []string{"vcs.revision", "vcs.modified"} {
		if a.setting(key) != b.setting(key) {
			return fmt.Errorf("%s has %s %q, %s has %q", a.path, key, a.setting(key), b.path, b.setting(key))
		}
	}
	return nil
}

func readBinary(path string) (*binary, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := buildinfo.Read(file)
	if err != nil {
		return nil, err
	}
	b := &binary{path: path, info: info}
	if p := b.platform(); p.OS != "linux" || p.Architecture == "" {
		return nil, fmt.Errorf("it is for %s, and only linux runs in a container", p)
	}
	if err := checkStatic(file); err != nil {
		return nil, err
	}
	hash := sha256.New()
	if b.size, err = io.Copy(hash, file); err != nil {
		return nil, err
	}
	b.sha256 = hex.EncodeToString(hash.Sum(nil))
	return b, nil
}

// checkStatic refuses a program that needs a loader, of which the image has none: it would fail with a "no such file"
// that names the program itself.
func checkStatic(file io.ReaderAt) error {
	program, err := elf.NewFile(file)
	if err != nil {
		return err
	}
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("it is not static: build it with CGO_ENABLED=0")
		}
	}
	return nil
}
