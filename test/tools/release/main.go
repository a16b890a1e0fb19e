package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/annex-dev/annex/test/tools/artifact"
)

// options is what the command line and the environment say.
type options struct {
	version string // such as v1.2.3
	out     string // directory to write
	source  string // directory with LICENSE, README.md and examples
	image   string // OCI archive of the image
	chart   string // package of the chart, as Helm writes it
	url     string // where the files will be, for the manifest of krew; empty if that is not known
	builder string // URI of who built
	key     string // file with a private key; empty signs nothing
	epoch   string // SOURCE_DATE_EPOCH
	// binaries are paths.
	binaries []string
}

func main() {
	o := options{epoch: os.Getenv("SOURCE_DATE_EPOCH")}
	flag.StringVar(&o.version, "version", "", "version of the release, a semantic version that begins with v")
	flag.StringVar(&o.out, "out", "bin/release", "directory to write")
	flag.StringVar(&o.source, "source", ".", "directory with LICENSE, README.md and examples")
	flag.StringVar(&o.image, "image", "bin/annex-image.tar", "OCI archive of the image")
	flag.StringVar(&o.chart, "chart", "bin/annex-chart.tgz", "package of the chart")
	flag.StringVar(&o.url, "url", "", "URL of the directory that the files will be in, for the manifest of krew")
	flag.StringVar(&o.builder, "builder", "", "URI of the builder that the provenance names")
	flag.StringVar(&o.key, "signing-key", "", "file with an Ed25519 or ECDSA P-256 key in PEM format to sign with")
	flag.Parse()
	o.binaries = flag.Args()
	if err := run(o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// run reads the binaries, writes the release and tells out what it did.
func run(o options, out io.Writer) error {
	var binaries []*artifact.Binary
	for _, path := range o.binaries {
		b, err := artifact.Read(path)
		if err != nil {
			return fmt.Errorf("reading binary %s: %w", path, err)
		}
		binaries = append(binaries, b)
	}
	return write(o, binaries, out)
}

// write writes the release beside the directory and puts it there when it is whole.
func write(o options, binaries []*artifact.Binary, out io.Writer) error {
	if err := checkVersion(o.version); err != nil {
		return err
	}
	if err := checkBinaries(binaries); err != nil {
		return err
	}
	created, err := artifact.CreationTime(o.epoch, binaries[0])
	if err != nil {
		return err
	}
	key, err := readKey(o.key)
	if err != nil {
		return err
	}
	if err := replaceable(o.out); err != nil {
		return err
	}
	r := &release{options: o, created: created, revision: binaries[0].Setting("vcs.revision"), goVersion: binaries[0].Info.GoVersion, dir: o.out + ".part"}
	if err := errors.Join(os.RemoveAll(r.dir), os.MkdirAll(r.dir, 0o755)); err != nil {
		return fmt.Errorf("making a directory for the release: %w", err)
	}
	defer func() { _ = os.RemoveAll(r.dir) }() // after the rename there is none
	if err := r.fill(binaries, key); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(o.out), os.Rename(r.dir, o.out)); err != nil {
		return fmt.Errorf("replacing %s: %w", o.out, err)
	}
	return r.tell(out, key)
}

// checkVersion refuses what is no semantic version, because krew and Helm take no other, and a plus, which no tag of an image may have.
func checkVersion(v string) error {
	parsed, err := version.ParseSemantic(v)
	if err != nil || v != "v"+parsed.String() || parsed.BuildMetadata() != "" {
		return fmt.Errorf("version %q: want one such as v1.2.3 or v1.2.3-rc.1", v)
	}
	return nil
}

// replaceable refuses to replace a directory that is no release.
func replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || (err == nil && len(entries) == 0) {
		return nil
	}
	var said []byte
	if err == nil {
		said, err = os.ReadFile(filepath.Join(dir, provenanceFile))
	}
	if err == nil && !bytes.Contains(said, []byte(buildType)) {
		err = fmt.Errorf("%s is of another program", provenanceFile)
	}
	if err != nil {
		return fmt.Errorf("%s is there and is no release, so it is not replaced: %w", dir, err)
	}
	return nil
}
