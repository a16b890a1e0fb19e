package main

import (
	"debug/elf"
	"errors"
	"fmt"

	"github.com/annex-dev/annex/test/tools/artifact"
)

// readBinaries reads at least one binary, each of another platform, all built of one commit.
func readBinaries(paths []string) ([]*artifact.Binary, error) {
	if len(paths) == 0 {
		return nil, errors.New("no binary given")
	}
	var all []*artifact.Binary
	of := map[artifact.Platform]string{}
	for _, path := range paths {
		b, err := readBinary(path)
		if err != nil {
			return nil, fmt.Errorf("reading binary %s: %w", path, err)
		}
		if other, taken := of[b.Platform()]; taken {
			return nil, fmt.Errorf("%s and %s are both for %s", other, path, b.Platform())
		}
		of[b.Platform()] = path
		all = append(all, b)
		if err := sameImage(all[0], b); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// sameImage refuses to put two programs, or two versions of one, into one image.
func sameImage(a, b *artifact.Binary) error {
	if a.Info.Path != b.Info.Path {
		return fmt.Errorf("%s is program %s, %s is %s", a.Path, a.Info.Path, b.Path, b.Info.Path)
	}
	return artifact.SameSource(a, b)
}

func readBinary(path string) (*artifact.Binary, error) {
	b, err := artifact.Read(path)
	if err != nil {
		return nil, err
	}
	if p := b.Platform(); p.OS != "linux" || p.Architecture == "" {
		return nil, fmt.Errorf("it is for %s, and only linux runs in a container", p)
	}
	return b, checkStatic(path)
}

// checkStatic refuses a program that needs a loader, of which the image has none: it would fail with a "no such file"
// that names the program itself.
func checkStatic(path string) error {
	program, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = program.Close() }()
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("it is not static: build it with CGO_ENABLED=0")
		}
	}
	return nil
}
