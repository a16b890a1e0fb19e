package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/annex-dev/annex/test/tools/artifact"
	"github.com/annex-dev/annex/test/tools/oci"
)

// options is what the command line and the environment say.
type options struct {
	version  string // of annex, as `annex version` prints it; also the reference of the image
	license  string // file with the license of annex
	out      string // file to write
	epoch    string // SOURCE_DATE_EPOCH: seconds since 1970, or empty for the time of the commit
	binaries []string
}

func main() {
	o := options{epoch: os.Getenv("SOURCE_DATE_EPOCH")}
	flag.StringVar(&o.version, "version", "", "version of annex that the image is labeled with")
	flag.StringVar(&o.license, "license", "LICENSE", "file with the license of annex")
	flag.StringVar(&o.out, "out", "bin/annex-image.tar", "archive to write")
	flag.Parse()
	o.binaries = flag.Args()
	if err := run(o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// run writes the archive and tells out its digests. An archive that was there before is replaced whole or not at all.
func run(o options, out io.Writer) error {
	if o.version == "" {
		return errors.New("-version is missing")
	}
	license, err := os.ReadFile(o.license)
	if err != nil {
		return fmt.Errorf("reading the license: %w", err)
	}
	binaries, err := readBinaries(o.binaries)
	if err != nil {
		return err
	}
	created, err := artifact.CreationTime(o.epoch, binaries[0])
	if err != nil {
		return err
	}
	l := oci.NewLayout(created)
	index, err := addImage(l, release{version: o.version, license: license, created: created}, binaries)
	if err != nil {
		return err
	}
	if err := artifact.ReplaceFile(o.out, func(w io.Writer) error { return l.Write(w, index, o.version) }); err != nil {
		return fmt.Errorf("writing %s: %w", o.out, err)
	}
	_, err = fmt.Fprintf(out, "%s: version %s, digest %s\n", o.out, o.version, index.Digest)
	return err
}
