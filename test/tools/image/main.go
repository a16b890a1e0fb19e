package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"
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
	created, err := creationTime(o.epoch, binaries[0])
	if err != nil {
		return err
	}
	l := newLayout(created)
	index, err := l.addImage(release{version: o.version, license: license, created: created}, binaries)
	if err != nil {
		return err
	}
	if err := replaceFile(o.out, func(w io.Writer) error { return l.write(w, index, o.version) }); err != nil {
		return fmt.Errorf("writing %s: %w", o.out, err)
	}
	_, err = fmt.Fprintf(out, "%s: version %s, digest %s\n", o.out, o.version, index.Digest)
	return err
}

// creationTime returns the time that everything in the archive bears, in UTC and whole seconds.
func creationTime(epoch string, b *binary) (time.Time, error) {
	if epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil || seconds < 0 {
			return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q: it must be a number of seconds since 1970", epoch)
		}
		return time.Unix(seconds, 0).UTC(), nil
	}
	stamp := b.setting("vcs.time")
	if stamp == "" {
		return time.Time{}, fmt.Errorf("%s does not say of which commit it is: set SOURCE_DATE_EPOCH to the seconds since 1970 that the image shall bear", b.path)
	}
	created, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the time of the commit in %s: %w", b.path, err)
	}
	return created.UTC().Truncate(time.Second), nil
}

// replaceFile writes path through a file beside it, so that nobody reads half an archive.
func replaceFile(path string, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary, err := os.Create(path + ".part")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // after the rename there is none
	buffered := bufio.NewWriterSize(temporary, 1<<20)
	err = write(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	if closed := temporary.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
