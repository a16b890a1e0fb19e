package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/annex-dev/annex/test/tools/artifact"
)

// platforms are those of a release, in the order in which people look for theirs.
var platforms = []artifact.Platform{
	{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"},
	{OS: "darwin", Architecture: "amd64"}, {OS: "darwin", Architecture: "arm64"},
	{OS: "windows", Architecture: "amd64"}, {OS: "windows", Architecture: "arm64"},
}

const (
	server = "annex"
	plugin = "kubectl-annex"
	// completer is how kubectl asks the plugin for completions. It is a script and no link, because krew and zip take no links.
	completer = "kubectl_complete-annex"
)

// abouts are the programs of a release.
var abouts = map[string]string{server: "the server", plugin: "the plugin of kubectl"}

// archive is one program for one platform.
type archive struct {
	program  string
	platform artifact.Platform
	// folder is the one directory in it, file its name with what it is written as.
	folder, file string
}

// executable is the name of the program in the archive.
func (a archive) executable() string { return a.program + suffix(a.platform, ".exe", "") }

func suffix(p artifact.Platform, windows, other string) string {
	if p.OS == "windows" {
		return windows
	}
	return other
}

// checkBinaries refuses everything but each program once for each platform, all of one commit.
func checkBinaries(binaries []*artifact.Binary) error {
	type kind struct {
		program  string
		platform artifact.Platform
	}
	missing := map[kind]bool{}
	for program := range abouts {
		for _, p := range platforms {
			missing[kind{program, p}] = true
		}
	}
	for _, b := range binaries {
		k := kind{b.Name(), b.Platform()}
		if !missing[k] {
			return fmt.Errorf("%s is %s for %s, which is not in a release, or is there twice", b.Path, k.program, k.platform)
		}
		delete(missing, k)
		if err := artifact.SameSource(binaries[0], b); err != nil {
			return err
		}
	}
	for k := range missing {
		return fmt.Errorf("%s for %s is missing", k.program, k.platform)
	}
	switch b := binaries[0]; {
	case b.Setting("vcs.revision") == "":
		return fmt.Errorf("%s does not say of which commit it is: build it in a checkout", b.Path)
	case b.Setting("vcs.modified") != "false":
		return errors.New("the binaries were built with changes that are not in their commit: commit them first")
	}
	return nil
}

// addArchives writes an archive and an SBOM for each binary.
func (r *release) addArchives(binaries []*artifact.Binary) error {
	for _, program := range slices.Sorted(maps.Keys(abouts)) {
		for _, p := range platforms {
			for _, b := range binaries {
				if b.Name() != program || b.Platform() != p {
					continue
				}
				if err := r.addArchive(b); err != nil {
					return fmt.Errorf("writing %s for %s: %w", program, p, err)
				}
			}
		}
	}
	return nil
}

func (r *release) addArchive(b *artifact.Binary) error {
	p := b.Platform()
	folder := fmt.Sprintf("%s-%s-%s-%s", b.Name(), r.version, p.OS, p.Architecture)
	a := archive{program: b.Name(), platform: p, folder: folder, file: folder + suffix(p, ".zip", ".tar.gz")}
	program, err := os.Open(b.Path)
	if err != nil {
		return err
	}
	defer func() { _ = program.Close() }()
	entries, err := r.entries(a, b, program)
	if err != nil {
		return err
	}
	if err := r.add(a.file, abouts[a.program]+" for "+p.String(), func(w io.Writer) error {
		if p.OS == "windows" {
			return artifact.WriteZip(w, r.created, entries)
		}
		return artifact.WriteTarGzip(w, r.created, entries)
	}); err != nil {
		return err
	}
	sbom, err := artifact.SBOM(b, r.version, r.created)
	if err != nil {
		return fmt.Errorf("writing the SBOM: %w", err)
	}
	r.archives = append(r.archives, a)
	return r.addContent(folder+".spdx.json", "what is in "+a.file+", as SPDX 2.3", sbom)
}

// entries returns what is in an archive.
func (r *release) entries(a archive, b *artifact.Binary, program io.Reader) ([]artifact.Entry, error) {
	license, err := os.ReadFile(filepath.Join(r.source, "LICENSE"))
	if err != nil {
		return nil, err
	}
	readme, err := os.ReadFile(filepath.Join(r.source, "README.md"))
	if err != nil {
		return nil, err
	}
	in := func(name string) string { return a.folder + "/" + name }
	entries := []artifact.Entry{
		artifact.Directory(a.folder),
		artifact.File(in("LICENSE"), license),
		artifact.File(in("README.md"), r.withLinks(readme)),
		{Name: in(a.executable()), Mode: 0o755, Size: b.Size, Content: program},
	}
	if a.program == plugin {
		script := artifact.File(in(completer+suffix(a.platform, ".cmd", "")), []byte(completion(a.platform)))
		script.Mode = 0o755
		return append(entries, script), nil
	}
	// What the README asks to type needs them.
	examples, err := filepath.Glob(filepath.Join(r.source, "examples", "widgets", "*.yaml"))
	if err != nil || len(examples) == 0 {
		return nil, fmt.Errorf("no examples are in %s: %w", r.source, errors.Join(err, os.ErrNotExist))
	}
	entries = append(entries, artifact.Directory(in("examples")), artifact.Directory(in("examples/widgets")))
	for _, path := range examples {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		entries = append(entries, artifact.File(in("examples/widgets/"+filepath.Base(path)), content))
	}
	return entries, nil
}

// completion is a script that stands beside the plugin.
func completion(p artifact.Platform) string {
	return suffix(p,
		"@\"%~dp0kubectl-annex.exe\" __complete %*\r\n",
		"#!/bin/sh\nexec \"$(dirname \"$0\")/kubectl-annex\" __complete \"$@\"\n")
}

// relativeLink is the target of a link to another page of the source.
var relativeLink = regexp.MustCompile(`\]\(([A-Za-z][A-Za-z0-9_./-]*(?:#[^)]*)?)\)`)

// withLinks returns a page whose links lead to the source of the release, since other pages are not beside it.
func (r *release) withLinks(page []byte) []byte {
	return relativeLink.ReplaceAll(page, []byte("]("+artifact.ProjectURL+"/blob/"+r.version+"/$1)"))
}
